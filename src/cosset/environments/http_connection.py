"""One HTTP/1.1 connection from inside an environment: what was sent is parsed, what is answered is written, no more.

The other end runs the user's code: every size is bounded, anything malformed ends the connection, what is beyond a
bound ends it without a word, and an answer to a connection that has gone is dropped (and said so), never raised. Read
next: runtime_api.py, which decides the answers.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple, Protocol, cast

import httptools

from cosset.wire.http_heads import BesideBody, without_offer

logger = logging.getLogger(__name__)

MAX_HEAD_BYTES = 2 * 1024 * 1024
"""Of one request's headers and trailers: AWS's clients send an X-Ray cause of up to 1 MiB in one."""
_MAX_PATH_BYTES = 2048
_MAX_AT_ONCE = 16
"""Requests that may come in one read. Clients send one and wait; whoever sends thousands would have the server to
itself meanwhile."""
_MAX_FIELDS = 256
"""Headers and trailers of one request: an empty one is four bytes there, and twenty times as many here."""
_EXPECT_BYTES = len(b"expect")

# Looking one up in an enumeration costs more than all else of a head.
_CLOSE = "Connection: close\r\n"
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


class HttpRequest:
    """One request. When `too_large` is set the body was read and thrown away."""

    __slots__ = ("_headers", "body", "body_bytes", "head", "method", "path", "streamed", "tail", "too_large")

    def __init__(self) -> None:
        self.path = ""
        self.method = ""
        self.head: list[tuple[bytes, bytes]] = []
        self.tail: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.body_bytes = 0
        self.too_large = False
        self.streamed = False
        """The body has gone to the BodySink that `Handler.begins` gave."""
        self._headers: dict[str, str] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Names in lower case. Read when they are asked for: of most requests nobody does."""
        if self._headers is None:
            self._headers = _decoded(self.head)
        return self._headers

    def header(self, name: bytes, otherwise: str) -> str:
        """One of them, asked for in lower case, where nobody asks for a second."""
        for given, value in reversed(self.head):
            if len(given) == len(name) and given.lower() == name:
                return value.decode("latin-1")
        return otherwise

    @property
    def trailers(self) -> dict[str, str]:
        return _decoded(self.tail) if self.tail else {}


def _decoded(fields: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in fields}


class Answered(NamedTuple):
    """One answer. `headers` are whole lines, each with its end."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: str = ""


_MALFORMED = Answered(400, b"400 Bad Request", "text/plain; charset=utf-8")


@dataclass(frozen=True, slots=True)
class BodySink:
    """Where a body goes as it comes, up to `max_bytes`; the rest is thrown away."""

    feed: Callable[[bytes], None]
    max_bytes: int


class Room:
    """For the bodies that all connections of one environment hold, unfinished, together."""

    def __init__(self, max_bytes: int) -> None:
        self.left_bytes = max_bytes


class Handler(Protocol):
    """Who decides the answers, for all connections of one environment."""

    def connected(self, connection: "HttpConnection") -> bool: ...

    def disconnected(self, connection: "HttpConnection") -> None: ...

    def begins(self, connection: "HttpConnection", request: HttpRequest) -> BodySink | None:
        """The head is complete. None: the body is to be collected."""
        ...

    def handle(self, connection: "HttpConnection", request: HttpRequest) -> Answered | None:
        """The answer, or None: it comes later, through `connection.answer`."""
        ...


class HttpConnection(asyncio.Protocol):
    """One connection; one request at a time: what comes before an answer that takes time closes it. Whoever does not
    read is not read from."""

    def __init__(self, handler: Handler, *, max_body_bytes: int, room: Room | None = None) -> None:
        """`room`: None when every connection may hold a whole body."""
        self._handler = handler
        self._max_body_bytes = max_body_bytes
        self._room = room or Room(max_body_bytes)
        self._body = bytearray()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._open = False
        self._answering = False
        self._keep_alive = False
        self._beside = BesideBody()
        self._piece_bytes = 0
        self._begun_at_once = 0
        self._is_paused = False
        self._is_unread = False
        self._sink: BodySink | None = None
        self._reset()

    def answer(self, answered: Answered) -> bool:
        """Writes an answer. False: nobody is there to read it any more."""
        transport = self._transport
        if transport is None or transport.is_closing() or not self._answering:
            return False
        self._answering = False
        head = _head(answered, self._keep_alive)
        transport.write(head if self._request.method == "HEAD" else head + answered.body)
        if not self._keep_alive:
            transport.close()
        return True

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Reads no more for now: the other end comes to wait when the socket's buffers are full."""
        self._is_paused = True
        self._read_or_not()

    def resume(self) -> None:
        self._is_paused = False
        self._read_or_not()

    # asyncio.Protocol

    def pause_writing(self) -> None:
        self._is_unread = True
        self._read_or_not()

    def resume_writing(self) -> None:
        self._is_unread = False
        self._read_or_not()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's are none by name
        self._transport = transport
        self._open = self._handler.connected(self)
        if not self._open:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._piece_bytes = len(data)
        self._begun_at_once = 0
        self._beside.feed(self._piece_bytes)
        self._feed(data)
        if self._beside.size_bytes > MAX_HEAD_BYTES:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._forget_body()
        if self._open:
            self._open = False
            self._handler.disconnected(self)

    # httptools

    def on_message_begin(self) -> None:
        self._begun_at_once += 1
        if self._answering or self._begun_at_once > _MAX_AT_ONCE:
            raise ConnectionAbortedError
        self._reset()
        self._beside.begin(self._piece_bytes)

    def on_url(self, url: bytes) -> None:
        self._url += url
        if len(self._url) > _MAX_PATH_BYTES:
            raise ConnectionAbortedError

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._request
        fields = request.tail if self._in_body else request.head
        if len(fields) == _MAX_FIELDS:
            raise ConnectionAbortedError
        fields.append((name, value))
        if len(name) == _EXPECT_BYTES and not self._in_body and name.lower() == b"expect":
            self._expects = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        if self._parser.should_upgrade():
            return
        self._in_body = True
        self._request.path = self._url.decode("latin-1").partition("?")[0]
        self._request.method = self._parser.get_method().decode("latin-1")
        if self._expects and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._sink = self._handler.begins(self, self._request)
        self._request.streamed = self._sink is not None

    def on_body(self, body: bytes) -> None:
        request, sink = self._request, self._sink
        self._beside.is_body(len(body))
        request.body_bytes += len(body)
        if request.body_bytes > (self._max_body_bytes if sink is None else sink.max_bytes):
            request.too_large = True
            self._forget_body()
        elif sink is not None:
            sink.feed(body)
        else:
            self._room.left_bytes -= len(body)
            self._body += body
            if self._room.left_bytes < 0:
                raise ConnectionAbortedError

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return
        request = self._request
        if self._body:
            request.body = bytes(self._body)
            self._forget_body()
        self._answering = True
        self._keep_alive = self._parser.should_keep_alive()  # it knows now, and not when the answer comes later
        self._in_body = False
        self._sink = None
        answered = self._handler.handle(self, request)
        if answered is not None:
            self.answer(answered)

    def _reset(self) -> None:
        self._request = HttpRequest()
        self._url = b""
        self._expects = False
        self._in_body = False  # what comes after the head: the body, its trailers
        self._sink = None
        if self._body:
            self._forget_body()

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline_upgrade(data[offer.args[0] :])
        except httptools.HttpParserCallbackError as stopped:
            if not isinstance(stopped.__context__, ConnectionAbortedError):
                logger.error("a request from inside failed", exc_info=stopped)
            self.abort()
        except httptools.HttpParserError:
            self._refuse()

    def _decline_upgrade(self, rest: bytes) -> None:
        """The request again, as one that offers nothing."""
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._refuse()
            return
        head = without_offer(method, self._url, self._parser.get_http_version(), self._request.head)
        self._parser = httptools.HttpRequestParser(self)
        self._feed(head + rest)

    def _refuse(self) -> None:
        """What came is no request, or none that can be answered: nothing can be told of what comes after it."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._answering:
            self.abort()
            return
        self._transport.write(_head(_MALFORMED, keep_alive=False) + _MALFORMED.body)
        self._transport.close()

    def _forget_body(self) -> None:
        self._room.left_bytes += len(self._body)
        self._body.clear()

    def _read_or_not(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._is_paused or self._is_unread:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


def _head(answered: Answered, keep_alive: bool) -> bytes:
    status, body, content_type, headers = answered
    return (
        f"{_STATUS_LINES[status]}{headers}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"{'' if keep_alive else _CLOSE}\r\n"
    ).encode("latin-1", "replace")
