"""Bodies that lie in files: the door may hand the files to the kernel instead of reading them (gateway/outflow.py)."""

from abc import abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FilePiece:
    """Bytes of an open file. The descriptor is the body's, and good until the next piece is asked for."""

    descriptor: int
    start: int
    length: int


class FileBody(AsyncGenerator[bytes, None]):
    """Taken piece by piece by one who sends files, chunk by chunk by any other."""

    @abstractmethod
    async def next_piece(self) -> FilePiece | None:
        """None at the end. Its bytes were in memory just now. Raises BodyBrokenError."""

    @abstractmethod
    def read_piece(self, piece: FilePiece) -> bytes:
        """The bytes of the piece that was given last. Raises BodyBrokenError, where they are not there any more."""

    async def asend(self, value: None) -> bytes:
        piece = await self.next_piece()
        if piece is None:
            raise StopAsyncIteration
        return self.read_piece(piece)

    async def athrow(self, typ: Any, val: Any = None, tb: Any = None) -> bytes:
        await self.aclose()
        raise typ if val is None else val
