"""From what a function behind a URL returned to the HTTP response that its caller gets.

A function may return a whole response ({statusCode, headers, cookies, body, isBase64Encoded}) or anything else, which
is then the body; one that streams puts the head before the body. Refuses what could not be sent: that is a 502.
Source: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STREAM_CONTENT_TYPE = "application/vnd.awslambda.http-integration-response"
BODILESS = frozenset({204, 304})
"""HTTP has no body in these: one that was sent all the same would be taken for the next response."""
PRELUDE_END = bytes(8)
"""Between the head and the body of a response that streams."""
MAX_PRELUDE_BYTES = 64 * 1024

_JSON = "application/json"
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-amzn-requestid",
        "x-amzn-trace-id",
    }
)
"""Headers that the door writes: what the function says of them is left out."""


class BadResponseError(Exception):
    """What the function returned is no HTTP response."""


@dataclass(frozen=True, slots=True)
class UrlResponse:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def read_response(payload: bytes) -> UrlResponse:
    """Of a response that came whole. What has no statusCode is the body itself, as JSON.

    Raises: BadResponseError.
    """
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadResponseError("not JSON") from error
    if not isinstance(value, dict) or "statusCode" not in value:
        return UrlResponse(200, [("Content-Type", _JSON)], payload)
    status, headers = _read_head(value, _JSON)
    body = _read_body(value)
    return UrlResponse(status, headers, b"" if status in BODILESS else body)


def read_prelude(prelude: bytes) -> UrlResponse:
    """The head of a response that streams; its body follows.

    Raises: BadResponseError.
    """
    try:
        value = json.loads(prelude)
    except (ValueError, RecursionError) as error:
        raise BadResponseError("not JSON") from error
    if not isinstance(value, dict):
        raise BadResponseError("no object")
    status, headers = _read_head({"statusCode": 200, **value}, "application/octet-stream")
    return UrlResponse(status, headers)


def _read_head(value: Mapping[str, Any], content_type: str) -> tuple[int, list[tuple[str, str]]]:
    status = _read_status(value["statusCode"])
    given = value.get("headers") or {}
    cookies = value.get("cookies") or []
    if not isinstance(given, dict) or not isinstance(cookies, list):
        raise BadResponseError("headers or cookies")
    headers = [(name, _read_value(text)) for name, text in given.items() if name.lower() not in _OURS]
    if not all(_NAME.fullmatch(name) for name, _ in headers):
        raise BadResponseError("the name of a header")
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", content_type))
    headers += [("Set-Cookie", _read_value(cookie)) for cookie in cookies]
    return status, headers


def _read_status(status: Any) -> int:
    if isinstance(status, str) and re.fullmatch(r"\d{3}", status, re.ASCII):
        status = int(status)
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise BadResponseError("statusCode")
    return status


def _read_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list):
        return ",".join(_read_value(each) for each in value)
    raise BadResponseError("the value of a header")


def _read_body(value: Mapping[str, Any]) -> bytes:
    body = value.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        return json.dumps(body, separators=(",", ":")).encode()
    if value.get("isBase64Encoded") is not True:
        return body.encode("utf-8", "replace")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadResponseError("base64") from error
