"""How batches of a queue are made: received, filtered, gathered for as long as the window says.

A message that no filter takes is deleted, as on AWS. Decides nothing of what becomes of a batch; queue_poller.py does.
"""

import asyncio
import logging
from collections import deque

from cosset.clock import Clock
from cosset.triggers import metrics
from cosset.triggers.batching import Batch
from cosset.triggers.filters import Criteria
from cosset.triggers.metrics import Counts
from cosset.triggers.model import EventSourceMapping
from cosset.triggers.sources import QueueSource, Record
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

POLL_S = 20.0
RECEIVE = 100
"""Most messages of one receive."""
AHEAD = 50
"""Most messages of one receive where they make several batches."""
AHEAD_S = 10.0
"""Messages that are hidden for less than this come only when they go into a batch at once."""
MARGIN_S = 1.0
"""Messages are done with, or let go, this long before they come to somebody else."""


class Collector:
    """The batches of one mapping, one after the other, until `stopping` is set."""

    def __init__(
        self,
        mapping: EventSourceMapping,
        source: QueueSource,
        counts: Counts,
        clock: Clock,
        stopping: asyncio.Event,
    ) -> None:
        """Raises: InvalidPatternError."""
        self._mapping = mapping
        self._arn = mapping.source_arn
        self._is_ordered = mapping.source_arn.endswith(".fifo")
        self._source = source
        self._counts = counts
        self._clock = clock
        self._stopping = stopping
        self._criteria = Criteria.compile(mapping.settings.filters or ())
        # Received and taken by a filter, and not in the batch that was made: they begin the next. Received when.
        self._left: deque[Record] = deque()
        self._left_since_s = 0.0

    def take_rest(self) -> list[Record]:
        """What was received and is in no batch yet."""
        rest = list(self._left)
        self._left.clear()
        return rest

    async def collect(self, free: int) -> tuple[list[Record], float]:
        """A batch: full, or all that came within the window after its first message; and since when it is hidden.

        `free`: how many batches may begin at once. Nothing, when nothing came for POLL_S or the poller stops.
        """
        batch = Batch(self._mapping.settings.batch_size or 1)
        await self._forget_stale()
        batch.fill(self._left)
        since_s, ends_s = self._left_since_s, await self._end_of_window() if batch.records else None
        while batch.room and not self._stopping.is_set():
            wait_s = POLL_S if ends_s is None else ends_s - self._clock.monotonic_s()
            if ends_s is not None and wait_s <= 0:
                break
            try:
                taken = await self._receive(await self._wanted(batch, free), wait_s)
            except ServiceError:
                self._left.extendleft(reversed(batch.records))
                raise
            if taken and not self._left:
                self._left_since_s = self._clock.monotonic_s()
            self._left.extend(taken)
            batch.fill(self._left)
            if ends_s is None:
                if not batch.records:
                    break
                since_s, ends_s = self._left_since_s, await self._end_of_window()
        return batch.records, since_s

    async def _wanted(self, batch: Batch, free: int) -> int:
        """Of a queue without order as much as there is room for, in batches that begin at once: a receive costs a
        commit, however many messages come."""
        if self._is_ordered or self._mapping.settings.window_s or await self.hidden_s() < AHEAD_S:
            return min(batch.room, RECEIVE)
        return max(min(batch.room, RECEIVE), min(batch.room * max(1, free), AHEAD))

    async def _end_of_window(self) -> float:
        """For a batch whose first message has just come. A window ends in time for the function to have its messages
        while they are nobody else's."""
        window_s = float(self._mapping.settings.window_s or 0)
        if window_s:
            window_s = min(window_s, await self.hidden_s() / 2)
        return self._clock.monotonic_s() + window_s

    async def hidden_s(self) -> float:
        """For how long a message is nobody else's when it has been received."""
        return float(await self._source.visibility_s(self._arn) or 0)

    async def _forget_stale(self) -> None:
        """What was left over for too long comes again by itself, and would then be here twice."""
        if self._left and self._clock.monotonic_s() >= self._left_since_s + await self.hidden_s() - MARGIN_S:
            self._left.clear()

    async def _receive(self, limit: int, wait_s: float) -> list[Record]:
        """What the filters take; the rest is deleted."""
        received = await self._source.receive(self._arn, limit=limit, wait_s=wait_s, cancelled=self._stopping)
        self._counts.count(metrics.POLLED, len(received))
        taken = [record for record in received if self._criteria.takes(record)]
        if len(taken) < len(received):
            kept = {id(record) for record in taken}
            dropped = [record for record in received if id(record) not in kept]
            self._counts.count(metrics.FILTERED_OUT, len(dropped))
            try:
                await self._source.delete(self._arn, dropped)
            except ServiceError as error:
                logger.warning("messages of %s that no filter takes come again: %s", self._arn, error)
        return taken
