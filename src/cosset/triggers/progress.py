"""What a mapping shows of its work: LastProcessingResult. Kept in the database, for whichever node is asked.

Written only when it changes. What is worked off is not here: queues know it themselves, logs have checkpoints.
"""

import asyncio
import logging

from sqlalchemy import insert, update

from cosset.clock import Clock
from cosset.store.database import Store, Transaction
from cosset.triggers.model import EventSourceMapping
from cosset.triggers.tables import progress as table
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

OK = "OK"
INTERVAL_S = 1.0
_MAX_LENGTH = 1024


class Progress:
    """Of one mapping, on the node that works on it. Results that change too fast are written once a second."""

    def __init__(self, store: Store, mapping: EventSourceMapping, clock: Clock) -> None:
        self._store = store
        self._mapping = mapping
        self._clock = clock
        self._latest = self._said = ""
        self._said_s = -INTERVAL_S
        self._later: asyncio.Task[None] | None = None

    async def say(self, result: str) -> None:
        """A result that cannot be kept now is said again with the next."""
        self._latest = result
        if result == self._said or (self._later is not None and not self._later.done()):
            return
        wait_s = self._said_s + INTERVAL_S - self._clock.monotonic_s()
        if wait_s > 0:
            self._later = asyncio.get_running_loop().create_task(self._say_later(wait_s), name="mapping progress")
        else:
            await self._write()

    async def _say_later(self, wait_s: float) -> None:
        await self._clock.sleep(wait_s)
        await self._write()

    async def _write(self) -> None:
        result, now_ms = self._latest, self._clock.now_ms()
        if result == self._said:
            return
        self._said_s = self._clock.monotonic_s()
        if result.startswith("PROBLEM"):
            logger.warning("event source mapping %s: %s", self._mapping.uuid, result)
        try:
            await self._store.write(lambda tx: _write(tx, self._mapping.uuid, result[:_MAX_LENGTH], now_ms))
        except ServiceError as error:
            logger.warning("the result of event source mapping %s was not kept: %s", self._mapping.uuid, error)
            return
        self._said = result


def _write(tx: Transaction, uuid: str, result: str, now_ms: int) -> None:
    values = {"result": result, "at_ms": now_ms}
    if tx.execute(update(table).where(table.c.uuid == uuid).values(values)).rowcount == 0:
        tx.execute(insert(table).values(uuid=uuid, **values))
