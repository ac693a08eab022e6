"""A body on its way out: files that are opened before its first byte is promised, given in pieces.

What is opened outlasts its deletion. Of an object of very many parts the first files only are open at once; where one
of the others has gone when its turn comes the body breaks off, which the client sees by the end of the connection.
A piece is given when the disk has brought it, and the disk has begun with the next one by then: nobody waits for a disk
on the event loop.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosset.services.s3.customer_keys import BodyCipher
from cosset.store.cached_open import open_cached
from cosset.wire.file_bodies import FileBody, FilePiece
from cosset.wire.message import BodyBrokenError

_PIECE = 1 << 20
_OPEN_AT_ONCE = 64
_FLAGS = os.O_RDONLY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Segment:
    """Some bytes of a file."""

    path: Path
    start: int
    length: int


class Reading(FileBody):
    """Gives segments one after another. Closes itself at its end."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._left = list(reversed(segments))
        self._open: dict[Path, int] = {}
        self._at = 0

    async def open(self) -> None:
        """Raises FileNotFoundError."""
        if len(self._left) == 1:
            segment = self._left[0]
            descriptor = open_cached(segment.path)
            if descriptor is not None:
                self._open[segment.path] = descriptor
                return
        await asyncio.to_thread(self._open_first)

    def _open_first(self) -> None:
        try:
            for segment in self._left[-_OPEN_AT_ONCE:]:
                if segment.path not in self._open:
                    self._open[segment.path] = os.open(segment.path, _FLAGS)
        except BaseException:
            self._close()
            raise

    @property
    def name(self) -> str:
        """Of the file that the piece given last is of."""
        return self._left[-1].path.name

    async def next_piece(self) -> FilePiece | None:
        while self._left and self._at == self._left[-1].length:
            self._end_segment()
        if not self._left:
            self._close()
            return None
        segment = self._left[-1]
        start, length = segment.start + self._at, min(_PIECE, segment.length - self._at)
        try:
            descriptor = await self._descriptor(segment)
            if not _is_in_memory(descriptor, start + length - 1):
                await asyncio.to_thread(_bring, descriptor, start, length)
        except OSError as error:
            self._close()
            raise BodyBrokenError from error
        self._at += length
        return FilePiece(descriptor, start, length)

    async def _descriptor(self, segment: Segment) -> int:
        there = self._open.get(segment.path)
        if there is None:
            there = self._open[segment.path] = await asyncio.to_thread(os.open, segment.path, _FLAGS)
        return there

    def read_piece(self, piece: FilePiece) -> bytes:
        try:
            data = os.pread(piece.descriptor, piece.length, piece.start)
        except OSError as error:
            self._close()
            raise BodyBrokenError from error
        if len(data) < piece.length:
            self._close()
            raise BodyBrokenError("A file is shorter than it was")
        return data

    def _end_segment(self) -> None:
        ended = self._left.pop()
        descriptor = self._open.pop(ended.path, None)
        if descriptor is not None:
            os.close(descriptor)
        self._at = 0

    async def aclose(self) -> None:
        self._close()

    def _close(self) -> None:
        self._left.clear()
        while self._open:
            os.close(self._open.popitem()[1])

    def __del__(self) -> None:
        self._close()


async def unsealed(reading: Reading, key: bytes) -> AsyncIterator[bytes]:
    """The bytes that a customer's key sealed."""
    try:
        while (piece := await reading.next_piece()) is not None:
            cipher = BodyCipher(key, reading.name, piece.start)
            yield await asyncio.to_thread(cipher.update, reading.read_piece(piece))
    finally:
        await reading.aclose()


def _is_in_memory(descriptor: int, at: int) -> bool:
    """Whether the byte is, and so most likely those before it. False also where the system cannot tell."""
    try:
        return os.preadv(descriptor, [bytearray(1)], at, os.RWF_NOWAIT) == 1
    except (OSError, AttributeError):
        return False


def _bring(descriptor: int, start: int, length: int) -> None:
    """Blocks until the disk has brought the piece; the next one is asked of it, too."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, start, 2 * length, os.POSIX_FADV_WILLNEED)
        os.pread(descriptor, 1, start + length - 1)
    else:
        os.pread(descriptor, length, start)
