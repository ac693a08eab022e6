"""Bodies on their way in: what the parser had, and, where it knows the length, the rest straight from the socket.

A large body goes into buffers that are used again and again, past the parser, which has nothing to find in it: most of
what a body costs otherwise is memory that was not touched before. The kernel gathers a buffer's worth before it wakes
anybody; while the client is fast a thread reads the socket, and the event loop has nothing to do with it (sluice.py).
Decisions 0033, 0042, 0049. Next: streaming.py.
"""

import asyncio
from collections import deque
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from cosset.gateway.body import ClientGoneError
from cosset.gateway.gathering import Gathering
from cosset.gateway.sluice import Sluice, Sluices
from cosset.wire.views import Chunk, Take, ViewedBody

BUFFER_BYTES = 512 * 1024
_WORTH_BYTES = 64 * 1024
"""Less than this of a body is left to the parser, and not given on while more is coming."""
_LET_GO_BYTES = 1 << 27
"""A client that is still sending reads no answer: what is left of its body is read and thrown away."""
_LET_GO_S = 2.0
_MANY, _FEW = 16, 4
"""Buffers of one body: one being filled, one ready, and the others, that were given on. With many the disk has done all
of 8 MB while MD5, which is slower, still counts."""
_POURED_BYTES = 2 * BUFFER_BYTES
"""Less than this of a body is no thread's work."""


class Buffers:
    """Memory for bodies on their way in, all connections together, and threads. At the limit bodies go through the
    parser instead, 64 KB at a time."""

    def __init__(self, most: int = 48, kept: int = 16) -> None:
        self.sluices = Sluices()
        self._most = most
        self._kept = kept
        self._used = 0
        self._free: list[bytearray] = []

    def take(self) -> list[bytearray]:
        """As many as one body takes: fewer when half of all are in use, and none at the limit."""
        count = _MANY if self._used + _MANY <= self._most // 2 else _FEW
        if self._used + count > self._most:
            return []
        self._used += count
        return [self._free.pop() if self._free else bytearray(BUFFER_BYTES) for _ in range(count)]

    def give_back(self, buffers: list[bytearray]) -> None:
        self._used -= len(buffers)
        self._free += buffers[: self._kept - len(self._free)]


class Inflow(ViewedBody):
    """The body of one request. uvicorn stops reading from the client while 64 KB wait here, or all buffers are full:
    back-pressure. `length` is what the client announced, None where it did not."""

    def __init__(self, cycle: RequestResponseCycle, connection: Any, length: int | None) -> None:
        self._cycle = cycle
        self._connection = connection
        self._left = length
        self._direct: _Direct | None = None
        self._has_begun = False
        self._has_ended = False

    @property
    def good_for(self) -> int:
        return super().good_for if self._direct is None else self._direct.good_for

    @property
    def is_fast(self) -> bool:
        return self._direct is not None and self._direct.is_fast

    async def pour(self, take: Take) -> None:
        if self._direct is not None and self._direct.is_fast:
            await self._direct.pour(take)

    async def next_view(self) -> Chunk | None:
        """Raises ClientGoneError: the client left in the middle."""
        self._has_begun = True
        if self._direct is not None:
            view = await self._direct.next_view()
            self._has_ended = view is None
            return view
        while not self._has_ended:
            message = await self._cycle.receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            self._has_ended = not message["more_body"]
            if message["body"]:
                if self._left is not None:
                    self._left -= len(message["body"])
                self._go_direct()
                return message["body"]
        return None

    def _go_direct(self) -> None:
        connection = self._connection
        plain = connection.transport.get_extra_info("sslcontext") is None
        if self._has_ended or self._left is None or self._left < _WORTH_BYTES or not plain:
            return
        buffers = connection.buffers.take()
        if buffers:
            self._direct = _Direct(connection, self._left, buffers)

    async def let_go(self, expects_word: bool) -> bool:
        """Reads on to the end, if that is near; whether the connection may be used again: what an answer that came
        early left unread must not be taken for the next request on it.

        `expects_word`: the client waits to be told before it sends the body, and will not send it after an answer.
        """
        if self._has_ended:
            return True
        if expects_word and not self._has_begun:
            return False
        read = 0
        try:
            async with asyncio.timeout(_LET_GO_S):
                while (piece := await self.next_view()) is not None:
                    read += len(piece)
                    if read > _LET_GO_BYTES:
                        return False
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Nobody reads on, nor has a view of it: what still comes is thrown away."""
        if self._direct is not None:
            self._direct.close()


class _Direct(asyncio.BufferedProtocol):
    """Stands in a connection's place at its transport, until `left` bytes have come."""

    def __init__(self, connection: Any, left: int, buffers: list[bytearray]) -> None:
        self._connection = connection
        self._left = left
        self._buffers = buffers
        self._free = deque(buffers)
        self._filling: bytearray | None = None
        self._filled = 0
        self._ready: deque[tuple[bytearray, int]] = deque()
        self._given: deque[bytearray] = deque()
        self._wanted: asyncio.Future[None] | None = None
        self._is_gone = False
        self._is_closed = False
        self._is_slow = False
        self._sluice: Sluice | None = None
        self._gathering = Gathering(connection.transport.get_extra_info("socket"), BUFFER_BYTES)
        self._gathering.begin(left)
        connection.transport.set_protocol(self)
        connection.flow.resume_reading()

    # --- the reader's side

    @property
    def good_for(self) -> int:
        return len(self._buffers) - 2

    @property
    def is_fast(self) -> bool:
        is_there = not self._is_gone and not self._connection.transport.is_closing()
        is_worth = self._left >= _POURED_BYTES and not self._is_slow
        return is_there and is_worth and self._connection.buffers.sluices.has_one

    async def pour(self, take: Take) -> None:
        """The loop does nothing with the connection meanwhile, except that it may lose it."""
        transport = self._connection.transport
        try:
            sluice = self._sluice = Sluice(transport.get_extra_info("socket"))
        except OSError:  # no descriptor is left for it
            self._is_slow = True
            return
        self._gathering.stop_hurrying()
        self._connection.flow.pause_reading()
        try:
            await self._connection.buffers.sluices.run(sluice, partial(self._pour, sluice, take))
        finally:
            self._sluice = None
            self._gathering.end()
            sluice.close()
            self._is_slow = self._left > 0
            if not self._left:
                self._end()
            elif not self._is_gone and not transport.is_closing():
                self._connection.flow.resume_reading()

    def _pour(self, sluice: Sluice, take: Take) -> None:
        """In a thread. What was not given yet is given first."""
        worth = _WORTH_BYTES
        while self._ready:
            take(self._next_ready())
        while self._left:
            target = self.get_buffer(0)
            size = sluice.receive(target, min(max(worth - self._filled, 1), len(target)))
            if not size:
                return
            self._connection.body_moved()
            self._left -= size
            self._filled += size
            if self._filled >= worth or not self._left:
                worth = min(2 * worth, BUFFER_BYTES)
                assert self._filling is not None
                self._ready.append((self._filling, self._filled))
                self._filling, self._filled = None, 0
                take(self._next_ready())

    def _next_ready(self) -> memoryview:
        buffer, size = self._ready.popleft()
        self._given.append(buffer)
        if len(self._given) > self.good_for:
            self._free.append(self._given.popleft())
        return memoryview(buffer)[:size]

    async def next_view(self) -> memoryview | None:
        if len(self._given) == self.good_for:
            self._free.append(self._given.popleft())
        if self._free:
            self._connection.flow.resume_reading()
        while not self._ready:
            if self._is_gone:
                raise ClientGoneError
            if not self._left:
                return None
            if self._filled >= _WORTH_BYTES:
                self._put_by()
                break
            self._wanted = asyncio.get_running_loop().create_future()
            self._gathering.hurry()
            await self._wanted
        buffer, size = self._ready.popleft()
        self._given.append(buffer)
        return memoryview(buffer)[:size]

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._ready.clear()
            if not self._is_gone:
                self._gathering.end()
            self._connection.buffers.give_back(self._buffers)

    # --- the socket's side

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._is_closed:
            return memoryview(bytearray(min(_WORTH_BYTES, self._left)))
        if self._filling is None:
            self._filling = self._free.popleft()
        return memoryview(self._filling)[self._filled :][: self._left]

    def buffer_updated(self, nbytes: int) -> None:
        self._connection.body_moved()
        self._left -= nbytes
        if not self._is_closed:
            self._gathering.go_on(self._left)
            self._filled += nbytes
            if not self._left or self._filled == BUFFER_BYTES or (self._wanted and self._filled >= _WORTH_BYTES):
                self._put_by()
        if not self._left:
            self._end()

    def _end(self) -> None:
        if not self._is_gone and not self._connection.transport.is_closing():
            self._connection.transport.set_protocol(self._connection)
            self._connection.flow.resume_reading()
        self._connection.body_ended()

    def _put_by(self) -> None:
        assert self._filling is not None
        if self._filled == BUFFER_BYTES:
            self._is_slow = False
            self._gathering.begin(self._left)
        self._ready.append((self._filling, self._filled))
        self._filling, self._filled = None, 0
        if not self._free or self._wanted is not None:
            self._connection.flow.pause_reading()  # who waits gets it at once, before more is read
        self._wake()

    def _wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)
        self._wanted = None

    def eof_received(self) -> bool | None:
        return self._connection.eof_received()  # type: ignore[no-any-return]

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_gone = True
        if self._sluice is not None:
            self._sluice.shut()
        self._gathering.leave()
        self._wake()
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()
