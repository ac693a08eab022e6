"""A body on its way out: a generator over files that are opened before its first byte is promised.

What is opened outlasts its deletion. Of an object of very many parts the first files only are open at once; where one
of the others has gone when its turn comes the body breaks off, which the client sees by the end of the connection.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosset.services.s3.customer_keys import BodyCipher
from cosset.wire.message import BodyBrokenError

_CHUNK = 1 << 20
_OPEN_AT_ONCE = 64
_FLAGS = os.O_RDONLY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Segment:
    """Some bytes of a file."""

    path: Path
    start: int
    length: int


class Reading(AsyncGenerator[bytes, None]):
    """Reads segments one after another; `key` opens what a customer's key sealed. Closes itself at its end."""

    def __init__(self, segments: Sequence[Segment], key: bytes | None = None) -> None:
        self._left = list(reversed(segments))
        self._key = key
        self._open: dict[Path, int] = {}
        self._at = 0
        self._cipher: BodyCipher | None = None

    async def open(self) -> None:
        """Raises FileNotFoundError."""
        await asyncio.to_thread(self._open_first)

    def _open_first(self) -> None:
        try:
            for segment in reversed(self._left[-_OPEN_AT_ONCE:]):
                self._open[segment.path] = os.open(segment.path, _FLAGS)
        except BaseException:
            self._close()
            raise

    async def asend(self, value: None) -> bytes:
        while self._left and self._at == self._left[-1].length:
            self._end_segment()
        if not self._left:
            self._close()
            raise StopAsyncIteration
        segment = self._left[-1]
        try:
            descriptor = await self._descriptor(segment)
            data = await self._piece(descriptor, segment.start + self._at, min(_CHUNK, segment.length - self._at))
        except OSError as error:
            self._close()
            raise BodyBrokenError from error
        if not data:
            self._close()
            raise BodyBrokenError(f"{segment.path.name} is shorter than it was")
        if self._key is not None:
            self._cipher = self._cipher or BodyCipher(self._key, segment.path.name, segment.start)
            data = await asyncio.to_thread(self._cipher.update, data)
        self._at += len(data)
        return data

    async def _descriptor(self, segment: Segment) -> int:
        there = self._open.get(segment.path)
        if there is None:
            there = self._open[segment.path] = await asyncio.to_thread(os.open, segment.path, _FLAGS)
        return there

    async def _piece(self, descriptor: int, start: int, length: int) -> bytes:
        """In a thread, unless the end of it is in memory, and so most likely all: that takes no longer than asking a
        thread would."""
        if _is_in_memory(descriptor, start + length - 1):
            return os.pread(descriptor, length, start)
        return await asyncio.to_thread(os.pread, descriptor, length, start)

    def _end_segment(self) -> None:
        ended = self._left.pop()
        descriptor = self._open.pop(ended.path, None)
        if descriptor is not None:
            os.close(descriptor)
        self._at, self._cipher = 0, None

    async def athrow(self, typ: Any, val: Any = None, tb: Any = None) -> bytes:
        self._close()
        raise typ if val is None else val

    async def aclose(self) -> None:
        self._close()

    def _close(self) -> None:
        self._left.clear()
        while self._open:
            os.close(self._open.popitem()[1])

    def __del__(self) -> None:
        self._close()


def _is_in_memory(descriptor: int, at: int) -> bool:
    """False also where the system cannot tell."""
    try:
        return os.preadv(descriptor, [bytearray(1)], at, os.RWF_NOWAIT) == 1
    except (OSError, AttributeError):
        return False
