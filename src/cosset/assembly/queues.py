"""SQS, wired: the service, queues as destinations, and what they need done by themselves.

All of it is imported when it is first asked for; of the room only its tables are known at the start.
"""

import asyncio

from sqlalchemy import select

from cosset.assembly.ground import Ground
from cosset.assembly.invocation import Outward
from cosset.clock import Clock
from cosset.invocation.destinations import Delivery, Destination
from cosset.services.operation import Service
from cosset.services.sqs.tables import DISCARDED, MOVES, discarded, move_tasks
from cosset.store.database import Store, Transaction

LOOK_AGAIN_S = 30.0
"""How often a node that shares its store asks whether another has left work behind."""


def make_sqs(ground: Ground, clock: Clock) -> Service:
    from cosset.services.sqs.move_tasks import MoveTasks
    from cosset.services.sqs.queues import Queues
    from cosset.services.sqs.service import sqs_service

    return sqs_service(Queues(ground.store, clock), MoveTasks(ground.store, clock), clock)


def serve_queues(ground: Ground, outward: Outward, clock: Clock) -> "QueueChores":
    """Lets asynchronous invocations end in queues. What it returns is to be served by the node."""
    outward.destinations.serve("sqs", _LateDestination(ground, clock))
    return QueueChores(ground.store, clock)


class _LateDestination:
    action = "sqs:SendMessage"

    def __init__(self, ground: Ground, clock: Clock) -> None:
        self._ground = ground
        self._clock = clock
        self._made: Destination | None = None

    async def accepts(self, target_arn: str, *, source_arn: str) -> bool:
        return await self._destination().accepts(target_arn, source_arn=source_arn)

    async def deliver(self, delivery: Delivery) -> None:
        await self._destination().deliver(delivery)

    def _destination(self) -> Destination:
        if self._made is None:
            from cosset.services.sqs.destination import QueueDestination
            from cosset.services.sqs.queues import Queues

            self._made = QueueDestination(Queues(self._ground.store, self._clock))
        return self._made


class QueueChores:
    """Wakes the chores of queues when there are any: now, and those that a dead node left."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._changed = asyncio.Event()
        for topic in (DISCARDED, MOVES):
            store.on_change(topic, lambda _key: self._changed.set())

    async def serve(self) -> None:
        """Runs until it is cancelled."""
        while True:
            self._changed.clear()
            if await self._store.read(_has_chores):
                await self._work()
            await self._wait(LOOK_AGAIN_S if self._store.shared else None)

    async def _work(self) -> None:
        from cosset.services.sqs.chores import Chores

        chores = Chores(self._store, self._clock)
        while (next_ms := await chores.run()) is not None:
            delay_s = (next_ms - self._clock.now_ms()) / 1000
            if delay_s > 0:
                self._changed.clear()
                await self._wait(delay_s)

    async def _wait(self, timeout_s: float | None) -> None:
        tasks = [asyncio.ensure_future(self._changed.wait())]
        if timeout_s is not None:
            tasks.append(asyncio.ensure_future(self._clock.sleep(timeout_s)))  # type: ignore[arg-type]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _has_chores(tx: Transaction) -> bool:
    if tx.execute(select(discarded.c.uid).limit(1)).first() is not None:
        return True
    return tx.execute(select(move_tasks.c.id).where(move_tasks.c.status == "RUNNING").limit(1)).first() is not None
