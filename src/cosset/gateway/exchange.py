"""A request that came whole and small, and its answer: read without a stream, written in one piece.

Nearly every call of an AWS client is one. It stands where uvicorn's RequestResponseCycle stands in a connection, and
has the attributes that uvicorn asks of it; what streams goes through that cycle instead (connection.py).
"""

import asyncio
import re

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from cosset.wire.message import Headers, Request, Response

WHOLE_BYTES = 64 * 1024
"""The longest body that is read before anybody has looked at its head."""

_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Exchange:
    """One request, one answer. `gone` is set when the client has left; uvicorn knows it as `message_event`."""

    __slots__ = (
        "_pieces",
        "_url",
        "disconnected",
        "gone",
        "headers",
        "keep_alive",
        "method",
        "response_complete",
        "response_started",
    )

    def __init__(self, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]], *, keep_alive: bool) -> None:
        self.method = method
        self.headers = headers
        self.keep_alive = keep_alive
        self.gone = asyncio.Event()
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self._url = url
        self._pieces: list[bytes] = []

    @property
    def message_event(self) -> asyncio.Event:
        return self.gone

    def add_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def request(self, scheme: str, peer: str = "") -> Request:
        path, _, query = self._url.decode("latin-1").partition("?")
        headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers])
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        host = headers.get("host") or "localhost"
        return Request(self.method.decode("latin-1"), path, query, headers, body, scheme, host, peer)


def encode_headers(response: Response) -> list[tuple[bytes, bytes]]:
    """As HTTP carries them. What a header cannot hold becomes a question mark or a space, so that no value ends one.

    An answer to HEAD says the length of a body that does not follow.
    """
    headers = []
    has_length = False
    for name, value in response.headers:
        data = value.encode("latin-1", "replace")
        headers.append((name.encode("latin-1"), _CONTROLS.sub(b" ", data) if _CONTROLS.search(data) else data))
        has_length = has_length or name.lower() == "content-length"
    if isinstance(response.body, bytes) and not has_length and (response.body or response.status not in (204, 304)):
        headers.append((b"content-length", b"%d" % len(response.body)))
    return headers


def encode_whole(
    response: Response, method: bytes, default_headers: list[tuple[bytes, bytes]], *, keep_alive: bool
) -> bytes:
    """Status line, headers and body of an answer whose body is bytes."""
    body = response.body
    assert isinstance(body, bytes)
    out = [STATUS_LINE[response.status]]
    for name, value in default_headers:
        out += (name, b": ", value, b"\r\n")
    if "".join([value for _, value in response.headers]).isprintable():
        out.append(_plain_head(response, body))
    else:
        for name, value in encode_headers(response):
            out += (name, b": ", value, b"\r\n")
    out.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    if method != b"HEAD":
        out.append(body)
    return b"".join(out)


def _plain_head(response: Response, body: bytes) -> bytes:
    """As `encode_headers`, at once, where no value holds anything odd."""
    text = "".join([f"{name}: {value}\r\n" for name, value in response.headers])
    if (body or response.status not in (204, 304)) and "\r\ncontent-length:" not in f"\r\n{text}".lower():
        text += f"content-length: {len(body)}\r\n"
    return text.encode("latin-1", "replace")
