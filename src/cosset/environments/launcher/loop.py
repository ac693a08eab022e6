"""The launcher's event loop: descriptors to watch, things to do later. One thread; callbacks must not wait.

Not asyncio: the launcher is to stay small, and forks. Read next: launcher.py.
"""

import heapq
import itertools
import selectors
import time
from collections.abc import Callable

Callback = Callable[[], object]


class Loop:
    """Whoever watches a descriptor lets it go before it closes it."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callback]] = []
        self._order = itertools.count()

    def watch(self, fd: int, callback: Callback) -> None:
        """Calls back whenever the descriptor is readable: data, an end, a process that has died."""
        self._selector.register(fd, selectors.EVENT_READ, callback)

    def unwatch(self, fd: int) -> None:
        """Idempotent."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def after(self, delay_s: float, callback: Callback) -> None:
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._order), callback))

    def turn(self, limit_s: float | None = None) -> None:
        """One round: waits for something to do, at most `limit_s`, and does it."""
        if self._timers:
            due_s = max(0.0, self._timers[0][0] - time.monotonic())
            limit_s = due_s if limit_s is None else min(limit_s, due_s)
        for key, _ in self._selector.select(limit_s):
            if self._selector.get_map().get(key.fileobj) is key:  # an earlier callback may have let it go
                key.data()
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def close(self) -> None:
        self._selector.close()
        self._timers.clear()
