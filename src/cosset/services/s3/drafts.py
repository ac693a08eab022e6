"""A file being written, and its bytes counted: MD5 takes longest, and everything else goes on beside it.

What comes fast is written by the thread that receives it, all else in a lane. The disk goes ahead of MD5 as far as
there are buffers: what has to be synced is synced while it still counts. What becomes of the file afterwards:
object_files.py. Decisions 0042, 0049. Next: lanes.py.
"""

import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cosset.services.s3.checksums import Digests
from cosset.services.s3.customer_keys import BodyCipher
from cosset.services.s3.lanes import Lane
from cosset.services.s3.processors import Separation, allowed_processors
from cosset.store.disk import DiskWatch, sync_folder
from cosset.store.errors import DiskFullError
from cosset.store.write_back import start_writing_back
from cosset.wire.views import Chunk, ViewedBody

_FLUSHED_BYTES = 2 << 20
"""What the disk is given at once, while more still comes."""
_COUNTED_AHEAD = 2
_UNWRITTEN = 4
"""Pieces that are poured: as long as MD5 has so few to count, and so few are not written, more are received first."""
_PIECES_AT_ONCE = 4
"""To write: each word between threads costs as much as a piece."""
OUT_OF_SPACE = (28, 122)  # ENOSPC, EDQUOT


@dataclass(slots=True)
class Draft:
    """A file of which nobody knows. Its methods block: for threads, one at a time where nothing else is said."""

    path: Path
    watch: DiskWatch
    key: bytes | None
    size: int = 0
    _flushed: int = 0
    _cipher: BodyCipher | None = field(init=False)
    _descriptor: int = -1

    def __post_init__(self) -> None:
        self._cipher = None if self.key is None else BodyCipher(self.key, self.path.name)

    @property
    def is_open(self) -> bool:
        return self._descriptor >= 0

    def open(self) -> None:
        """Before anything is written. Raises DiskFullError."""
        try:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._explained(error) from error

    def write(self, pieces: Sequence[Chunk]) -> None:
        """Raises DiskFullError."""
        size = sum([len(piece) for piece in pieces])
        self.watch.check(size)
        left = list(pieces if self._cipher is None else map(self._cipher.update, pieces))
        try:
            while left:
                written = os.writev(self._descriptor, left)
                while left and written >= len(left[0]):
                    written -= len(left.pop(0))
                if written:
                    left[0] = memoryview(left[0])[written:]
        except OSError as error:
            raise self._explained(error) from error
        self.size += size

    @property
    def is_worth_flushing(self) -> bool:
        return self.size - self._flushed >= _FLUSHED_BYTES

    def flush(self) -> None:
        """Has the disk begin with what there is. May run beside `write`, and wait for the disk where that must not."""
        start, self._flushed = self._flushed, self.size
        start_writing_back(self._descriptor, start, self._flushed - start)

    def sync(self) -> None:
        """On return the file outlasts a power loss. Raises DiskFullError."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._explained(error) from error

    def sync_name(self) -> None:
        """On return its name does. May run beside `sync`. Raises DiskFullError."""
        try:
            sync_folder(self.path.parent)
        except OSError as error:
            raise self._explained(error) from error

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def discard(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)

    def _explained(self, error: OSError) -> Exception:
        return DiskFullError(self.path.parent) if error.errno in OUT_OF_SPACE else error


async def fill(
    draft: Draft, digests: Digests, begun: Sequence[Chunk], rest: ViewedBody, threads: ThreadPoolExecutor
) -> None:
    """Writes the whole body, `begun` and then `rest`, and returns when it outlasts a power loss.

    Raises DiskFullError. What raises, or is cancelled, leaves no file behind.
    """
    filling = _Filling(draft, digests, rest, threads)
    try:
        for chunk in begun:
            filling.take(chunk)
        await filling.take_all()
        await filling.sync()
    except BaseException:
        await filling.leave()
        draft.discard()
        raise


async def fill_at_once(draft: Draft, digests: Digests, body: bytes, threads: ThreadPoolExecutor) -> None:
    """The same, of a body that is there."""
    disk = Lane(threads)
    try:
        disk.put(partial(_write_whole, draft, digests, body))
        await disk.until(0)
    except BaseException:
        await disk.leave()
        draft.discard()
        raise


def _write_whole(draft: Draft, digests: Digests, body: bytes) -> None:
    draft.open()
    draft.write([body])
    digests.update(body)
    draft.sync()
    draft.sync_name()
    draft.close()


class _Filling:
    """A draft with its lanes. A body that is fast is written by the thread that receives it, every other in a lane of
    its own; MD5 and the disk's work have theirs always."""

    def __init__(self, draft: Draft, digests: Digests, body: ViewedBody, threads: ThreadPoolExecutor) -> None:
        self._draft = draft
        self._digests = digests
        self._body = body
        self._lanes = self._disk, self._flusher, self._counter = Lane(threads), Lane(threads), Lane(threads)
        self._separation = Separation(allowed_processors())
        self._unwritten: deque[Chunk] = deque()

    def take(self, view: Chunk) -> None:
        self._counter.put(partial(self._count, view))
        self._unwritten.append(view)

    def _count(self, view: Chunk) -> None:
        self._separation.note()
        self._digests.update_md5(view)

    async def take_all(self) -> None:
        """One piece at least comes before the body is poured: MD5 has something to do while that begins."""
        if not self._body.is_fast or self._body.good_for <= _UNWRITTEN:
            self._disk.put(self._write)
        while True:
            await self._disk.until(self._body.good_for - 1)
            await self._counter.until(self._body.good_for - 1)
            view = await self._body.next_view()
            if view is None:
                break
            self.take(view)
            if self._body.is_fast:
                await self._pour()
            self._disk.put(self._write)
            self._flush()

    async def _pour(self) -> None:
        """A thread is kept for MD5 meanwhile: there are no more of them than of those that pour."""
        if len(self._unwritten) >= self._body.good_for:
            self._disk.put(self._write)
        await self._disk.until(0)
        await self._counter.until(self._body.good_for - 1)
        self._counter.keep(kept=True)
        try:
            await self._body.pour(self._take_poured)
        finally:
            self._counter.keep(kept=False)
            self._separation.end()

    def _take_poured(self, view: Chunk) -> None:
        """In the body's thread, while the lane of the disk rests. What MD5 has to do comes first."""
        self.take(view)
        self._separation.keep_off()
        most = self._body.good_for - 1
        if self._counter.left > _COUNTED_AHEAD or len(self._unwritten) > min(_UNWRITTEN, most):
            self._write()
            if self._draft.is_worth_flushing and not self._flusher.left:
                self._draft.flush()
        self._counter.wait(most)

    def _write(self) -> None:
        """Put once for each piece: often one takes what came for the next ones, too, which then find nothing."""
        if not self._draft.is_open:
            self._draft.open()
        while self._unwritten:
            pieces = [self._unwritten.popleft() for _ in range(min(len(self._unwritten), _PIECES_AT_ONCE))]
            self._draft.write(pieces)
            for piece in pieces:
                self._digests.update_rest(piece)

    def _flush(self) -> None:
        if self._draft.is_worth_flushing and not self._flusher.left:
            self._flusher.put(self._draft.flush)

    async def sync(self) -> None:
        """When MD5 is counted, too, it is closed."""
        self._disk.put(self._write)
        self._disk.put(self._draft.sync)
        await self._disk.until(1)
        self._flusher.put(self._draft.sync_name)
        for lane in self._lanes:
            await lane.until(0)
        self._draft.close()

    async def leave(self) -> None:
        for lane in self._lanes:
            await lane.leave()
