"""SQS, wired: the service, queues as destinations, and what they need done by themselves.

All of it is imported when it is first asked for; of the room only its tables are known at the start.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from sqlalchemy import select

from cosset.assembly.causes import RecordedDestination
from cosset.assembly.ground import Ground
from cosset.assembly.invocation import Outward
from cosset.assembly.node_queues import NodeQueues
from cosset.clock import Clock
from cosset.invocation.destinations import Delivery, Destination
from cosset.observe.causes import CauseRecorder, StepKind
from cosset.observe.metrics import MetricWriter
from cosset.services.operation import Service
from cosset.services.sqs.tables import DISCARDED, MOVES, discarded, move_tasks, queues
from cosset.store.database import Store, Transaction
from cosset.store.errors import StoreError
from cosset.waiting import first_of
from cosset.wire.errors import ServiceError

if TYPE_CHECKING:
    from cosset.services.sqs.chores import Chores

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 30.0
"""How often a node that shares its store asks whether another has left work behind."""

MEASURE_S = 60.0
"""How often CloudWatch is told how deep the queues are."""

SWEEP_S = 3600.0
"""How often what has grown too old is removed from queues that nobody reads."""


def make_sqs(ground: Ground, clock: Clock) -> Service:
    from cosset.services.sqs.move_tasks import MoveTasks
    from cosset.services.sqs.service import sqs_service

    return sqs_service(ground.queues.there, MoveTasks(ground.store, clock), clock)


def serve_queues(ground: Ground, outward: Outward, clock: Clock) -> "QueueChores":
    """Lets asynchronous invocations end in queues. What it returns is to be served by the node."""
    to_queues = RecordedDestination(_LateDestination(ground.queues), StepKind.MESSAGE, ground.causes, clock)
    outward.destinations.serve("sqs", to_queues)
    return QueueChores(ground.store, clock, ground.meter, ground.causes)


class _LateDestination:
    action = "sqs:SendMessage"

    def __init__(self, queues: NodeQueues) -> None:
        self._queues = queues
        self._made: Destination | None = None

    async def accepts(self, target_arn: str, *, source_arn: str) -> bool:
        return await self._destination().accepts(target_arn, source_arn=source_arn)

    async def deliver(self, delivery: Delivery) -> None:
        await self._destination().deliver(delivery)

    def _destination(self) -> Destination:
        if self._made is None:
            from cosset.services.sqs.destination import QueueDestination

            self._made = QueueDestination(self._queues.there)
        return self._made


class QueueChores:
    """Wakes the chores of queues when there are any: now, and those that a dead node left."""

    def __init__(self, store: Store, clock: Clock, meter: MetricWriter, causes: CauseRecorder) -> None:
        self._causes = causes
        self._store = store
        self._clock = clock
        self._meter = meter
        self._made: Chores | None = None
        self._changed = asyncio.Event()
        for topic in (DISCARDED, MOVES):
            store.on_change(topic, lambda _key: self._changed.set())

    async def serve(self) -> None:
        """Runs until it is cancelled."""
        await asyncio.gather(self._work_off(), self._measure())

    async def _measure(self) -> None:
        """How deep the queues are, each minute."""
        while True:
            await self._clock.sleep(MEASURE_S)
            try:
                if await self._store.read(_has_queues):
                    await self._chores().measure(self._meter)
            except (ServiceError, StoreError) as error:  # no database: in a minute, then
                logger.warning("queues were not measured: %s", error)

    async def _work_off(self) -> None:
        swept_s = self._clock.monotonic_s()
        while True:
            self._changed.clear()
            if await self._store.read(_has_chores):
                await self._work()
            if self._clock.monotonic_s() - swept_s >= SWEEP_S:
                swept_s = self._clock.monotonic_s()
                await self._sweep()
            await self._wait(LOOK_AGAIN_S if self._store.shared else SWEEP_S)

    async def _sweep(self) -> None:
        if not await self._store.read(_has_queues):
            return
        try:
            await self._chores().sweep()
        except ServiceError as error:  # no room, no database: in an hour, then
            logger.warning("queues were not swept: %s", error)

    def _chores(self) -> "Chores":
        if self._made is None:
            from cosset.services.sqs.chores import Chores

            self._made = Chores(self._store, self._clock, self._causes)
        return self._made

    async def _work(self) -> None:
        chores = self._chores()
        while (next_ms := await chores.run()) is not None:
            delay_s = (next_ms - self._clock.now_ms()) / 1000
            if delay_s > 0:
                self._changed.clear()
                await self._wait(delay_s)

    async def _wait(self, timeout_s: float) -> None:
        await first_of(self._changed.wait(), self._clock.sleep(timeout_s))


def _has_chores(tx: Transaction) -> bool:
    if tx.execute(select(discarded.c.uid).limit(1)).first() is not None:
        return True
    return tx.execute(select(move_tasks.c.id).where(move_tasks.c.status == "RUNNING").limit(1)).first() is not None


def _has_queues(tx: Transaction) -> bool:
    return tx.execute(select(queues.c.name).limit(1)).first() is not None
