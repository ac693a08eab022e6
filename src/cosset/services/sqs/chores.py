"""What queues need done when nobody calls: messages moved, messages of purged and deleted queues removed.

Made by assembly/queues.py when there is such work, also work that a dead node left. Each piece is one transaction.
"""

import logging
from uuid import uuid4

from sqlalchemy import delete, select

from cosset.clock import Clock
from cosset.observe.causes import CauseRecorder, Unrecorded
from cosset.observe.metrics import MetricWriter
from cosset.services.sqs.book import read_queues
from cosset.services.sqs.depths import Depths
from cosset.services.sqs.metering import QueueMeter
from cosset.services.sqs.move_steps import MoveStep
from cosset.services.sqs.move_tasks import running
from cosset.services.sqs.moves import redrive_step
from cosset.services.sqs.shelves import Shelves
from cosset.services.sqs.tables import discarded, receive_attempts
from cosset.store.database import Store, Transaction
from cosset.store.queue import DurableQueue
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

CLEARED_AT_ONCE = 500
RETRY_MS = 1_000
MEASURED = 500


class Chores:
    def __init__(self, store: Store, clock: Clock, causes: CauseRecorder | None = None) -> None:
        self._causes = causes or Unrecorded()
        self._store = store
        self._clock = clock
        self._shelves = Shelves(store, clock)
        self._depths = Depths(self._shelves, store, clock)
        self._step = MoveStep(self._shelves, clock, owner=str(uuid4()))

    async def measure(self, writer: MetricWriter) -> None:
        """How deep queues are, of MEASURED at most."""
        meter = QueueMeter(writer)
        for record in (await self._store.read(read_queues))[:MEASURED]:
            meter.stands(record.key, await self._depths.depth(record))

    async def run(self) -> int | None:
        """Does what can be done now. When to come again; None: not before there is new work."""
        try:
            is_left = await self._store.write(self._clear_some, serializable=False)
            next_ms = await self._move_all()
        except ServiceError as error:  # no room, no database: it waits
            logger.warning("queues wait with their chores: %s", error)
            return self._clock.now_ms() + RETRY_MS
        return self._clock.now_ms() if is_left else next_ms

    async def sweep(self) -> None:
        """Removes what has grown too old in queues that nobody reads."""
        for record in await self._store.read(read_queues):
            shelf, until_ms = self._shelves.of(record), self._clock.now_ms() - 1000 * record.settings.retention_s

            def drop(tx: Transaction, shelf: DurableQueue = shelf, until_ms: int = until_ms) -> int:
                return shelf.drop_sent_before(tx, until_ms, CLEARED_AT_ONCE)

            while await self._store.write(drop, serializable=False) == CLEARED_AT_ONCE:
                pass

    def _clear_some(self, tx: Transaction) -> bool:
        """Whether there is more to clear."""
        uid = tx.execute(select(discarded.c.uid).limit(1).with_for_update(skip_locked=True)).scalar()
        if uid is None:
            return False
        shelf = self._shelves.of_uid(uid)
        if shelf.clear(tx, CLEARED_AT_ONCE) < CLEARED_AT_ONCE:
            tx.execute(delete(receive_attempts).where(receive_attempts.c.uid == uid))
            tx.execute(delete(discarded).where(discarded.c.uid == uid))
        return True

    async def _move_all(self) -> int | None:
        wanted: list[int] = []
        for task in await self._store.read(running):
            step = await self._store.write(
                lambda tx, task_id=task.id: self._step.run(tx, task_id),  # type: ignore[misc]
                serializable=False,
            )
            for each in step.moved:
                self._causes.happened(redrive_step(each, self._clock.now_ms()))
            if step.at_ms is not None:
                wanted.append(step.at_ms)
        return min(wanted, default=None)
