"""Workers of durable queues that are made when there is something for them: with the first message, on whichever node
it is committed, or with a node that finds some waiting. Until then nothing of them is imported.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import select

from cosset.store.database import Store
from cosset.store.queue_tables import messages
from cosset.store.transaction import Transaction


class Worker(Protocol):
    async def serve(self) -> None: ...

    async def stop(self, timeout_s: float) -> None: ...


class LateWorkers:
    """`make` makes the workers of `queues`; it is called once, if at all."""

    def __init__(self, store: Store, queues: Sequence[str], make: Callable[[], Sequence[Worker]]) -> None:
        self._store = store
        self._queues = queues
        self._make = make
        self._made: Sequence[Worker] = ()
        self._wanted = asyncio.Event()
        self._is_stopping = False
        for name in queues:
            store.on_change(f"queue/{name}", lambda _: self._wanted.set())

    async def serve(self) -> None:
        """Runs until it is cancelled, after `stop`."""
        if not await self._store.read(self._are_waiting):
            await self._wanted.wait()
        if self._is_stopping:
            return
        self._made = self._make()
        await asyncio.gather(*(worker.serve() for worker in self._made))

    async def stop(self, timeout_s: float) -> None:
        """Takes nothing more; waits for what is under way, at most this long."""
        self._is_stopping = True
        await asyncio.gather(*(worker.stop(timeout_s) for worker in self._made))

    def _are_waiting(self, tx: Transaction) -> bool:
        query = select(messages.c.seq).where(messages.c.queue.in_(self._queues)).limit(1)
        return tx.execute(query).first() is not None
