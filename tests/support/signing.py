"""Requests signed by botocore's own signers, as the door sees them, at a time that tests choose."""

import datetime
from collections.abc import Iterable, Mapping
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cosset.wire.message import Headers, Request
from support.front import ACCESS_KEY, SECRET_KEY

SIGNED_AT = datetime.datetime(2026, 3, 5, 12, 30, 15, tzinfo=datetime.UTC)
SIGNED_AT_MS = int(SIGNED_AT.timestamp() * 1000)
HOST = "127.0.0.1:4566"

SIGNERS: Mapping[str, Any] = {
    "header": SigV4Auth,
    "s3 header": S3SigV4Auth,
    "query": SigV4QueryAuth,
    "s3 query": S3SigV4QueryAuth,
}


def sign(
    kind: str,
    method: str = "POST",
    path: str = "/",
    query: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    service: str | None = None,
    region: str = "us-east-1",
    token: str | None = None,
    secret: str = SECRET_KEY,
    access_key: str = ACCESS_KEY,
    host: str = HOST,
    at: datetime.datetime = SIGNED_AT,
    expires_s: int | None = None,
) -> Request:
    """`kind` is one of SIGNERS. botocore's query signers move a body into the query: theirs are empty."""
    if kind.endswith("query"):
        body = b""
    url = f"http://{host}{path}" + (f"?{query}" if query else "")
    aws = AWSRequest(method=method, url=url, data=body)
    for name, value in headers:
        aws.headers.add_header(name, value)
    service = service or ("s3" if kind.startswith("s3") else "lambda")
    options = {} if expires_s is None else {"expires": expires_s}
    with patch("botocore.auth.get_current_datetime", lambda: at):
        SIGNERS[kind](Credentials(access_key, secret, token), service, region, **options).add_auth(aws)
    sent = [(name, value) for name, value in aws.headers.items()]
    if "host" not in aws.headers:
        sent.append(("host", host))
    parts = urlsplit(aws.url)
    return Request(method, parts.path, parts.query, Headers(sent), body, host=host)


def to_wire(request: Request, *extra: str, close: bool = True) -> bytes:
    """The request as bytes for a socket. `extra` are whole header lines."""
    assert isinstance(request.body, bytes)
    target = request.path + (f"?{request.query}" if request.query else "")
    lines = [f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers), *extra]
    if "content-length" not in request.headers and not any("transfer-encoding" in line.lower() for line in extra):
        lines.append(f"content-length: {len(request.body)}")
    if close:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + request.body
