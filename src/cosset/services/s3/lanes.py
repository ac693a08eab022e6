"""Work in threads, one after another in a lane, many lanes beside each other. Next: drafts.py."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Condition


class Lane:
    """What waits begins without a word from the event loop, which hears only of what it waits for. No thread is kept
    where nothing waits, but while `is_kept` says so: what is put finds it sooner then."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._changed = Condition()
        self._waiting: deque[Callable[[], None]] = deque()
        self._left = 0
        """Of what was put, with what is under way."""
        self._has_thread = False
        self._is_kept = False
        self._has_failed = False
        self._error: Exception | None = None
        self._awaited: tuple[int, asyncio.Future[None]] | None = None

    @property
    def left(self) -> int:
        return self._left

    def put(self, work: Callable[[], None]) -> None:
        """From any thread, one at a time."""
        with self._changed:
            self._waiting.append(work)
            self._left += 1
            starts, self._has_thread = not self._has_thread, True
            if not starts and self._is_kept:
                self._changed.notify_all()
        if starts:
            self._threads.submit(self._work_off)

    def keep(self, *, kept: bool) -> None:
        """Whoever keeps a thread lets go of it."""
        with self._changed:
            self._is_kept = kept
            self._changed.notify_all()

    def _work_off(self) -> None:
        while (work := self._next()) is not None:
            try:
                if not self._has_failed:
                    work()
            except Exception as failure:  # noqa: BLE001 - the task boundary of a thread; raised where it is waited for
                self._has_failed, self._error = True, failure
            with self._changed:
                self._left -= 1
                if self._is_kept:
                    self._changed.notify_all()
                reached = self._awaited if self._awaited is not None and self._left <= self._awaited[0] else None
                if reached is not None:
                    self._awaited = None
            if reached is not None:
                self._loop.call_soon_threadsafe(_settle, reached[1])

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while self._is_kept and not self._waiting:
                self._changed.wait()
            self._has_thread = bool(self._waiting)
            return self._waiting.popleft() if self._waiting else None

    def wait(self, most: int) -> None:
        """As `until`, in a thread, of a lane that is kept."""
        with self._changed:
            while self._left > most:
                self._changed.wait()
        if self._error is not None:
            raise self._error

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
        with self._changed:
            if self._left <= most:
                return
            reached = self._loop.create_future()
            self._awaited = most, reached
        await reached


def _settle(reached: asyncio.Future[None]) -> None:
    if not reached.done():
        reached.set_result(None)
