"""Asynchronous invocations: accepted into the durable queue, run at least once, retried as on AWS, their end recorded.

An event is committed before `accept` returns. A function error is retried twice, after one minute and after two more;
throttling and the platform's own failures are retried with back-off (1 s doubling to 5 min) until the event is six
hours old. Source: AWS Lambda developer guide, "How Lambda handles errors and retries with asynchronous invocation".
An end is written only after the log lines are durable (G1). Read next: store/queue.py, execution.py.
"""

import asyncio
import json
import logging
from dataclasses import asdict, dataclass, replace
from typing import Protocol

import sqlalchemy as sa

from cosset.clock import Clock
from cosset.invocation.api import Invocation, InvocationResult
from cosset.invocation.tables import async_ends
from cosset.observe.ports import LogWriter
from cosset.store.database import Store, Transaction
from cosset.store.queue import DurableQueue, Message
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

MAX_AGE_MS = 6 * 3600 * 1000
RETRY_DELAYS_MS = (60_000, 120_000)
BACKOFF_MS = (1_000, 300_000)
LEASE_MS = 60_000
WAIT_S = 5.0
KEEP_ENDS_MS = 7 * 24 * 3600 * 1000
SYSTEM_ERROR_STATUS = 500


class Runner(Protocol):
    """Runs one event synchronously; the Dispatcher's `invoke`."""

    async def __call__(self, invocation: Invocation) -> InvocationResult: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncEvent:
    """What waits in the queue: the invocation, when it was accepted, and what has been tried. A JSON line, then the
    payload as it came."""

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

    def pack(self, payload: bytes) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n" + payload

    @classmethod
    def unpack(cls, body: bytes) -> tuple["AsyncEvent", bytes]:
        head, _, payload = body.partition(b"\n")
        return cls(**json.loads(head)), payload

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
            client_context=self.client_context,
        )


class AsyncEvents:
    """The queue of accepted events: the near end, where they come in."""

    def __init__(self, store: Store, queue: DurableQueue, clock: Clock) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock

    async def accept(self, invocation: Invocation) -> None:
        """Returns when the event is committed."""
        event = AsyncEvent(
            account=invocation.account,
            region=invocation.region,
            function_name=invocation.function_name,
            qualifier=invocation.qualifier,
            request_id=invocation.request_id,
            invoked_arn=invocation.invoked_arn,
            trace_id=invocation.trace_id,
            client_context=invocation.client_context,
            accepted_ms=self._clock.now_ms(),
        )
        body = event.pack(invocation.payload)
        await self._store.write(lambda tx: self._queue.send(tx, body))


class AsyncWorker:
    """The far end: takes events from the queue, runs them, and settles each.

    Args:
        width: events under way at once on this node.
    """

    def __init__(
        self, store: Store, queue: DurableQueue, run: Runner, logs: LogWriter, clock: Clock, *, width: int = 64
    ) -> None:
        self._store = store
        self._queue = queue
        self._run = run
        self._logs = logs
        self._clock = clock
        self._width = width
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def serve(self) -> None:
        """Runs until it is cancelled, after `stop`. What a killed process had under way comes first."""
        await self._queue.recover()
        while not self._stopping:
            room = self._width - len(self._tasks)
            messages = await self._receive(room) if room else []
            for message in messages:
                task = asyncio.get_running_loop().create_task(self._handle(message), name=f"event {message.id}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if not room:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            elif not messages:
                while not await self._queue.wait(WAIT_S):
                    pass  # nothing is due: an idle node writes nothing

    async def stop(self, timeout_s: float) -> None:
        """Takes no more events; waits for those under way, at most this long. What is left keeps its place."""
        self._stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in self._tasks:
            task.cancel()

    async def _receive(self, limit: int) -> list[Message]:
        try:
            return await self._queue.receive(limit=limit, lease_ms=LEASE_MS)
        except ServiceError as error:  # the store refuses writes for now (full disk, overload): wait, keep serving
            logger.warning("asynchronous events wait: %s", error)
            await self._clock.sleep(1.0)
            return []

    async def _handle(self, message: Message) -> None:
        """The task boundary of one event: nothing it does may end the worker."""
        keeper = asyncio.get_running_loop().create_task(self._keep_lease(message))
        try:
            event, payload = AsyncEvent.unpack(message.body)
            await self._attempt(message, event, payload)
        except Exception:
            logger.exception("event %s could not be settled; it comes again when its lease ends", message.id)
        finally:
            keeper.cancel()

    async def _keep_lease(self, message: Message) -> None:
        while True:
            await self._clock.sleep(LEASE_MS / 3000)
            try:
                held = await self._store.write(lambda tx: self._queue.extend(tx, message, LEASE_MS))
            except ServiceError as error:
                logger.warning("the lease of event %s was not extended: %s", message.id, error)
                continue
            if not held:
                return

    async def _attempt(self, message: Message, event: AsyncEvent, payload: bytes) -> None:
        if self._clock.now_ms() - event.accepted_ms > MAX_AGE_MS:
            await self._end(message, event, "EventAgeExceeded")
            return
        try:
            result = await self._run(event.invocation(payload))
        except ServiceError as error:
            await self._refused(message, event, payload, error)
            return
        await self._logs.flush()
        if result.function_error is None:
            await self._end(message, event, "Success")
        elif event.failures < len(RETRY_DELAYS_MS):
            again = replace(event, failures=event.failures + 1)
            await self._again(message, again.pack(payload), RETRY_DELAYS_MS[event.failures])
        else:
            await self._end(message, event, "RetriesExhausted")

    async def _refused(self, message: Message, event: AsyncEvent, payload: bytes, error: ServiceError) -> None:
        """The event did not reach the function: throttled, failing platform, or the function is gone."""
        if error.code == "ResourceNotFoundException":
            await self._end(message, event, "FunctionNotFound")
            return
        lower_ms, upper_ms = BACKOFF_MS
        delay_ms = min(upper_ms, lower_ms << min(event.throttles, 20))
        again = replace(event, throttles=event.throttles + 1)
        logger.info("event %s waits %d ms: %s", event.request_id, delay_ms, error.code)
        await self._again(message, again.pack(payload), delay_ms)

    async def _again(self, message: Message, body: bytes, delay_ms: int) -> None:
        await self._store.write(lambda tx: self._queue.release(tx, message, delay_ms=delay_ms, body=body))

    async def _end(self, message: Message, event: AsyncEvent, condition: str) -> None:
        now_ms = self._clock.now_ms()

        def settle(tx: Transaction) -> None:
            if not self._queue.delete(tx, message):
                return  # the lease was lost: whoever has it now settles the event
            tx.execute(sa.delete(async_ends).where(async_ends.c.request_id == event.request_id))
            tx.execute(
                sa.insert(async_ends).values(
                    request_id=event.request_id,
                    function_arn=event.invoked_arn,
                    condition=condition,
                    attempts=event.failures + 1,
                    ended_ms=now_ms,
                )
            )
            tx.execute(sa.delete(async_ends).where(async_ends.c.ended_ms < now_ms - KEEP_ENDS_MS))

        await self._store.write(settle)
        if condition != "Success":
            logger.warning("event %s of %s ended: %s", event.request_id, event.function_name, condition)
