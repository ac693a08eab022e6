"""A file being written: one thread writes what came, another counts it, and the next piece is on its way meanwhile.

MD5 takes longer than the disk, so the two do not wait for each other more than a piece. What becomes of the file
afterwards: object_files.py.
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

    async def take(view: Chunk) -> None:
        disk.put(partial(_write, draft, digests, view))
        counter.put(partial(digests.update_md5, view))
        await disk.all_but_last()
        await counter.all_but_last()

    try:
        for chunk in begun:
            await take(chunk)
        while (view := await rest.next_view()) is not None:
            await take(view)
        disk.put(draft.finish)
        await counter.end()
        await disk.end()
    except BaseException:
        await disk.leave()
        await counter.leave()
        draft.discard()
        raise


async def fill_at_once(draft: Draft, digests: Digests, body: bytes) -> None:
    """The same, of a body that is there."""
    disk = _Lane()
    try:
        disk.put(partial(_write_whole, draft, digests, body))
        await disk.end()
    except BaseException:
        await disk.leave()
        draft.discard()
        raise


def _write(draft: Draft, digests: Digests, view: Chunk) -> None:
    draft.write(view)
    digests.update_rest(view)


def _write_whole(draft: Draft, digests: Digests, body: bytes) -> None:
    draft.write(body)
    digests.update(body)
    draft.finish()


class _Lane:
    """Work in a thread, one after another. What waits begins without a word from the event loop, and no thread is kept
    where nothing waits."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = Lock()
        self._waiting: deque[tuple[Callable[[], None], asyncio.Future[None]]] = deque()
        self._is_running = False
        self._has_failed = False
        self._put: deque[asyncio.Future[None]] = deque()

    def put(self, work: Callable[[], None]) -> None:
        done = self._loop.create_future()
        self._put.append(done)
        with self._lock:
            self._waiting.append((work, done))
            starts, self._is_running = not self._is_running, True
        if starts:
            self._loop.run_in_executor(None, self._work_off)

    def _work_off(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_running = False
                    return
                work, done = self._waiting.popleft()
            error: Exception | None = None
            try:
                if not self._has_failed:
                    work()
            except Exception as failure:  # noqa: BLE001 - the task boundary of a thread; raised where it is waited for
                self._has_failed, error = True, failure
            self._loop.call_soon_threadsafe(_settle, done, error)

    async def all_but_last(self) -> None:
        """Raises what the work raised."""
        while len(self._put) > 1:
            await asyncio.shield(self._put[0])
            self._put.popleft()

    async def end(self) -> None:
        """Raises what the work raised."""
        while self._put:
            await asyncio.shield(self._put[0])
            self._put.popleft()

    async def leave(self) -> None:
        """Until nothing runs, whatever becomes of it; what has not begun never does."""
        self._has_failed = True
        if self._put:
            await asyncio.wait(self._put)
            for done in self._put:
                done.exception()


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
