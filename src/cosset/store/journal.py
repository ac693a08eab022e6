"""Lines in append-only files, bounded by size and age: for what is written all the time and read seldom.

A file is named after the moment of its first line; the oldest goes first. A crash may leave the last line torn: a new
file is begun at every start, and readers skip what they cannot read. Not for what must never be lost at the bound.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cosset.clock import Clock
from cosset.store.disk import DiskWatch, sync_folder

PARTS = 8
"""How many files there are at the bound: what goes at once is an eighth of it."""


@dataclass(frozen=True, slots=True)
class JournalBounds:
    max_bytes: int
    max_age_s: int


class Journal:
    """One writer for a folder, and none but its own. `append` and `prune` take turns."""

    def __init__(self, folder: Path, bounds: JournalBounds, clock: Clock, min_free_mb: int = 0) -> None:
        self._folder = folder
        self._bounds = bounds
        self._clock = clock
        self._disk = DiskWatch(folder, min_free_mb)
        self._turn = asyncio.Lock()
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._began_ms = 0
        self._written = 0

    async def append(self, lines: Sequence[bytes]) -> None:
        """Durable on return. Raises: OSError, DiskFullError."""
        async with self._turn:
            await asyncio.to_thread(self._append, lines)

    async def prune(self) -> None:
        """Takes away what is too old, though nothing is written any more."""
        async with self._turn:
            await asyncio.to_thread(self._prune)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = self._path = None

    def lines(self) -> Iterator[bytes]:
        """In the order in which they were written. Blocks: for a thread. Of a line that is being written there may be
        a part."""
        for path in sorted(self._files()):
            try:
                with path.open("rb") as file:
                    yield from (line.rstrip(b"\n") for line in file)
            except FileNotFoundError:
                continue  # it was the oldest, and has gone meanwhile

    def _files(self) -> list[Path]:
        return list(self._folder.glob("*.lines")) if self._folder.is_dir() else []

    def _append(self, lines: Sequence[bytes]) -> None:
        data = b"\n".join(lines) + b"\n"
        self._folder.mkdir(mode=0o700, exist_ok=True, parents=True)
        self._disk.check(len(data))
        file = self._current(len(data))
        try:
            file.write(data)
            file.flush()
            now_ns = self._clock.now_ms() * 1_000_000
            os.utime(file.fileno(), ns=(now_ns, now_ns))  # how old a file is: the clock's word, not the disk's
            os.fdatasync(file.fileno())
        except OSError:
            self.close()  # what of it is there is not known: the next goes into a file of its own
            raise
        self._written += len(data)

    def _current(self, wanted: int) -> BinaryIO:
        now_ms = self._clock.now_ms()
        is_old = now_ms - self._began_ms > self._bounds.max_age_s * 1000 // PARTS
        if self._file is not None and (is_old or self._written + wanted > self._bounds.max_bytes // PARTS):
            self.close()
        if self._file is None:
            self._prune(wanted)
            self._begin(now_ms)
        assert self._file is not None
        return self._file

    def _begin(self, now_ms: int) -> None:
        names = [path.stem for path in self._files()]
        # After every other one, also when the clock was set back.
        started = max([now_ms, *(int(name) + 1 for name in names if name.isdigit())])
        path = self._folder / f"{started:015d}.lines"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        sync_folder(self._folder)
        self._file, self._path = os.fdopen(descriptor, "wb"), path
        self._began_ms, self._written = now_ms, 0

    def _prune(self, wanted: int = 0) -> None:
        """The oldest first, until the rest is young enough and leaves room."""
        oldest_ms = self._clock.now_ms() - self._bounds.max_age_s * 1000
        files = [(path, path.stat()) for path in sorted(self._files())]
        total = sum(found.st_size for _, found in files) + wanted
        for path, found in files:
            if found.st_mtime_ns // 1_000_000 >= oldest_ms and total <= self._bounds.max_bytes:
                break
            if path == self._path:
                self.close()
            path.unlink(missing_ok=True)
            total -= found.st_size
