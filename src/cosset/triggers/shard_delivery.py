"""A batch of a shard, until it is done with: called, retried, split, given up. By AWS's table for streams.

A function error is retried as often as the mapping says, and until the records are too old; a throttled call is not
counted. With bisecting, a failed batch is split before it is retried, which is not counted either; with reports, the
first that failed and all behind it are retried. What is given up goes to the on-failure destination, committed with the
checkpoint that passes it. Source: AWS Lambda developer guide, "Retain discarded batch records" and "Configuring partial
batch response with Kinesis Data Streams and Lambda".
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from cosset.clock import Clock
from cosset.invocation import lineage
from cosset.invocation.destinations import Delivery, service_of
from cosset.observe.causes import key_of
from cosset.triggers import metrics
from cosset.triggers.calls import FUNCTION_FAILED, FUNCTION_GONE, Call, Caller, Outcome
from cosset.triggers.failure_records import Condition, GivenUp, object_key, write_failure
from cosset.triggers.metrics import Counts
from cosset.triggers.model import EventSourceMapping
from cosset.triggers.progress import OK, Progress
from cosset.triggers.sources import Record

logger = logging.getLogger(__name__)

RETRY_S = (0.5, 30.0)


class StoppedError(Exception):
    """The reader stops: what is not done is read again some other time."""


CallFunction = Callable[[Sequence[Record]], Awaitable[Call]]
Pause = Callable[[float], Awaitable[None]]
Done = Callable[[Sequence[Record], Sequence[Delivery]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardWork:
    """What deliveries of one shard share.

    `pause` waits, and raises StoppedError when the reader stops. `done` passes records, with what is owed for them.
    """

    mapping: EventSourceMapping
    info_key: str
    shard_id: str
    caller: Caller
    progress: Progress
    counts: Counts
    clock: Clock
    pause: Pause
    done: Done
    new_id: Callable[[], str]


@dataclass(slots=True)
class _Part:
    """Records that are retried together. `failures` counts calls that count; `calls` all that reached the function."""

    records: Sequence[Record]
    failures: int = 0
    calls: int = 0


class ShardDelivery:
    """Delivers batches of one shard by `call`, which is the caller's own, or a window's."""

    def __init__(self, work: ShardWork, call: CallFunction | None = None) -> None:
        self._work = work
        self._settings = work.mapping.settings
        self._call = call or work.caller.call

    async def deliver(self, records: Sequence[Record]) -> None:
        """Returns when all of them are passed. Raises: StoppedError, LeaseLostError."""
        parts = [_Part(records)]
        while parts:
            rest = await self._deliver(parts.pop())
            parts.extend(reversed(rest))

    async def _deliver(self, part: _Part) -> list[_Part]:
        """Until the part is passed, or falls into parts that are to be delivered one after the other."""
        wait_s = RETRY_S[0]
        call: Call | None = None
        while True:
            part = await self._without_old(part, call)
            if not part.records:
                return []
            call = await self._try(part)
            if call.outcome in (Outcome.LATER, Outcome.GONE):
                await self._work.progress.say(FUNCTION_GONE if call.outcome is Outcome.GONE else _problem(call))
            else:
                part.failures += 1
                pieces = await self._after(part, call)
                if pieces is not None:
                    return pieces
            await self._work.pause(wait_s)
            wait_s = min(wait_s * 2, RETRY_S[1])

    async def _try(self, part: _Part) -> Call:
        now_ms = self._work.clock.now_ms()
        self._work.counts.iterator_age(now_ms - part.records[-1].arrived_ms)
        call = await self._call(part.records)
        if call.reached:
            part.calls += 1
            self._work.counts.count(metrics.INVOKED, len(part.records))
        return call

    async def _after(self, part: _Part, call: Call) -> list[_Part] | None:
        """What is left to deliver when the function has had the part; None: this part again."""
        first = next((at for at, each in enumerate(part.records) if each.id in call.failed), len(part.records))
        if first:
            await self._work.done(part.records[:first], ())
        if first == len(part.records):
            await self._work.progress.say(OK)
            return []
        await self._work.progress.say(FUNCTION_FAILED if call.reached else _problem(call))
        was_whole = first == 0
        part.records = part.records[first:]
        self._work.counts.count(metrics.FAILED, len(part.records))
        if self._settings.bisect and len(part.records) > 1:
            return _split(part) if was_whole else [_Part(part.records, part.failures - 1, part.calls)]
        retries = -1 if self._settings.max_retries is None else self._settings.max_retries
        if 0 <= retries < part.failures or call.outcome is Outcome.REFUSED:
            await self._give_up(part.records, Condition.RETRIES, part.calls, call)
            return []
        return None

    async def _without_old(self, part: _Part, call: Call | None) -> _Part:
        """The part without those records that are older than the mapping lets them be."""
        age_s = self._settings.max_record_age_s
        if age_s is None or age_s < 0:
            return part
        oldest_ms = self._work.clock.now_ms() - age_s * 1000
        old = next((at for at, each in enumerate(part.records) if each.arrived_ms >= oldest_ms), len(part.records))
        if old:
            await self._give_up(part.records[:old], Condition.AGE, part.calls, call)
            part.records = part.records[old:]
        return part

    async def _give_up(self, records: Sequence[Record], condition: Condition, calls: int, call: Call | None) -> None:
        work, target = self._work, self._settings.on_failure
        work.counts.count(metrics.DROPPED, len(records))
        logger.warning(
            "event source mapping %s gave up %d records of %s: %s",
            work.mapping.uuid,
            len(records),
            work.shard_id,
            condition.value,
        )
        owed = [] if not target else [await self._delivery(target, records, condition, calls, call)]
        await work.done(records, owed)
        work.counts.count(metrics.DELIVERED, len(records) if owed else 0)

    async def _delivery(
        self, target: str, records: Sequence[Record], condition: Condition, calls: int, call: Call | None
    ) -> Delivery:
        work, now_ms, new_id = self._work, self._work.clock.now_ms(), self._work.new_id()
        given_up = GivenUp(
            info_key=work.info_key,
            stream_arn=work.mapping.source_arn,
            shard_id=work.shard_id,
            function_arn=work.mapping.function.arn,
            records=records,
            condition=condition,
            calls=calls,
            request_id=call.request_id if call is not None else new_id,
            result=call.result if call is not None else None,
            now_ms=now_ms,
        )
        in_bucket = service_of(target) == "s3"
        key = {"Key": object_key(work.mapping.uuid, work.shard_id, now_ms, new_id)} if in_bucket else {}
        return Delivery(
            id=new_id,
            target_arn=target,
            source_arn=work.mapping.function.key.qualified_arn(work.mapping.function.qualifier or "$LATEST"),
            condition=condition.value,
            role=await work.caller.role(),
            trace_id=_trace_of(records, call, now_ms),
            sent_ms=now_ms,
            body=write_failure(given_up, with_payload=in_bucket),
            attributes=key,
        )


def _trace_of(records: Sequence[Record], call: Call | None, now_ms: int) -> str:
    """That of the records, from their last call on where there was one."""
    trace_id = lineage.deepest(record.trace_id for record in records)
    return trace_id if call is None else lineage.led_by(trace_id, key_of(call.request_id), now_ms)


def _split(part: _Part) -> list[_Part]:
    """Two halves. The call that failed is not counted against either."""
    half = (len(part.records) + 1) // 2
    return [_Part(part.records[:half], part.failures - 1, part.calls), _Part(part.records[half:])]


def _problem(call: Call) -> str:
    return f"PROBLEM: {call.reason}"
