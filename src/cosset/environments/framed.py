"""The framed transport of managed Python: one socketpair an environment, AWS's bootstrap at its other end.

What comes in is written by the function as much as by our client: every length and every field is checked, and
whatever breaks the protocol closes the connection. Read next: runtimes/python/client.py, the other end.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as _quote
from typing import Any, cast

from cosset.environments.api import Event
from cosset.environments.runtime_api import MAX_REPLY_BYTES
from cosset.environments.transport import Reply, RuntimeInitError, TransportClosedError, oversized

_LENGTHS = struct.Struct(">cII")
_MAX_HEAD_BYTES = 4096
_MAX_TEXT = 256
_NEXT, _RESULT, _ERROR, _INIT_ERROR = b"N", b"R", b"F", b"I"


class FramedTransport:
    """Transport over a connected stream socket, which it owns."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._reply: asyncio.Future[Reply] | None = None
        self._request_id = ""
        self._connection: asyncio.Transport | None = None
        self._closed = False

    @classmethod
    async def connect(cls, sock: socket.socket) -> "FramedTransport":
        transport = cls()
        sock.setblocking(False)
        await transport._loop.create_unix_connection(lambda: _Frames(transport), sock=sock)
        return transport

    async def ready(self) -> None:
        await self._ready  # nobody else waits for it, so whoever gives up may end it

    def exchange(self, event: Event) -> asyncio.Future[Reply]:
        if self._closed or self._connection is None:
            raise TransportClosedError("the runtime has closed its connection", delivered=False)
        assert self._reply is None, "one event at a time"
        reply: asyncio.Future[Reply] = self._loop.create_future()
        self._reply = reply
        self._request_id = event.request_id
        self._connection.write(_event_frame(event))
        return reply

    def when_asked(self, callback: Callable[[], None]) -> None:
        """A reply asks for the next event, too."""
        callback()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.abort()
        self.disconnected()

    # What the frames call.

    def connected(self, connection: asyncio.Transport) -> None:
        self._connection = connection

    def disconnected(self) -> None:
        if self._closed:
            return
        self._closed = True
        if not self._ready.done():
            self._ready.set_exception(TransportClosedError("the runtime did not ask for an event", delivered=False))
            self._ready.exception()  # nobody may be waiting
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(TransportClosedError("the runtime ended before it answered", delivered=True))

    def received(self, kind: bytes, head: dict[str, Any], body: bytes, body_bytes: int) -> bool:
        """One whole frame; `body` is empty when it was too long to keep. False: it has no place here."""
        if kind in (_NEXT, _INIT_ERROR):
            if self._ready.done():
                return False
            if kind == _NEXT:
                self._ready.set_result(None)
            else:
                self._ready.set_exception(RuntimeInitError(_text(head.get("error_type")), body))
                self._ready.exception()
            return True
        if kind not in (_RESULT, _ERROR) or self._reply is None or self._reply.done():
            return False
        if head.get("request_id") != self._request_id:
            return False
        waiting, self._reply = self._reply, None  # an idle environment does not keep it
        waiting.set_result(_reply(kind, head, body, body_bytes))
        return True


class _Frames(asyncio.Protocol):
    """Cuts the stream into frames. Keeps at most one, and of an oversize one nothing."""

    def __init__(self, transport: FramedTransport) -> None:
        self._transport = transport
        self._connection: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._skipped: tuple[bytes, dict[str, Any], int] | None = None
        self._to_skip = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's are none by name
        self._connection = transport
        self._transport.connected(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport.disconnected()

    def data_received(self, data: bytes) -> None:
        if not self._buffer and self._skipped is None and self._took_whole(data):
            return
        self._buffer += data
        while self._buffer and self._connection is not None and self._take():
            pass

    def _took_whole(self, data: bytes) -> bool:
        """One frame and nothing besides, which is what nearly always comes: taken without a buffer."""
        if len(data) < _LENGTHS.size:
            return False
        kind, head_bytes, body_bytes = _LENGTHS.unpack_from(data)
        start = _LENGTHS.size + head_bytes
        if head_bytes > _MAX_HEAD_BYTES or len(data) != start + body_bytes or body_bytes > MAX_REPLY_BYTES:
            return False
        head = _head(data[_LENGTHS.size : start])
        if head is None or not self._transport.received(kind, head, data[start:], body_bytes):
            self._break()
        return True

    def _take(self) -> bool:
        """One frame, or a piece of one that is not kept; False when more must come first."""
        if self._skipped is not None:
            return self._skip()
        if len(self._buffer) < _LENGTHS.size:
            return False
        kind, head_bytes, body_bytes = _LENGTHS.unpack_from(self._buffer)
        if head_bytes > _MAX_HEAD_BYTES:
            return self._break()
        start = _LENGTHS.size + head_bytes
        if len(self._buffer) < start:
            return False
        if body_bytes <= MAX_REPLY_BYTES and len(self._buffer) < start + body_bytes:
            return False
        head = _head(bytes(self._buffer[_LENGTHS.size : start]))
        if head is None:
            return self._break()
        if body_bytes > MAX_REPLY_BYTES:
            del self._buffer[:start]
            self._skipped, self._to_skip = (kind, head, body_bytes), body_bytes
            return True
        body = bytes(self._buffer[start : start + body_bytes])
        del self._buffer[: start + body_bytes]
        return self._transport.received(kind, head, body, body_bytes) or self._break()

    def _skip(self) -> bool:
        assert self._skipped is not None
        skipped = min(self._to_skip, len(self._buffer))
        del self._buffer[:skipped]
        self._to_skip -= skipped
        if self._to_skip:
            return False
        kind, head, body_bytes = self._skipped
        self._skipped = None
        return self._transport.received(kind, head, b"", body_bytes) or self._break()

    def _break(self) -> bool:
        """The other end does not keep the protocol: it is not ours any more."""
        self._buffer.clear()
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
        self._transport.disconnected()
        return False


def _event_frame(event: Event) -> bytes:
    """The head is JSON, written by hand: every invocation comes by."""
    text = (
        f'{{"request_id":{_quote(event.request_id)},"arn":{_quote(event.invoked_arn)},'
        f'"deadline_ms":{event.deadline_ms},"content_type":{_quote(event.content_type)}'
    )
    if event.trace_id:
        text += f',"trace_id":{_quote(event.trace_id)}'
    if event.client_context is not None:
        text += f',"client_context":{_quote(event.client_context)}'
    if event.cognito_identity is not None:
        text += f',"cognito_identity":{_quote(event.cognito_identity)}'
    head = f"{text}}}".encode()
    return b"".join((_LENGTHS.pack(b"E", len(head), len(event.payload)), head, event.payload))


def _reply(kind: bytes, head: dict[str, Any], body: bytes, body_bytes: int) -> Reply:
    if body_bytes > MAX_REPLY_BYTES:
        return oversized(MAX_REPLY_BYTES)
    if kind == _ERROR:
        return Reply(body, error_type=_declared_type(body))
    return Reply(body, _text(head.get("content_type"), "application/json"))


def _declared_type(body: bytes) -> str:
    head = _head(body)
    return _text(head.get("errorType")) if head is not None else "Runtime.Unknown"


def _head(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data.decode())  # from bytes, json would look for an encoding first
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _text(value: object, otherwise: str = "Runtime.Unknown") -> str:
    return value[:_MAX_TEXT] if isinstance(value, str) and value else otherwise
