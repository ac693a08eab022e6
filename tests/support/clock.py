"""A clock that tests move by hand."""

import asyncio
import heapq
import itertools


class ManualClock:
    """Time stands still until `advance` is called; sleepers wake in order of their due time."""

    def __init__(self, now_ms: int = 1_763_700_000_000) -> None:
        self._now_ms = now_ms
        self._start_ms = now_ms
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_s(self) -> float:
        return (self._now_ms - self._start_ms) / 1000

    async def sleep(self, delay_s: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_ms + int(delay_s * 1000), next(self._order), future))
        await future

    def advance(self, delay_s: float) -> None:
        """Moves time on and wakes who is due; what they do next runs when the caller awaits."""
        self._now_ms += int(delay_s * 1000)
        while self._sleepers and self._sleepers[0][0] <= self._now_ms:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)

    def wake_next(self) -> None:
        """Moves time on to when the next sleeper is due; not at all while nobody sleeps, however long that lasts."""
        if self._sleepers:
            self.advance(max(self._sleepers[0][0] - self._now_ms, 0) / 1000)
