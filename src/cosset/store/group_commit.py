"""One thread that does the writing, taking all that waits at once so that many writes share one commit.

It knows no database: whoever makes it says how a group of jobs is committed. `sqlite.py` and `segments.py` do.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cosset.store.errors import OverloadedError

Work = TypeVar("Work")


@dataclass(slots=True, eq=False)
class Job(Generic[Work]):
    """One piece of work and what became of it. `error` wins over `result`."""

    work: Work
    future: "asyncio.Future[object]"
    result: object = None
    error: BaseException | None = None
    announcements: list[tuple[str, str]] = field(default_factory=list)
    followers: list[Callable[[], None]] = field(default_factory=list)

    def resolve(self) -> None:
        if self.future.done():  # its caller has gone; the work stands nevertheless
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class GroupCommitter(Generic[Work]):
    """`commit` runs on the thread and fills in each job; `settled` runs on the event loop before any job resolves.

    An error that `commit` raises is the error of every job of the group. Jobs run in the order they were submitted.
    """

    def __init__(
        self,
        name: str,
        commit: Callable[[Sequence[Job[Work]]], None],
        *,
        settled: Callable[[Sequence[Job[Work]]], None] = lambda _jobs: None,
        max_group: int = 256,
        max_waiting: int = 10_000,
    ) -> None:
        self._commit = commit
        self._settled = settled
        self._max_group = max_group
        self._max_waiting = max_waiting
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Job[Work]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def submit(self, work: Work) -> object:
        """The job's result. Raises OverloadedError when too many wait. Cancelling does not undo what was submitted."""
        job = Job(work, self._loop.create_future())
        with self._changed:
            if self._closing:
                raise RuntimeError("the store is closed")
            if len(self._waiting) >= self._max_waiting:
                raise OverloadedError
            self._waiting.append(job)
            self._changed.notify()
        return await job.future

    async def close(self) -> None:
        """Does what was submitted, then ends the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while jobs := self._take():
            try:
                self._commit(jobs)
            except BaseException as error:  # noqa: BLE001 -- the thread's boundary: each caller gets it
                for job in jobs:
                    job.error = error
            try:
                self._loop.call_soon_threadsafe(self._settle, jobs)
            except RuntimeError:  # the loop was closed under us: nobody is left to hear
                return

    def _take(self) -> Sequence[Job[Work]]:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            count = min(len(self._waiting), self._max_group)
            return [self._waiting.popleft() for _ in range(count)]

    def _settle(self, jobs: Sequence[Job[Work]]) -> None:
        self._settled(jobs)
        for job in jobs:
            job.resolve()
