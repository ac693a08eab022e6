"""Asynchronous invocations: accepted into the durable queue, run at least once, retried as on AWS, their end recorded.

An event is committed before `accept` returns. A function error is retried after one minute and after two more;
throttling and the platform's own failures are retried with back-off (1 s doubling to 5 min) until the event is too
old; how often and how old is the function's to say (async_policy.py). Source: AWS Lambda developer guide, "How Lambda
handles errors and retries with asynchronous invocation". An end is written only after the log lines are durable (G1),
and with it, in one transaction, what destinations are owed. Read next: ending.py, deliveries.py, execution.py.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol
from uuid import uuid4

import sqlalchemy as sa

from cosset.clock import Clock
from cosset.invocation import lineage
from cosset.invocation.api import Invocation, InvocationResult
from cosset.invocation.async_policy import MAX_AGE_S, AsyncPolicies, AsyncPolicy
from cosset.invocation.deliveries import Deliveries
from cosset.invocation.ending import Condition, Ending, LastAnswer, deliveries
from cosset.invocation.queue_worker import LEASE_MS as LEASE_MS
from cosset.invocation.queue_worker import QueueWorker
from cosset.invocation.tables import async_ends
from cosset.observe.causes import CauseRecorder, Unrecorded, key_of
from cosset.observe.function_metrics import FunctionMeter, FunctionMetric, MeteredCall, Unmetered
from cosset.observe.ports import LogWriter
from cosset.store.database import Store, Transaction
from cosset.store.prepared import Prepared
from cosset.store.queue import DurableQueue, Message
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

MAX_AGE_MS = MAX_AGE_S * 1000
RETRY_DELAYS_MS = (60_000, 120_000)
BACKOFF_MS = (1_000, 300_000)
KEEP_ENDS_MS = 7 * 24 * 3600 * 1000
# What a run may be refused with that no later run will cure.
_FINAL = {
    "ResourceNotFoundException": Condition.FUNCTION_NOT_FOUND,
    "RecursiveInvocationException": Condition.RECURSIVE_INVOCATION,
}

# Of every event that ends.
_FORGET_END = Prepared(sa.delete(async_ends).where(async_ends.c.request_id == sa.bindparam("the_request")))
_END = Prepared(sa.insert(async_ends))
_FORGET_OLD_ENDS = Prepared(sa.delete(async_ends).where(async_ends.c.ended_ms < sa.bindparam("until")))


class Runner(Protocol):
    """Runs one event synchronously; the Dispatcher's `invoke`."""

    async def __call__(self, invocation: Invocation) -> InvocationResult: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncEvent:
    """What waits in the queue: the invocation, when it was accepted, and what has been tried.

    Packed as a JSON line, the payload as it came, and what the function last answered, if it has. `payload_bytes` is
    the payload's length, None when nothing follows it.
    """

    account: str
    region: str
    function_name: str
    qualifier: str | None
    request_id: str
    invoked_arn: str
    trace_id: str
    client_context: str | None
    accepted_ms: int
    failures: int = 0
    throttles: int = 0
    payload_bytes: int | None = None
    executed_version: str = ""
    function_error: str | None = None
    source: str = ""

    def pack(self, payload: bytes, answer: LastAnswer | None = None) -> bytes:
        event, rest = self, b""
        if answer is not None:
            event = replace(
                self,
                payload_bytes=len(payload),
                executed_version=answer.executed_version,
                function_error=answer.function_error,
            )
            rest = answer.payload
        head = {name: getattr(event, name) for name in _FIELDS}
        return json.dumps(head, separators=(",", ":")).encode() + b"\n" + payload + rest

    @classmethod
    def unpack(cls, body: bytes) -> tuple["AsyncEvent", bytes, LastAnswer | None]:
        head, _, rest = body.partition(b"\n")
        event = cls(**json.loads(head))
        if event.payload_bytes is None:
            return event, rest, None
        payload, answered = rest[: event.payload_bytes], rest[event.payload_bytes :]
        answer = LastAnswer(
            payload=answered, executed_version=event.executed_version, function_error=event.function_error
        )
        return event, payload, answer

    @property
    def function_arn(self) -> str:
        """Unqualified."""
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.function_name}"

    @property
    def metered(self) -> MeteredCall:
        return MeteredCall(self.account, self.region, self.function_name, self.qualifier)

    def invocation(self, payload: bytes) -> Invocation:
        return Invocation(
            account=self.account,
            region=self.region,
            function_name=self.function_name,
            qualifier=self.qualifier,
            payload=payload,
            request_id=self.request_id,
            invoked_arn=self.invoked_arn,
            trace_id=self.trace_id,
            source=self.source,
            client_context=self.client_context,
        )


_FIELDS = tuple(each.name for each in fields(AsyncEvent))


class AsyncEvents:
    """The queue of accepted events: the near end, where they come in."""

    def __init__(self, store: Store, queue: DurableQueue, clock: Clock) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock

    async def accept(self, invocation: Invocation, *, deduplication_id: str | None = None) -> None:
        """Returns when the event is committed. One with the deduplication id of another is accepted once."""
        await self._store.write(lambda tx: self.send(tx, invocation, deduplication_id=deduplication_id))

    def send(self, tx: Transaction, invocation: Invocation, *, deduplication_id: str | None = None) -> None:
        """Accepts the event with the caller's own transaction."""
        now_ms = self._clock.now_ms()
        event = AsyncEvent(
            account=invocation.account,
            region=invocation.region,
            function_name=invocation.function_name,
            qualifier=invocation.qualifier,
            request_id=invocation.request_id,
            invoked_arn=invocation.invoked_arn,
            trace_id=lineage.begin(invocation.trace_id, now_ms),
            client_context=invocation.client_context,
            source=invocation.source,
            accepted_ms=now_ms,
        )
        self._queue.send(tx, event.pack(invocation.payload), deduplication_id=deduplication_id)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One event under way."""

    message: Message
    event: AsyncEvent
    payload: bytes
    policy: AsyncPolicy
    answer: LastAnswer | None


class AsyncWorker:
    """The far end: takes events from the queue, runs them, and settles each.

    Args:
        width: events under way at once on this node.
    """

    def __init__(
        self,
        store: Store,
        queue: DurableQueue,
        run: Runner,
        policies: AsyncPolicies,
        outbox: Deliveries,
        logs: LogWriter,
        clock: Clock,
        *,
        width: int = 64,
        new_id: Callable[[], str] = lambda: str(uuid4()),
        meter: FunctionMeter | None = None,
        causes: CauseRecorder | None = None,
    ) -> None:
        self._causes = causes or Unrecorded()
        self._meter = meter or Unmetered()
        self._queue = queue
        self._run = run
        self._policies = policies
        self._outbox = outbox
        self._logs = logs
        self._clock = clock
        self._new_id = new_id
        self._worker = QueueWorker(store, queue, self._attempt, clock, noun="event", width=width)
        self.serve = self._worker.serve
        self.stop = self._worker.stop
        self.handle = self._worker.handle

    async def _attempt(self, message: Message) -> None:
        event, payload, answer = AsyncEvent.unpack(message.body)
        if message.attempts == 1 and not event.failures and not event.throttles:
            self._meter.measure(event.metered, FunctionMetric.ASYNC_EVENTS_RECEIVED)
        policy = await self._policies.async_policy(event.account, event.region, event.function_name, event.qualifier)
        attempt = _Attempt(message, event, payload, policy, answer)
        if policy.is_switched_off:
            await self._end(attempt, Condition.ZERO_RESERVED_CONCURRENCY, status=429, reason="Rate Exceeded.")
            return
        if self._left_ms(attempt) < 0:
            await self._end(attempt, Condition.EVENT_AGE_EXCEEDED, status=429, reason="The event is too old.")
            return
        self._meter.measure(event.metered, FunctionMetric.ASYNC_EVENT_AGE, float(max(0, self._age_ms(event))))
        try:
            result = await self._run(event.invocation(payload))
        except ServiceError as error:
            await self._refused(attempt, error)
            return
        await self._logs.flush()
        await self._meter.flush()
        await self._causes.flush()
        await self._ran(attempt, result)

    async def _ran(self, attempt: _Attempt, result: InvocationResult) -> None:
        failures = attempt.event.failures
        attempt = replace(
            attempt,
            event=replace(attempt.event, failures=failures + 1),
            answer=LastAnswer(
                payload=result.payload,
                executed_version=result.executed_version,
                function_error=result.function_error,
            ),
        )
        if result.function_error is None:
            await self._end(attempt, Condition.SUCCESS)
        elif failures < attempt.policy.max_retries:
            await self._again(attempt, RETRY_DELAYS_MS[failures])
        else:
            await self._end(attempt, Condition.RETRIES_EXHAUSTED)

    async def _refused(self, attempt: _Attempt, error: ServiceError) -> None:
        """The event did not reach the function: throttled, failing platform, stopped loop, or the function is gone."""
        final = _FINAL.get(error.code)
        if final is not None:
            await self._end(attempt, final, status=error.status, reason=error.message)
            return
        lower_ms, upper_ms = BACKOFF_MS
        delay_ms = min(upper_ms, lower_ms << min(attempt.event.throttles, 20))
        logger.info("event %s waits %d ms: %s", attempt.event.request_id, delay_ms, error.code)
        event = replace(attempt.event, throttles=attempt.event.throttles + 1)
        await self._again(replace(attempt, event=event), delay_ms)

    async def _again(self, attempt: _Attempt, delay_ms: int) -> None:
        """Gives the event back; one that will be too old by then comes as soon as it is, to be ended."""
        body = attempt.event.pack(attempt.payload, attempt.answer)
        delay_ms = max(0, min(delay_ms, self._left_ms(attempt) + 1))
        await self._worker.settle(lambda tx: self._queue.release(tx, attempt.message, delay_ms=delay_ms, body=body))

    def _age_ms(self, event: AsyncEvent) -> int:
        return self._clock.now_ms() - event.accepted_ms

    def _left_ms(self, attempt: _Attempt) -> int:
        return attempt.event.accepted_ms + attempt.policy.max_age_s * 1000 - self._clock.now_ms()

    async def _end(self, attempt: _Attempt, condition: Condition, *, status: int = 200, reason: str = "") -> None:
        event, now_ms = attempt.event, self._clock.now_ms()
        ending = Ending(
            request_id=event.request_id,
            function_arn=f"{event.function_arn}:{event.qualifier or '$LATEST'}",
            condition=condition,
            invocations=event.failures,
            payload=attempt.payload,
            ended_ms=now_ms,
            trace_id=lineage.enter(event.trace_id, event.function_arn, key_of(event.request_id))[0],
            answer=attempt.answer,
            status=status,
            reason=reason,
        )
        owed = list(deliveries(ending, attempt.policy, self._new_id))

        def settle(tx: Transaction) -> None:
            if not self._queue.delete(tx, attempt.message):
                return  # the lease was lost: whoever has it now settles the event
            _record(tx, ending, event.invoked_arn)
            for delivery in owed:
                self._outbox.send(tx, delivery)

        await self._worker.settle(settle)
        if condition is not Condition.SUCCESS:
            self._meter.measure(event.metered, FunctionMetric.ASYNC_EVENTS_DROPPED)
            logger.warning("event %s of %s ended: %s", event.request_id, event.function_name, condition.value)


def _record(tx: Transaction, ending: Ending, function_arn: str) -> None:
    values: dict[str, Any] = {
        "request_id": ending.request_id,
        "function_arn": function_arn,
        "condition": ending.condition.value,
        "attempts": ending.invocations,
        "ended_ms": ending.ended_ms,
    }
    tx.run(_FORGET_END, {"the_request": ending.request_id})
    tx.run(_END, values)
    tx.run(_FORGET_OLD_ENDS, {"until": ending.ended_ms - KEEP_ENDS_MS})
