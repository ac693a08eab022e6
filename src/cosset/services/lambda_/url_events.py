"""Payload format 2.0: from an HTTP request to the event that a function behind a URL gets.

Source: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads; recorded
TestLambdaURL::test_lambda_url_echo_http_fixture_trim_x_headers. Read next: url_responses.py, the way back.
"""

import base64
import json
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from cosset.functions.url_records import FunctionUrl
from cosset.identity.principal import Principal
from cosset.wire.message import Headers, Request

_TEXT = re.compile(
    r"text/.*|application/(json|javascript|xml)|application/[a-z0-9.+-]+\+(json|xml)", re.ASCII | re.IGNORECASE
)
_NOT_PASSED_ON = frozenset(
    {
        "connection",
        "cookie",
        "expect",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""What is between the client and the door, and the cookies, which have a member of their own."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed the request, with which key."""

    principal: Principal
    access_key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlCall:
    """One request to a function URL. `path` is the part below the URL, as sent; `body` is whole. `caller` None: the
    URL asks for no signature. `trace_id` as X-Amzn-Trace-Id carries it."""

    url: FunctionUrl
    request: Request
    path: str
    body: bytes
    request_id: str
    trace_id: str
    now_ms: int
    caller: Caller | None = None

    @property
    def source_ip(self) -> str:
        return self.request.peer or "127.0.0.1"


def write_event(call: UrlCall) -> bytes:
    """The event as JSON. What is absent in the request is absent in the event."""
    request = call.request
    text = _as_text(call.body, request.headers)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": call.path,
        "rawQueryString": request.query,
    }
    if cookies := _cookies(request.headers):
        event["cookies"] = cookies
    event["headers"] = _headers(call)
    if parameters := _query_parameters(request.query):
        event["queryStringParameters"] = parameters
    event["requestContext"] = _context(call)
    if call.body:
        event["body"] = base64.b64encode(call.body).decode() if text is None else text
    event["isBase64Encoded"] = bool(call.body) and text is None
    return json.dumps(event, separators=(",", ":")).encode()


def _headers(call: UrlCall) -> dict[str, str]:
    """Names in lower case, several values of one joined by commas."""
    joined: dict[str, str] = {}
    for name, value in call.request.headers:
        if name in _NOT_PASSED_ON or (name == "authorization" and call.caller is not None):
            continue
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    if call.body:
        joined["content-length"] = str(len(call.body))
    sent_for = joined.get("x-forwarded-for")
    joined["x-forwarded-for"] = f"{sent_for}, {call.source_ip}" if sent_for else call.source_ip
    joined["x-forwarded-proto"] = call.request.scheme
    joined["x-forwarded-port"] = _port(call.request)
    joined["x-amzn-trace-id"] = call.trace_id
    return joined


def _port(request: Request) -> str:
    port = re.search(r":(\d+)$", request.host)
    return port[1] if port is not None else {"https": "443"}.get(request.scheme, "80")


def _cookies(headers: Headers) -> list[str]:
    return [each.strip() for value in headers.get_all("cookie") for each in value.split(";") if each.strip()]


def _query_parameters(query: str) -> dict[str, str]:
    """Decoded; several values of one name joined by commas."""
    joined: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _context(call: UrlCall) -> dict[str, Any]:
    caller, moment = call.caller, time.gmtime(call.now_ms / 1000)
    context: dict[str, Any] = {
        "accountId": "anonymous" if caller is None else caller.principal.account,
        "apiId": call.url.url_id,
        "domainName": call.request.host,
        "domainPrefix": call.url.url_id,
        "http": {
            "method": call.request.method,
            "path": call.path,
            "protocol": "HTTP/1.1",
            "sourceIp": call.source_ip,
            "userAgent": call.request.headers.get("user-agent", ""),
        },
        "requestId": call.request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": f"{moment.tm_mday:02d}/{_MONTHS[moment.tm_mon - 1]}/{time.strftime('%Y:%H:%M:%S', moment)} +0000",
        "timeEpoch": call.now_ms,
    }
    if caller is not None:
        context["authorizer"] = {"iam": _identity(caller)}
    return context


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _identity(caller: Caller) -> dict[str, Any]:
    principal = caller.principal
    return {
        "accessKey": caller.access_key_id,
        "accountId": principal.account,
        "callerId": principal.user_id,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": principal.arn,
        "userId": principal.user_id,
    }


def _as_text(body: bytes, headers: Headers) -> str | None:
    """None: the body is no text, and goes in base64."""
    content_type = (headers.get("content-type") or "").partition(";")[0].strip()
    if not _TEXT.fullmatch(content_type) or headers.get("content-encoding"):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
