"""Who works on what: a mapping or a shard belongs to one node at a time, while its lease lasts.

A row with an end, moved on by the node that has it and taken over when it is past. A node that finds its lease gone
stops, and what it commits under one it checks in the same transaction. Where no other node can have the data open,
nothing is written: this node has everything.
"""

import asyncio
import logging

from sqlalchemy import delete, insert, select, update

from cosset.clock import Clock
from cosset.store.database import Store, Transaction
from cosset.triggers.tables import leases as table
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

LEASE_MS = 15_000
HEARTBEAT_S = 5.0


class LeaseLostError(Exception):
    """Another node has it now."""


class Leases:
    """The leases of one node. `owner` is the node's own name, new with every start."""

    def __init__(self, store: Store, clock: Clock, owner: str, *, shared: bool | None = None) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._shared = store.shared if shared is None else shared

    @property
    def are_shared(self) -> bool:
        """Whether there may be other nodes."""
        return self._shared

    async def take(self, name: str) -> bool:
        """Whether it is this node's now: it was free, past its end, or this node's already."""
        if not self._shared:
            return True
        now_ms = self._clock.now_ms()

        def write(tx: Transaction) -> bool:
            row = tx.execute(select(table).where(table.c.name == name)).first()
            if row is not None and row.owner != self._owner and row.until_ms > now_ms:
                return False
            values = {"owner": self._owner, "until_ms": now_ms + LEASE_MS}
            if row is None:
                tx.execute(insert(table).values(name=name, **values))
            else:
                tx.execute(update(table).where(table.c.name == name).values(values))
            return True

        return await self._store.write(write)

    async def keep(self, name: str) -> None:
        """Moves its end on until it is lost; then returns. For a task beside the work.

        A store that does not answer is asked again, for as long as the lease is sure to last.
        """
        if not self._shared:
            await asyncio.Event().wait()
        sure_until_ms = self._clock.now_ms() + LEASE_MS
        while True:
            await self._clock.sleep(HEARTBEAT_S)
            now_ms = self._clock.now_ms()
            try:
                if not await self.take(name):
                    return
                sure_until_ms = now_ms + LEASE_MS
            except ServiceError as error:
                logger.warning("the lease of %s was not moved on: %s", name, error)
                if now_ms >= sure_until_ms:
                    return

    async def release(self, name: str) -> None:
        """Lets another node have it at once."""
        if self._shared:
            mine = (table.c.name == name) & (table.c.owner == self._owner)
            await self._store.write(lambda tx: tx.execute(delete(table).where(mine)))

    def require(self, tx: Transaction, name: str) -> None:
        """For a transaction that only the holder may commit. Raises: LeaseLostError."""
        if not self._shared:
            return
        owner = tx.execute(select(table.c.owner).where(table.c.name == name)).scalar()
        if owner != self._owner:
            raise LeaseLostError(name)
