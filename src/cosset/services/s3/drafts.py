"""A file being written: one thread writes what came, another counts it, and the next piece is on its way meanwhile.

MD5 takes longer than the disk, so the two do not wait for each other more than a piece. What becomes of the file
afterwards: object_files.py.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cosset.services.s3.checksums import Digests
from cosset.services.s3.customer_keys import BodyCipher
from cosset.store.disk import DiskWatch, sync_folder
from cosset.store.errors import DiskFullError
from cosset.wire.views import Chunk, ViewedBody

OUT_OF_SPACE = (28, 122)  # ENOSPC, EDQUOT


@dataclass(slots=True)
class Draft:
    """A file of which nobody knows. Its methods block: for threads, one at a time."""

    path: Path
    watch: DiskWatch
    key: bytes | None
    size: int = 0
    _cipher: BodyCipher | None = field(init=False)
    _descriptor: int = field(init=False)

    def __post_init__(self) -> None:
        self._cipher = None if self.key is None else BodyCipher(self.key, self.path.name)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, data: Chunk) -> None:
        """Raises DiskFullError."""
        self.watch.check(len(data))
        view = memoryview(data if self._cipher is None else self._cipher.update(data))
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise self._explained(error) from error
        self._start_writing_back(len(data))
        self.size += len(data)

    def _start_writing_back(self, length: int) -> None:
        """The disk begins while the rest still comes, so that there is little left to sync at the end."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, self.size, length, os.POSIX_FADV_DONTNEED)

    def finish(self) -> None:
        """On return the file and its name outlast a power loss. Raises DiskFullError."""
        try:
            os.fsync(self._descriptor)
            sync_folder(self.path.parent)
            os.close(self._descriptor)
            self._descriptor = -1
        except OSError as error:
            raise self._explained(error) from error

    def discard(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self.path.unlink(missing_ok=True)

    def _explained(self, error: OSError) -> Exception:
        return DiskFullError(self.path.parent) if error.errno in OUT_OF_SPACE else error


async def fill(draft: Draft, digests: Digests, begun: Sequence[Chunk], rest: ViewedBody) -> None:
    """Writes the whole body, `begun` and then `rest`, and returns when it outlasts a power loss.

    Raises DiskFullError. What raises, or is cancelled, leaves no file behind.
    """
    disk, counter = _Lane(), _Lane()
    try:
        for chunk in begun:
            await _take(chunk, draft, digests, disk, counter)
        while (view := await rest.next_view()) is not None:
            await _take(view, draft, digests, disk, counter)
        await disk.put(draft.finish)
        await counter.end()
        await disk.end()
    except BaseException:
        await disk.leave()
        await counter.leave()
        draft.discard()
        raise


async def fill_at_once(draft: Draft, digests: Digests, body: bytes) -> None:
    """The same, of a body that is there."""

    def work() -> None:
        draft.write(body)
        digests.update(body)
        draft.finish()

    disk = _Lane()
    try:
        await disk.put(work)
        await disk.end()
    except BaseException:
        await disk.leave()
        draft.discard()
        raise


async def _take(view: Chunk, draft: Draft, digests: Digests, disk: "_Lane", counter: "_Lane") -> None:
    def write() -> None:
        draft.write(view)
        digests.update_rest(view)

    await disk.put(write)
    await counter.put(partial(digests.update_md5, view))


class _Lane:
    """Work in threads, one after another: when `put` returns it has begun, and what was put before has ended."""

    def __init__(self) -> None:
        self._running: asyncio.Future[None] | None = None

    async def put(self, work: Callable[[], None]) -> None:
        await self.end()
        self._running = asyncio.get_running_loop().run_in_executor(None, work)

    async def end(self) -> None:
        if self._running is not None:
            await asyncio.shield(self._running)
            self._running = None

    async def leave(self) -> None:
        """Waits for what runs, whatever becomes of it."""
        if self._running is not None:
            await asyncio.wait([self._running])
            self._running.exception()
