"""Messages of one queue to one function: received, filtered, batched, handed over, deleted or left to come again.

By AWS's table: what the function was done with is deleted; what failed stays hidden for the queue's visibility time-out
and comes again, until the queue's own redrive policy moves it to a dead-letter queue; a throttled batch is tried again
for as long as it is hidden, and does not count as failed. A message that no filter takes is deleted. Nothing is deleted
before the function is done with it and its log is durable, so whatever is killed, no message is lost.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from cosset.clock import Clock
from cosset.triggers import metrics
from cosset.triggers.batching import Batch
from cosset.triggers.calls import FUNCTION_FAILED, FUNCTION_GONE, Call, Caller, Outcome
from cosset.triggers.filters import Criteria
from cosset.triggers.metrics import Counts
from cosset.triggers.model import EventSourceMapping
from cosset.triggers.progress import OK, Progress
from cosset.triggers.scaling import Scaling
from cosset.triggers.sources import QueueSource, Record
from cosset.triggers.waiting import Signal, first_of
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

POLL_S = 20.0
RECEIVE = 100
"""Most messages of one receive."""
AHEAD = 50
"""Most messages of one receive where they make several batches."""
PROBLEM_S = (1.0, 30.0)
"""How long a mapping with a problem waits before it looks again: the first time, and at most."""
THROTTLED_S = (0.5, 10.0)
MARGIN_S = 1.0
"""A throttled batch is given up this long before its messages come to somebody else."""


class QueuePoller:
    """Works on one mapping until `stop`."""

    def __init__(
        self,
        mapping: EventSourceMapping,
        source: QueueSource,
        caller: Caller,
        progress: Progress,
        counts: Counts,
        clock: Clock,
    ) -> None:
        settings = mapping.settings
        self._mapping = mapping
        self._arn = mapping.source_arn
        self._is_ordered = mapping.source_arn.endswith(".fifo")
        self._source = source
        self._caller = caller
        self._progress = progress
        self._counts = counts
        self._clock = clock
        self._criteria = Criteria.compile(settings.filters or ())
        self._scaling = Scaling(clock, settings.max_concurrency)
        self._stopping = asyncio.Event()
        self._freed = Signal()
        self._tasks: set[asyncio.Task[None]] = set()
        # Received and taken by a filter, and not in the batch that was made: they begin the next. Received when.
        self._left: deque[Record] = deque()
        self._left_since_s = 0.0

    @property
    def under_way(self) -> int:
        """Batches that their function has."""
        return len(self._tasks)

    async def run(self) -> None:
        """Returns after `stop`, when every batch has ended."""
        waits_s = PROBLEM_S[0]
        while not self._stopping.is_set():
            try:
                trouble = await self._caller.problem()
                if not trouble:
                    waits_s = PROBLEM_S[0]
                    await self._poll()
                    continue
            except ServiceError as error:
                trouble = f"PROBLEM: {error.message}"
            await self._progress.say(trouble)
            await first_of(self._stopping.wait(), self._clock.sleep(waits_s))
            waits_s = min(waits_s * 2, PROBLEM_S[1])
        if self._left:
            await self._give_back(list(self._left))
        while self._tasks:
            await asyncio.wait(self._tasks)

    def stop(self) -> None:
        """Takes no more messages. What the function has not seen goes back at once; what it has ends."""
        self._stopping.set()

    def cancel(self) -> None:
        """Gives up on the batches under way: their messages come again."""
        for task in self._tasks:
            task.cancel()

    async def _poll(self) -> None:
        """One batch, as soon as there is room for it."""
        while len(self._tasks) >= self._scaling.limit:
            self._scaling.saturated()
            if len(self._tasks) < self._scaling.limit:
                break
            await first_of(self._freed.wait(), self._stopping.wait(), self._clock.sleep(1.0))
            if self._stopping.is_set():
                return
        records, received_s = await self._collect()
        if not records:
            self._scaling.idle()
            return
        if self._stopping.is_set():
            await self._give_back(records)
            return
        self._scaling.moved()
        task = asyncio.get_running_loop().create_task(self._handle(records, received_s), name=f"batch of {self._arn}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _collect(self) -> tuple[list[Record], float]:
        """A batch: full, or all that came within the window after its first message; and since when it is hidden."""
        batch = Batch(self._mapping.settings.batch_size or 1)
        await self._forget_stale()
        batch.fill(self._left)
        since_s, ends_s = self._left_since_s, await self._end_of_window() if batch.records else None
        while batch.room and not self._stopping.is_set():
            wait_s = POLL_S if ends_s is None else ends_s - self._clock.monotonic_s()
            if ends_s is not None and wait_s <= 0:
                break
            try:
                taken = await self._receive(self._wanted(batch), wait_s)
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

    def _wanted(self, batch: Batch) -> int:
        """Of a queue without order as much as there is room for, in batches that begin at once: a receive costs a
        commit, however many messages come."""
        if self._is_ordered or self._mapping.settings.window_s:
            return min(batch.room, RECEIVE)
        free = max(1, self._scaling.limit - len(self._tasks))
        return max(min(batch.room, RECEIVE), min(batch.room * free, AHEAD))

    async def _end_of_window(self) -> float:
        """For a batch whose first message has just come. A window ends in time for the function to have its messages
        while they are nobody else's."""
        window_s = float(self._mapping.settings.window_s or 0)
        if window_s:
            window_s = min(window_s, await self._hidden_s() / 2)
        return self._clock.monotonic_s() + window_s

    async def _hidden_s(self) -> float:
        """For how long a message is nobody else's when it has been received."""
        return float(await self._source.visibility_s(self._arn) or 0)

    async def _forget_stale(self) -> None:
        """What was left over for too long comes again by itself, and would then be here twice."""
        if self._left and self._clock.monotonic_s() >= self._left_since_s + await self._hidden_s() - MARGIN_S:
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
                await self._delete(dropped)
            except ServiceError as error:
                logger.warning("messages of %s that no filter takes come again: %s", self._arn, error)
        return taken

    async def _handle(self, records: Sequence[Record], received_s: float) -> None:
        """The task boundary of one batch: nothing that goes wrong with it may end the poller."""
        try:
            call = await self._call(records, received_s)
            await self._settle(records, call, received_s)
        except Exception:
            logger.exception("a batch of %s was not settled; its messages come again", self._arn)

    async def _call(self, records: Sequence[Record], received_s: float) -> Call:
        """Tries a throttled batch again for as long as its messages are nobody else's."""
        wait_s = THROTTLED_S[0]
        while (call := await self._caller.call(records)).outcome is Outcome.LATER:
            self._scaling.failed()
            left_s = received_s + await self._hidden_s() - MARGIN_S - self._clock.monotonic_s()
            if wait_s >= left_s or self._stopping.is_set():
                return call
            await first_of(self._stopping.wait(), self._clock.sleep(wait_s))
            wait_s = min(wait_s * 2, THROTTLED_S[1])
        return call

    async def _settle(self, records: Sequence[Record], call: Call, received_s: float) -> None:
        if call.reached:
            self._counts.count(metrics.INVOKED, len(records))
        if call.outcome is Outcome.DONE:
            done = [record for record in records if record.id not in call.failed]
            await self._delete_in_time(done, received_s)
            self._counts.count(metrics.DELETED, len(done))
            if not call.failed:
                self._scaling.succeeded()
                await self._progress.say(OK)
                return
        self._scaling.failed()
        self._counts.count(metrics.FAILED, len(call.failed))
        if call.outcome is Outcome.LATER and self._stopping.is_set():
            await self._give_back(records)
        await self._progress.say(_trouble(call))

    async def _delete_in_time(self, records: Sequence[Record], received_s: float) -> None:
        """Asks again while the messages are hidden: a queue that does not answer for a moment repeats nothing."""
        wait_s = THROTTLED_S[0]
        while True:
            try:
                await self._delete(records)
                return
            except ServiceError as error:
                left_s = received_s + await self._hidden_s() - self._clock.monotonic_s()
                if wait_s >= left_s:
                    raise
                await self._progress.say(f"PROBLEM: {error.message}")
            await self._clock.sleep(wait_s)
            wait_s = min(wait_s * 2, THROTTLED_S[1])

    async def _delete(self, records: Sequence[Record]) -> None:
        if records:
            await self._source.delete(self._arn, records)

    async def _give_back(self, records: Sequence[Record]) -> None:
        """What cannot be given back comes again by itself, when its time is over."""
        try:
            await self._source.give_back(self._arn, records)
        except ServiceError as error:
            logger.warning("messages of %s come again only when their time is over: %s", self._arn, error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._freed.set()


def _trouble(call: Call) -> str:
    match call.outcome:
        case Outcome.GONE:
            return FUNCTION_GONE
        case Outcome.DONE | Outcome.FAILED:
            return FUNCTION_FAILED
    return f"PROBLEM: {call.reason}"
