"""A few threads with a bounded line in front of them, for work that would hold up the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cosset.store.errors import OverloadedError

T = TypeVar("T")


class BoundedThreads:
    """Runs functions on `threads` threads; refuses with OverloadedError when `max_waiting` wait already."""

    def __init__(self, name: str, threads: int, max_waiting: int = 10_000) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._limit = threads + max_waiting
        self._pending = 0

    async def run(self, fn: Callable[[], T]) -> T:
        if self._pending >= self._limit:
            raise OverloadedError
        self._pending += 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, fn)
        future.add_done_callback(self._ended)
        return await future

    def _ended(self, _future: "asyncio.Future[T]") -> None:
        self._pending -= 1

    async def close(self) -> None:
        """Does what was submitted, then ends the threads."""
        await asyncio.to_thread(self._executor.shutdown)
