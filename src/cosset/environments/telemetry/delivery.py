"""Carries events to one subscriber: batches by number, bytes and time, retries with growing pauses, a bound on all.

What does not fit in twice a batch is dropped and counted (platform.logsDropped). While the environment is frozen,
nothing is sent: the events wait for the next invocation, or for the shutdown. Read next: destinations.py, hub.py.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from cosset.clock import Clock
from cosset.environments.telemetry.subscription import Subscription

logger = logging.getLogger(__name__)

Send = Callable[[list[bytes]], Awaitable[None]]
"""Delivers a batch. Raises: OSError, when the subscriber has not taken it."""
Dropped = Callable[[int, int], bytes]
"""Makes the event that tells how many records and bytes were dropped."""

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_PATIENCE_S = 5.0
"""For one batch to be taken, while the environment runs."""


class Delivery:
    """One subscriber's. `close` ends it with what it still holds."""

    def __init__(self, subscription: Subscription, send: Send, dropped: Dropped, clock: Clock) -> None:
        self._subscription = subscription
        self._send = send
        self._dropped_event = dropped
        self._clock = clock
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self._dropped = 0
        self._dropped_bytes = 0
        self._is_flushing = False
        self._due = asyncio.Event()
        self._is_awake = asyncio.Event()
        self._is_awake.set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._timer: asyncio.Task[None] | None = None
        self._task = asyncio.get_running_loop().create_task(self._run(), name="telemetry delivery")

    def add(self, event: bytes) -> None:
        """Never waits."""
        limit = self._subscription
        if self._bytes + len(event) > 2 * limit.max_bytes or len(self._events) >= 2 * limit.max_items:
            self._dropped += 1
            self._dropped_bytes += len(event)
            return
        self._events.append(event)
        self._bytes += len(event)
        self._is_empty.clear()
        self._plan()

    def sleep(self) -> None:
        """The environment may be frozen from now on."""
        self._is_awake.clear()

    def wake(self) -> None:
        self._is_awake.set()

    async def flush(self) -> None:
        """Returns when everything has been taken. The caller bounds the wait."""
        self.wake()
        self._is_flushing = True
        self._due.set()
        await self._is_empty.wait()

    async def close(self) -> None:
        tasks = [task for task in (self._task, self._timer) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _plan(self) -> None:
        """When the next batch goes: at once when it is full, or nothing is to be kept."""
        limit = self._subscription
        if self._is_flushing or self._bytes >= limit.max_bytes or len(self._events) >= limit.max_items:
            self._due.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().create_task(self._ripen(), name="telemetry timeout")

    async def _ripen(self) -> None:
        await self._clock.sleep(self._subscription.timeout_ms / 1000)
        self._due.set()

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            await self._is_awake.wait()
            batch = self._take()
            if batch:
                await self._deliver(batch)
            if not self._events:
                self._is_empty.set()

    def _take(self) -> list[bytes]:
        """One batch; what remains ripens anew."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch: list[bytes] = []
        size, limit = 0, self._subscription
        while self._events and len(batch) < limit.max_items and size < limit.max_bytes:
            batch.append(self._events.popleft())
            size += len(batch[-1])
        self._bytes -= size
        if self._dropped:
            batch.append(self._dropped_event(self._dropped, self._dropped_bytes))
            self._dropped = self._dropped_bytes = 0
        if self._events:
            self._plan()
        return batch

    async def _deliver(self, batch: list[bytes]) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            await self._is_awake.wait()
            try:
                await self._attempt(batch)
                return
            except OSError as error:
                logger.debug("a telemetry subscriber took nothing: %s", error)
            await self._clock.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _attempt(self, batch: list[bytes]) -> None:
        """Time that the subscriber spends frozen is not counted against it."""
        sending = asyncio.ensure_future(self._send(batch))
        try:
            while True:
                done, _ = await asyncio.wait((sending,), timeout=_PATIENCE_S)
                if done:
                    return sending.result()
                if self._is_awake.is_set():
                    raise TimeoutError("it did not answer in time")
                await self._is_awake.wait()
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sending
