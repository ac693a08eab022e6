"""A response that leaves its environment while the function still makes it: a bounded pipe with back-pressure.

The Runtime API feeds it in callbacks, the invocation's caller reads it. A caller that leaves stops nothing: the rest is
thrown away and the function runs to its end, as on AWS. Holds at most what one read from a socket brings above
HIGH_BYTES. Read next: runtime_api.py (who feeds), invocation/streaming.py (who reads).
Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
"""

import asyncio
from collections.abc import AsyncIterator, Callable

MAX_STREAM_BYTES = 200 * 1024 * 1024
"""AWS's limit on a streamed response."""
HIGH_BYTES = 256 * 1024
"""Held for a slow reader before the function must wait."""
_CHUNK_BYTES = 64
"""What a chunk costs besides its bytes: they may come one at a time."""


def _nothing() -> None: ...


class ResponseStream:
    """One response. `begin`, `feed` and `close` are the writer's; iterating and `abandon` the reader's."""

    def __init__(self) -> None:
        self.content_type = "application/octet-stream"
        self.begun = asyncio.Event()
        """Set when the head is known: from here on the answer is a stream, however it ends."""
        self._chunks: list[bytes] = []
        self._held_bytes = 0
        self._changed = asyncio.Event()
        self._closed = False
        self._abandoned = False
        self._paused = False
        self._pause: Callable[[], None] = _nothing
        self._resume: Callable[[], None] = _nothing

    def begin(self, content_type: str, *, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """`pause` and `resume` are called when the function is to wait and to go on."""
        self.content_type = content_type
        self._pause, self._resume = pause, resume
        self.begun.set()

    def feed(self, data: bytes) -> None:
        if self._closed or self._abandoned:
            return
        self._chunks.append(data)
        self._held_bytes += len(data) + _CHUNK_BYTES
        self._changed.set()
        if self._held_bytes > HIGH_BYTES and not self._paused:
            self._paused = True
            self._pause()

    def close(self) -> None:
        """The response is over, well or not. What is held can still be read. Idempotent."""
        self._closed = True
        self._changed.set()
        self._go_on()

    def abandon(self) -> None:
        """Nobody reads any more. Idempotent."""
        self._abandoned = True
        self._chunks.clear()
        self._held_bytes = 0
        self._changed.set()
        self._go_on()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """What has come since the last time, in one piece, until `close`."""
        while True:
            if self._chunks:
                data = b"".join(self._chunks) if len(self._chunks) > 1 else self._chunks[0]
                self._chunks.clear()
                self._held_bytes = 0
                self._go_on()
                yield data
                continue
            if self._closed or self._abandoned:
                return
            self._changed.clear()
            await self._changed.wait()

    def _go_on(self) -> None:
        if self._paused:
            self._paused = False
            self._resume()
