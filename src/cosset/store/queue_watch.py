"""Waiting for a durable queue: until something may be receivable, and no look at the database that can be spared.

What is known is a lower bound: nothing is due before then. Every announcement takes it away. A message that is sent
under a lease is announced to nobody: on this node its end is told, and other nodes look now and then. Next: `queue.py`.
"""

import asyncio

from cosset.clock import Clock
from cosset.store.changes import EVERYTHING
from cosset.store.database import Store
from cosset.store.queue_tables import NEXT_DUE
from cosset.store.transaction import Transaction

LOOK_S = 5.0
"""For how long a node believes what it knows of a queue that other nodes may lease messages of unheard."""
_END_OF_TIME = 1 << 62


class QueueWatch:
    """Of one queue, on one node. `close` it."""

    def __init__(self, store: Store, name: str, clock: Clock) -> None:
        self._store = store
        self._name = name
        self._clock = clock
        self._waiters: set[_Waiter] = set()
        self._quiet_until_ms: int | None = None
        self._looked_s = 0.0
        self._version = 0
        self.topic = f"queue/{name}"
        self._ends_topic = f"queue-lease-ends/{name}"
        store.on_change(self.topic, self._changed)
        store.on_change(self._ends_topic, self._ends)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits here."""
        return bool(self._waiters)

    @property
    def is_quiet(self) -> bool:
        """Whether it is known that nothing can be received now."""
        if self._quiet_until_ms is None or self._quiet_until_ms <= self._clock.now_ms():
            return False
        return not self._store.shared or self._clock.monotonic_s() - self._looked_s < LOOK_S

    def close(self) -> None:
        """Hears of nothing any more."""
        self._store.off_change(self.topic, self._changed)
        self._store.off_change(self._ends_topic, self._ends)

    def lease_ends(self, tx: Transaction, until_ms: int) -> None:
        """A message is sent under a lease that ends then: who waits on this node is told, once it is committed."""
        tx.follow(lambda: self._store.tell_here(self._ends_topic, str(until_ms)))

    async def wait(self, timeout_s: float) -> bool:
        """Returns when something may be receivable (sent, released, due, a lease over), or at the timeout: then False,
        and there is no need to ask."""
        waiter = _Waiter()
        self._waiters.add(waiter)
        ends_s = self._clock.monotonic_s() + timeout_s
        try:
            while True:
                due, now = await self._next_due_ms(), self._clock.now_ms()
                if waiter.is_changed or due <= now:
                    return True
                left_s = ends_s - self._clock.monotonic_s()
                if left_s <= 0:
                    return False
                if self._store.shared:
                    left_s = min(left_s, LOOK_S)
                await waiter.rest(self._clock, min(left_s, (due - now) / 1000))
                if waiter.is_changed:
                    return True
        finally:
            self._waiters.discard(waiter)

    async def _next_due_ms(self) -> int:
        """No later than the next message is due."""
        if not self.is_quiet:
            version, self._quiet_until_ms = self._version, None
            self._looked_s = self._clock.monotonic_s()
            due = await self._store.read(self._next_due)
            if version != self._version:  # changed meanwhile: good for this once
                return due
            self._quiet_until_ms = due
        assert self._quiet_until_ms is not None
        return self._quiet_until_ms

    def _next_due(self, tx: Transaction) -> int:
        due: int | None = tx.run(NEXT_DUE, {"the_queue": self._name}).scalar()
        return _END_OF_TIME if due is None else due

    def _changed(self, _key: str) -> None:
        self._version += 1
        self._quiet_until_ms = None
        for waiter in self._waiters:
            waiter.wake(is_changed=True)

    def _ends(self, key: str) -> None:
        if key == EVERYTHING:  # `_changed` hears it too
            return
        until_ms = int(key)
        self._version += 1
        if self._quiet_until_ms is None or until_ms < self._quiet_until_ms:
            if self._quiet_until_ms is not None:
                self._quiet_until_ms = until_ms
            for waiter in self._waiters:
                waiter.wake(is_changed=False)


class _Waiter:
    """Woken by a change, or because what is known has another end: `is_changed` tells which."""

    __slots__ = ("_woken", "is_changed")

    def __init__(self) -> None:
        self.is_changed = False
        self._woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(self, *, is_changed: bool) -> None:
        self.is_changed |= is_changed
        if not self._woken.done():
            self._woken.set_result(None)

    async def rest(self, clock: Clock, delay_s: float) -> None:
        """Until it is woken, or for so long."""
        sleeping = asyncio.get_running_loop().create_task(clock.sleep(delay_s))
        try:
            await asyncio.wait((self._woken, sleeping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
        if self._woken.done():
            self._woken = asyncio.get_running_loop().create_future()
