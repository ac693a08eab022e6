"""A file being written: one thread writes what came, another counts it, and the next piece is on its way meanwhile.

MD5 takes longer than the disk, which goes ahead of it as far as there are buffers: what has to be synced is synced
while it still counts. What becomes of the file afterwards: object_files.py. Decision 0042.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock

from cosset.services.s3.checksums import Digests
from cosset.services.s3.customer_keys import BodyCipher
from cosset.store.disk import DiskWatch, sync_folder
from cosset.store.errors import DiskFullError
from cosset.store.write_back import start_writing_back
from cosset.wire.views import Chunk, ViewedBody

_FLUSHED_BYTES = 2 << 20
"""What the disk is given at once, while more still comes."""
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


async def fill(draft: Draft, digests: Digests, begun: Sequence[Chunk], rest: ViewedBody) -> None:
    """Writes the whole body, `begun` and then `rest`, and returns when it outlasts a power loss.

    Raises DiskFullError. What raises, or is cancelled, leaves no file behind.
    """
    disk, flusher, counter = lanes = _Lane(), _Lane(), _Lane()
    unwritten: deque[Chunk] = deque()

    def write() -> None:
        """Put once for each piece: often one takes what came for the next ones, too, which then find nothing."""
        pieces = [unwritten.popleft() for _ in range(min(len(unwritten), _PIECES_AT_ONCE))]
        if not pieces:
            return
        draft.write(pieces)
        for piece in pieces:
            digests.update_rest(piece)

    def take(view: Chunk) -> None:
        unwritten.append(view)
        disk.put(write)
        counter.put(partial(digests.update_md5, view))

    try:
        disk.put(draft.open)
        for chunk in begun:
            take(chunk)
        while True:
            await disk.until(rest.good_for - 1)
            await counter.until(rest.good_for - 1)
            if draft.is_worth_flushing and flusher.is_idle:
                flusher.put(draft.flush)
            view = await rest.next_view()
            if view is None:
                break
            take(view)
        disk.put(draft.sync)
        await disk.until(1)
        flusher.put(draft.sync_name)
        for lane in lanes:
            await lane.until(0)
        draft.close()
    except BaseException:
        for lane in lanes:
            await lane.leave()
        draft.discard()
        raise


async def fill_at_once(draft: Draft, digests: Digests, body: bytes) -> None:
    """The same, of a body that is there."""
    disk = _Lane()
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


class _Lane:
    """Work in a thread, one after another. What waits begins without a word from the event loop, which hears only of
    what it waits for; no thread is kept where nothing waits."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._left = 0
        """Of what was put, with what is under way."""
        self._has_failed = False
        self._error: Exception | None = None
        self._awaited: tuple[int, asyncio.Future[None]] | None = None

    @property
    def is_idle(self) -> bool:
        return not self._left

    def put(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.append(work)
            self._left += 1
            starts = self._left == 1
        if starts:
            self._loop.run_in_executor(None, self._work_off)

    def _work_off(self) -> None:
        is_last = False
        while not is_last:
            work = self._waiting.popleft()
            try:
                if not self._has_failed:
                    work()
            except Exception as failure:  # noqa: BLE001 - the task boundary of a thread; raised where it is waited for
                self._has_failed, self._error = True, failure
            with self._lock:
                self._left -= 1
                is_last = not self._left
                reached = self._awaited if self._awaited is not None and self._left <= self._awaited[0] else None
                if reached is not None:
                    self._awaited = None
            if reached is not None:
                self._loop.call_soon_threadsafe(_settle, reached[1])

    async def until(self, most: int) -> None:
        """Until so much is left, at most. Raises what the work raised."""
        await self._reach(most)
        if self._error is not None:
            raise self._error

    async def leave(self) -> None:
        """Until nothing runs, whatever becomes of it; what has not begun never does."""
        self._has_failed = True
        await self._reach(0)

    async def _reach(self, most: int) -> None:
        with self._lock:
            if self._left <= most:
                return
            reached = self._loop.create_future()
            self._awaited = most, reached
        await reached


def _settle(reached: asyncio.Future[None]) -> None:
    if not reached.done():
        reached.set_result(None)
