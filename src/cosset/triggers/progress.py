"""What a mapping shows of its work: LastProcessingResult. Kept in the database, for whichever node is asked.

Written only when it changes. What is worked off is not here: queues know it themselves, logs have checkpoints.
"""

import logging

from sqlalchemy import insert, update

from cosset.clock import Clock
from cosset.store.database import Store, Transaction
from cosset.triggers.model import EventSourceMapping
from cosset.triggers.tables import progress as table
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

OK = "OK"
_MAX_LENGTH = 1024


class Progress:
    """Of one mapping, on the node that works on it."""

    def __init__(self, store: Store, mapping: EventSourceMapping, clock: Clock) -> None:
        self._store = store
        self._mapping = mapping
        self._clock = clock
        self._said: str | None = None

    async def say(self, result: str) -> None:
        """A result that cannot be kept now is said again with the next."""
        if result == self._said:
            return
        if result.startswith("PROBLEM"):
            logger.warning("event source mapping %s: %s", self._mapping.uuid, result)
        now_ms = self._clock.now_ms()
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
