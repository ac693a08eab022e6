"""The bytes of objects: files that are whole, or that no row names.

A file is written under a name that nobody else has, synced, and only then named by a row: what was written and never
named is removed by `sweep`. A file has one owner, a version or a part; a copy has links of its own to the same bytes.
Small bodies are no files; they are kept in the row (`Stored.inline`). Next: drafts.py, readings.py.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from cosset.services.s3.checksums import Digests
from cosset.services.s3.drafts import OUT_OF_SPACE, Draft, fill, fill_at_once
from cosset.services.s3.readings import Reading, Segment, unsealed
from cosset.store.disk import DiskWatch, sync_folder
from cosset.store.errors import DiskFullError
from cosset.wire.views import Chunk, viewed

INLINE_BYTES = 4096
_COPIED_AT_ONCE = 1 << 20
_REMOVALS_AT_ONCE = 16
_THREADS = 16
"""For all bodies on their way in."""
_NO_LINK = (1, 18, 31, 95)  # EPERM, EXDEV, EMLINK, EOPNOTSUPP: a copy of the bytes then

_log = logging.getLogger(__name__)

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

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.files)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to `start + length` of a body."""

    start: int
    length: int


class ObjectFiles:
    """Object bytes in `folder`."""

    def __init__(self, folder: Path, *, min_free_mb: int = 0) -> None:
        self._folder = folder
        if not (folder / "ff").is_dir():
            for number in range(256):
                (folder / f"{number:02x}").mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_folder(folder)
        self._watch = DiskWatch(folder, min_free_mb)
        self._removals: set[asyncio.Future[None]] = set()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="objects")

    async def write(
        self,
        body: AsyncIterator[bytes] | bytes,
        digests: Digests,
        *,
        key: bytes | None = None,
        may_inline: bool = True,
    ) -> Stored:
        """Returns when the body outlasts a power loss, or is small and still has to be put into a row.

        `key` seals the file (customer_keys.py). Raises DiskFullError. What raises, or is cancelled, leaves nothing
        behind.
        """
        may_inline = may_inline and key is None
        if isinstance(body, bytes):
            if may_inline and len(body) <= INLINE_BYTES:
                digests.update(body)
                return Stored(inline=body)
            draft = self._draft(key)
            await fill_at_once(draft, digests, body, self._threads)
            return Stored(files=((draft.path.name, draft.size),))
        source = viewed(body)
        begun: list[Chunk] = []
        if may_inline:
            first: Chunk = await source.next_view() or b""
            begun = [first]
            if len(first) <= INLINE_BYTES:
                small, second = bytes(first), await source.next_view()
                if second is None:
                    digests.update(small)
                    return Stored(inline=small)
                begun = [small, second]
        draft = self._draft(key)
        await fill(draft, digests, begun, source, self._threads)
        return Stored(files=((draft.path.name, draft.size),))

    def _draft(self, key: bytes | None) -> Draft:
        return Draft(self._path(uuid4().hex), self._watch, key)

    async def link(self, stored: Stored) -> Stored:
        """The same bytes under names of their own, which outlast a power loss.

        Raises FileNotFoundError, DiskFullError.
        """
        if not stored.files:
            return stored
        made = [(uuid4().hex, size) for _, size in stored.files]
        try:
            await asyncio.to_thread(self._link_all, stored.names, [name for name, _ in made])
        except BaseException:
            await self.remove(name for name, _ in made)
            raise
        return Stored(files=tuple(made))

    def _link_all(self, names: Sequence[str], links: Sequence[str]) -> None:
        self._watch.check()
        folders: set[Path] = set()
        for name, link in zip(names, links, strict=True):
            path = self._path(link)
            try:
                os.link(self._path(name), path)
            except OSError as error:
                if error.errno in OUT_OF_SPACE:
                    raise DiskFullError(self._folder) from error
                if error.errno not in _NO_LINK:
                    raise
                self._copy(self._path(name), path)
            folders.add(path.parent)
        for folder in folders:
            sync_folder(folder)

    def _copy(self, source: Path, path: Path) -> None:
        with source.open("rb") as read, path.open("xb") as written:
            self._watch.check(os.fstat(read.fileno()).st_size)
            shutil.copyfileobj(read, written, _COPIED_AT_ONCE)
            written.flush()
            os.fsync(written.fileno())

    async def read(self, stored: Stored, span: Span, key: bytes | None = None) -> AsyncIterator[bytes]:
        """The bytes of the span, whatever becomes of the object meanwhile, or a body that visibly breaks off.

        Raises FileNotFoundError where the object was deleted before this.
        """
        if stored.inline is not None:
            return _whole(stored.inline[span.start : span.start + span.length])
        reading = Reading(self._segments(stored, span))
        await reading.open()
        return reading if key is None else unsealed(reading, key)

    def _segments(self, stored: Stored, span: Span) -> list[Segment]:
        start, left = span.start, span.length
        found: list[Segment] = []
        for name, size in stored.files:
            if not left:
                break
            if start < size:
                length = min(left, size - start)
                found.append(Segment(self._path(name), start, length))
                left -= length
            start = max(start - size, 0)
        return found

    async def remove(self, names: Iterable[str]) -> None:
        """Forgets files that no row names any more. One that is not there is no error."""
        paths = [self._path(name) for name in names]
        if paths:
            await asyncio.to_thread(_unlink_all, paths)

    async def remove_soon(self, names: Iterable[str]) -> None:
        """The same, behind the caller's back: giving a large file's blocks back takes longer than writing a small one.
        Where the node is killed before, it is left to the sweep; where there is much to remove, it is waited for."""
        paths = [self._path(name) for name in names]
        if not paths:
            return
        if len(self._removals) >= _REMOVALS_AT_ONCE:
            await asyncio.wait(self._removals, return_when=asyncio.FIRST_COMPLETED)
        removal = asyncio.get_running_loop().run_in_executor(None, _unlink_all, paths)
        self._removals.add(removal)
        removal.add_done_callback(self._note_removal)

    def _note_removal(self, removal: asyncio.Future[None]) -> None:
        self._removals.discard(removal)
        if not removal.cancelled() and (error := removal.exception()) is not None:
            _log.warning("A file that no object has any more could not be removed: %s", error)

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


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _unlink_all(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _older(folder: Path, than_s: float) -> list[str]:
    found: list[str] = []
    for entry in os.scandir(folder):
        try:
            if entry.stat().st_ctime < than_s:
                found.append(entry.name)
        except FileNotFoundError:
            continue  # removed meanwhile
    return found
