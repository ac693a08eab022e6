"""The trigger engine over sources and functions that a test holds in its hands, with time moved by hand."""

import asyncio
import itertools
import json
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Executable, select

from cosset.clock import Clock
from cosset.functions.model import FunctionKey
from cosset.functions.names import FunctionReference
from cosset.invocation.api import Invocation, InvocationResult, Target
from cosset.invocation.deliveries import Deliveries
from cosset.invocation.destinations import Delivery
from cosset.store.database import Store
from cosset.store.queue import DurableQueue
from cosset.triggers import records
from cosset.triggers.engine import Surroundings, TriggerEngine
from cosset.triggers.model import EventSourceMapping, MappingSettings
from cosset.triggers.sources import EventSources, Record
from cosset.triggers.tables import progress
from cosset.wire.errors import ServiceError
from support.clock import ManualClock
from support.invocations import Logs, target
from support.rights import Rights

ACCOUNT, REGION = "111111111111", "us-east-1"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
PATIENCE_S = 180
UUID = "00000000-0000-4000-8000-000000000001"
Answer = Any | Exception | Callable[[dict[str, Any]], Awaitable[Any]]


def mapping(source_arn: str = QUEUE, *, uuid: str = UUID, now_ms: int = 0, **settings: Any) -> EventSourceMapping:
    """An enabled one, of function `f`."""
    return EventSourceMapping(
        account=ACCOUNT,
        region=REGION,
        uuid=uuid,
        source_arn=source_arn,
        function=FunctionReference(FunctionKey(ACCOUNT, REGION, "f")),
        settings=MappingSettings(**{"batch_size": 10, "response_types": ("ReportBatchItemFailures",), **settings}),
        enabled=True,
        transition="Creating",
        settles_at_ms=now_ms,
        modified_ms=now_ms,
    )


class MemoryQueue:
    """A QueueSource in memory, with SQS's rules of visibility and of groups. `limits` keeps what was asked for."""

    actions = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")

    def __init__(self, clock: Clock, *, visibility_s: int = 30) -> None:
        self._clock = clock
        self._hidden_s = visibility_s
        self._messages: dict[str, tuple[Record, float]] = {}
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()
        self.limits: list[int] = []
        self.receives: dict[str, int] = {}
        self.given_back: list[str] = []

    def send(self, *bodies: Any, group: str | None = None, trace_id: str = "") -> None:
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            name = f"m{next(self._numbers)}"
            shown = {"messageId": name, "body": text, "attributes": {}}
            record = Record(
                id=name,
                encoded=json.dumps(shown).encode(),
                metadata=shown,
                content_key="body",
                content=text,
                key=group,
                trace_id=trace_id,
                receipt=name,
            )
            self._messages[name] = (record, 0.0)
        self._changed.set()

    @property
    def left(self) -> list[str]:
        return list(self._messages)

    async def exists(self, arn: str) -> bool:
        return True

    async def visibility_s(self, arn: str) -> int:
        return self._hidden_s

    async def receive(self, arn: str, *, limit: int, wait_s: float, cancelled: asyncio.Event) -> Sequence[Record]:
        self.limits.append(limit)
        until_s = self._clock.monotonic_s() + wait_s
        while not cancelled.is_set():
            found = self._take(limit)
            if found or self._clock.monotonic_s() >= until_s:
                return found
            self._changed.clear()
            sleeping = asyncio.ensure_future(self._clock.sleep(until_s - self._clock.monotonic_s()))
            waits = [asyncio.ensure_future(self._changed.wait()), asyncio.ensure_future(cancelled.wait()), sleeping]
            waits.append(asyncio.ensure_future(self._next_visible()))
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        return []

    async def delete(self, arn: str, records: Sequence[Record]) -> None:
        for record in records:
            self._messages.pop(record.receipt, None)
        self._changed.set()

    async def give_back(self, arn: str, records: Sequence[Record]) -> None:
        for record in records:
            self.given_back.append(record.id)
            self._messages[record.receipt] = (record, 0.0)
        self._changed.set()

    def _take(self, limit: int) -> list[Record]:
        now_s = self._clock.monotonic_s()
        busy = {each.key for each, until_s in self._messages.values() if until_s > now_s and each.key}
        free = [each for each, until_s in self._messages.values() if until_s <= now_s and each.key not in busy]
        for record in free[:limit]:
            self._messages[record.id] = (record, now_s + self._hidden_s)
            self.receives[record.id] = self.receives.get(record.id, 0) + 1
        return free[:limit]

    async def _next_visible(self) -> None:
        later = [until_s for _, until_s in self._messages.values() if until_s > self._clock.monotonic_s()]
        await self._clock.sleep(min(later, default=3600.0) - self._clock.monotonic_s() + 0.001)


@dataclass
class Function:
    """The function `f`: keeps the events that it got, and answers in turn, then None for ever. An answer that is a
    coroutine function is awaited with the event; `is_gone`: there is no such function."""

    answers: list[Answer] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    invocations: list[Invocation] = field(default_factory=list)
    is_gone: bool = False
    under_way: int = 0
    most_under_way: int = 0

    @property
    def got(self) -> list[list[str]]:
        """The bodies, or the data, of each call."""
        return [[each.get("body", each.get("data")) for each in event["Records"]] for event in self.events]

    async def resolve(self, account: str, region: str, name: str, qualifier: str | None) -> Target:
        if self.is_gone:
            raise ServiceError("ResourceNotFoundException", "Function not found", status=404)
        return target(name)

    async def run(self, invocation: Invocation) -> InvocationResult:
        await self.resolve("", "", invocation.function_name, None)
        event = json.loads(invocation.payload)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, ServiceError):
            raise answer
        self.invocations.append(invocation)
        self.events.append(event)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if callable(answer):
                answer = await answer(event)
        finally:
            self.under_way -= 1
        if isinstance(answer, Exception):
            payload = json.dumps({"errorMessage": str(answer)}).encode()
            return InvocationResult(payload=payload, executed_version="$LATEST", function_error="Unhandled")
        return InvocationResult(payload=json.dumps(answer).encode(), executed_version="$LATEST")


def failures(*ids: str | None) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": each} for each in ids]}


THROTTLED = ServiceError("TooManyRequestsException", "Rate Exceeded.", status=429)


@dataclass
class Bench:
    """What tests hold in their hands. `counted` are the metrics."""

    store: Store
    clock: ManualClock
    sources: EventSources
    function: Function
    rights: Rights
    outbox: DurableQueue
    engine: TriggerEngine
    counted: dict[str, float] = field(default_factory=dict)

    def record(self, mapping: EventSourceMapping, name: str, value: float) -> None:
        self.counted[name] = self.counted.get(name, 0) + value

    async def put(self, *mappings: EventSourceMapping) -> None:
        def write(tx: Any) -> None:
            for each in mappings:
                records.write(tx, each)

        await self.store.write(write)

    async def change(self, uuid: str = UUID, **given: Any) -> None:
        now_ms = self.clock.now_ms()

        def write(tx: Any) -> None:
            found = records.read(tx, ACCOUNT, REGION, uuid, now_ms=now_ms)
            assert found is not None
            records.write(tx, replace(found, **given))

        await self.store.write(write)

    async def until(self, holds: Callable[[], Any], step_s: float = 0.0, most_s: float = math.inf) -> None:
        """Lets the tasks run until it holds; with a step, time passes meanwhile, `most_s` in all."""
        ends_s, passed_s = time.monotonic() + PATIENCE_S, 0.0
        while not holds():
            assert time.monotonic() < ends_s, "it never came to that"
            await asyncio.sleep(0.001)
            if step_s and passed_s < most_s:
                passed_s += step_s
                self.clock.advance(step_s)

    async def until_found(self, query: Executable, expected: Any, step_s: float = 0.0) -> None:
        """Until the query answers this one value."""
        ends_s, found = time.monotonic() + PATIENCE_S, None
        while (found := await self.store.read(lambda tx: tx.execute(query).scalar())) != expected:
            assert time.monotonic() < ends_s, f"it is {found!r}, not {expected!r}"
            await asyncio.sleep(0.001)
            self.clock.advance(step_s)

    async def shows(self, result: str, step_s: float = 0.0) -> None:
        """Until that is what the mapping's work has come to."""
        await self.until_found(select(progress.c.result), result, step_s)

    async def stopped(self) -> None:
        """Until the engine takes no more for any mapping."""
        running = self.engine._running
        await self.until(lambda: all(each.runner._stopping.is_set() for each in running.values()))  # type: ignore[attr-defined]

    async def settle(self) -> None:
        """Gives what should not happen a while to happen. Nothing may be expected to have happened after it."""
        for _ in range(20):
            await asyncio.sleep(0.001)

    async def owed(self) -> list[Delivery]:
        """What destinations are owed, taken from the outbox."""
        found = await self.outbox.receive(limit=100, lease_ms=1000)
        return [Delivery.unpack(message.body) for message in found]

    def another_engine(self, function: Function | None = None, **given: Any) -> TriggerEngine:
        around = Surroundings(
            store=self.store,
            sources=self.sources,
            targets=function or self.function,
            run=(function or self.function).run,
            rights=self.rights,
            outbox=Deliveries(self.outbox),
            logs=Logs(),
            clock=self.clock,
            metrics=self,
        )
        return TriggerEngine(around, **given)


@asynccontextmanager
async def trigger_bench(store: Store, clock: ManualClock, *, serve: bool = True) -> AsyncIterator[Bench]:
    """An engine that serves, over sources that the test puts in."""
    sources, function, rights = EventSources(), Function(), Rights()
    outbox = DurableQueue(store, "deliveries", clock)
    bench = Bench(store, clock, sources, function, rights, outbox, engine=None)  # type: ignore[arg-type]
    bench.engine = bench.another_engine()
    serving = asyncio.ensure_future(bench.engine.serve()) if serve else None
    try:
        yield bench
    finally:
        await bench.engine.stop(0.2)
        if serving is not None:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
