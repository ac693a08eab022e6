"""Messages of one queue to one function: batches handed over, and deleted or left to come again.

By AWS's table: what the function was done with is deleted; what failed stays hidden for the queue's visibility time-out
and comes again, until the queue's own redrive policy moves it to a dead-letter queue; a throttled batch is tried again
for as long as it is hidden, and does not count as failed. Nothing is deleted before the function is done with it and
its log is durable, so whatever is killed, no message is lost. Read next: queue_collector.py, how batches are made.
"""

import asyncio
import logging
from collections.abc import Sequence

from cosset.clock import Clock
from cosset.triggers import metrics
from cosset.triggers.calls import FUNCTION_FAILED, FUNCTION_GONE, Call, Caller, Outcome
from cosset.triggers.metrics import Counts
from cosset.triggers.model import EventSourceMapping
from cosset.triggers.progress import OK, Progress
from cosset.triggers.queue_collector import MARGIN_S, Collector
from cosset.triggers.scaling import Scaling
from cosset.triggers.sources import QueueSource, Record
from cosset.waiting import Signal, first_of
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

PROBLEM_S = (1.0, 30.0)
"""How long a mapping with a problem waits before it looks again: the first time, and at most."""
THROTTLED_S = (0.5, 10.0)


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
        self._arn = mapping.source_arn
        self._source = source
        self._caller = caller
        self._progress = progress
        self._counts = counts
        self._clock = clock
        self._scaling = Scaling(clock, mapping.settings.max_concurrency)
        self._stopping = asyncio.Event()
        self._collector = Collector(mapping, source, counts, clock, self._stopping)
        self._freed = Signal()
        self._tasks: set[asyncio.Task[None]] = set()

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
        await self._give_back(self._collector.take_rest())
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
        records, received_s = await self._collector.collect(self._scaling.limit - len(self._tasks))
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
        await asyncio.sleep(0)  # the batch goes first, then the next is waited for

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
            left_s = received_s + await self._collector.hidden_s() - MARGIN_S - self._clock.monotonic_s()
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
                left_s = received_s + await self._collector.hidden_s() - self._clock.monotonic_s()
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
            if records:
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
