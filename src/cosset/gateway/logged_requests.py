"""A request for a bucket as its access log tells it, from the request and its answer."""

import re
from urllib.parse import unquote

from cosset.gateway.call import Call
from cosset.gateway.signature_keys import signature_keys
from cosset.identity.principal import NOBODY
from cosset.services.s3.access_logs import LoggedRequest
from cosset.wire.http_bindings import read_query
from cosset.wire.message import Request, Response

_CODE = re.compile(rb"<Code>(\w+)</Code>")
_AUTHENTICATION = {"REST-HEADER": "AuthHeader", "REST-QUERY-STRING": "QueryString"}
_VERSIONS = {"AWS4-HMAC-SHA256": "SigV4", "AWS": "SigV2"}


def logged_request(call: Call, request: Request, response: Response, now_ms: int) -> LoggedRequest:
    """`request` is the call's, in path style."""
    bucket, _, key = request.path.removeprefix("/").partition("/")
    query, sent = read_query(request.query), call.request
    signed = {} if call.principal is NOBODY else signature_keys(request, call.claim, now_ms)
    first = next(iter(query), "")
    return LoggedRequest(
        bucket=unquote(bucket),
        key=unquote(key),
        at_ms=now_ms,
        operation=call.operation or "",
        subresource=first if first and not any(query[first]) else "",
        method=request.method,
        uri=f"{sent.path}?{sent.query}" if sent.query else sent.path,
        status=response.status,
        error_code=_error_code(response),
        bytes_sent=_size(response),
        requester=call.principal.arn,
        request_id=call.request_id,
        source_ip=request.peer or "",
        referer=request.headers.get("referer") or "",
        user_agent=request.headers.get("user-agent") or "",
        version_id=(query.get("versionId") or [""])[0],
        signature_version=_VERSIONS.get(signed.get("s3:signatureversion", ""), ""),
        authentication_type=_AUTHENTICATION.get(signed.get("s3:authtype", ""), ""),
        host=request.host,
    )


def _error_code(response: Response) -> str:
    if response.status < 400 or not isinstance(response.body, bytes):
        return ""
    found = _CODE.search(response.body)
    return found[1].decode() if found is not None else ""


def _size(response: Response) -> int | None:
    if isinstance(response.body, bytes):
        return len(response.body)
    given = next((value for name, value in response.headers if name.lower() == "content-length"), "")
    return int(given) if given.isdecimal() else None
