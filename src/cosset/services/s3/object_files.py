"""The bytes of objects: files that are whole, or that no row names.

A file is written under a name that nobody else has, synced, and only then named by a row: what was written and never
named is removed by `sweep`. Small bodies are no files; they are kept in the row (`Stored.inline`). One megabyte of a
body is in memory at a time.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from cosset.services.s3.checksums import Digests
from cosset.store.disk import DiskWatch, sync_folder
from cosset.store.errors import DiskFullError

INLINE_BYTES = 4096
_CHUNK = 1 << 20
_OUT_OF_SPACE = (28, 122)  # ENOSPC, EDQUOT

FilePart = tuple[str, int]
"""A file's name and its size."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a body is: in `files`, one after another, or in `inline`."""

    files: tuple[FilePart, ...] = ()
    inline: bytes | None = None

    @property
    def size(self) -> int:
        return len(self.inline) if self.inline is not None else sum(size for _, size in self.files)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to `start + length` of a body."""

    start: int
    length: int


class ObjectFiles:
    """Object bytes in `folder`."""

    def __init__(self, folder: Path, *, min_free_mb: int = 0) -> None:
        self._folder = folder
        for number in range(256):
            (folder / f"{number:02x}").mkdir(parents=True, exist_ok=True, mode=0o700)
        sync_folder(folder)
        self._watch = DiskWatch(folder, min_free_mb)

    async def write(self, body: AsyncIterator[bytes] | bytes, digests: Digests) -> Stored:
        """Returns when the body outlasts a power loss, or is small and still has to be put into a row.

        Raises DiskFullError. What raises, or is cancelled, leaves nothing behind.
        """
        draft: _Draft | None = None
        try:
            async for chunk in _gathered(body):
                if draft is None and chunk.is_last and len(chunk.data) <= INLINE_BYTES:
                    digests.update(chunk.data)
                    return Stored(inline=chunk.data)
                draft = draft or _Draft(self._path(uuid4().hex), self._watch)
                await asyncio.to_thread(draft.write, chunk.data, digests)
            assert draft is not None
            await asyncio.to_thread(draft.keep)
            kept, draft = draft, None
            return Stored(files=((kept.path.name, kept.size),))
        finally:
            if draft is not None:
                draft.discard()

    async def read(self, stored: Stored, span: Span) -> AsyncIterator[bytes]:
        """The bytes of the span. Raises FileNotFoundError, where the object was deleted in the meantime."""
        if stored.inline is not None:
            yield stored.inline[span.start : span.start + span.length]
            return
        start, left = span.start, span.length
        for name, size in stored.files:
            if start >= size:
                start -= size
                continue
            file = await asyncio.to_thread(self._path(name).open, "rb", buffering=0)
            try:
                at, wanted = start, min(left, size - start)
                while wanted:
                    data = await asyncio.to_thread(os.pread, file.fileno(), min(_CHUNK, wanted), at)
                    if not data:
                        raise FileNotFoundError(f"{name} is shorter than it was")
                    at, wanted, left = at + len(data), wanted - len(data), left - len(data)
                    yield data
            finally:
                file.close()
            start = 0
            if not left:
                return

    async def remove(self, names: Iterable[str]) -> None:
        """Forgets files that no row names any more. One that is not there is no error."""
        for name in names:
            await asyncio.to_thread(self._path(name).unlink, missing_ok=True)

    async def sweep(self, are_named: Callable[[Sequence[str]], Awaitable[Collection[str]]], older_than_s: float) -> int:
        """Removes files that were never named, or whose rows went before they did; how many.

        `are_named` says which of some names rows name. Young files may still be named: `older_than_s` is an epoch.
        """
        gone = 0
        for number in range(256):
            names = await asyncio.to_thread(_older, self._folder / f"{number:02x}", older_than_s)
            named = await are_named(names) if names else ()
            orphans = [name for name in names if name not in named]
            await self.remove(orphans)
            gone += len(orphans)
        return gone

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name


@dataclass(frozen=True, slots=True)
class _Gathered:
    data: bytes
    is_last: bool


async def _gathered(body: AsyncIterator[bytes] | bytes) -> AsyncIterator[_Gathered]:
    """The body in pieces of about a megabyte, the last of them known to be it."""
    if isinstance(body, bytes):
        yield _Gathered(body, True)
        return
    held = bytearray()
    async for chunk in body:
        if len(held) >= _CHUNK:
            yield _Gathered(bytes(held), False)
            held.clear()
        held += chunk
    yield _Gathered(bytes(held), True)


@dataclass(slots=True)
class _Draft:
    """A file being written. `write` and `keep` block: for threads, one at a time."""

    path: Path
    watch: DiskWatch
    size: int = 0
    _descriptor: int = field(init=False)

    def __post_init__(self) -> None:
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes, digests: Digests) -> None:
        self.watch.check(len(data))
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise self._explained(error) from error
        digests.update(data)
        self.size += len(data)

    def keep(self) -> None:
        try:
            os.fsync(self._descriptor)
            sync_folder(self.path.parent)
        except OSError as error:
            raise self._explained(error) from error
        os.close(self._descriptor)

    def discard(self) -> None:
        os.close(self._descriptor)
        self.path.unlink(missing_ok=True)

    def _explained(self, error: OSError) -> Exception:
        return DiskFullError(self.path.parent) if error.errno in _OUT_OF_SPACE else error


def _older(folder: Path, than_s: float) -> list[str]:
    return [entry.name for entry in os.scandir(folder) if entry.stat().st_mtime < than_s]
