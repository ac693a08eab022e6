"""Asynchronous events on a real store, with a runner that does what the test says and a clock that stands still."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cosset.invocation.api import Invocation, InvocationResult
from cosset.invocation.asynchronous import MAX_AGE_MS, AsyncEvents, AsyncWorker
from cosset.invocation.tables import async_ends
from cosset.observe.ports import LogEvent, StreamKey
from cosset.store.database import Store
from cosset.store.queue import DurableQueue
from cosset.wire.errors import ServiceError
from support.clock import ManualClock

CALL = Invocation(
    account="111111111111",
    region="us-east-1",
    function_name="f",
    qualifier="Prod",
    payload=b'{"a":\n1}',
    request_id="r-1",
    invoked_arn="arn:aws:lambda:us-east-1:111111111111:function:f:Prod",
    trace_id="Root=1-0-0",
)

SUCCESS = InvocationResult(payload=b"1", executed_version="1")
FAILURE = InvocationResult(payload=b"{}", executed_version="1", function_error="Unhandled")


class Logs:
    def __init__(self) -> None:
        self.flushes = 0

    def write(self, key: StreamKey, events: Sequence[LogEvent]) -> None: ...

    async def flush(self) -> None:
        self.flushes += 1


class Bench:
    """A store, a queue and a worker whose runner answers from a list."""

    def __init__(self, store: Store, clock: ManualClock, answers: list[InvocationResult | ServiceError]) -> None:
        self.store, self.clock, self.answers = store, clock, answers
        self.queue = DurableQueue(store, "async", clock)
        self.events = AsyncEvents(store, self.queue, clock)
        self.logs = Logs()
        self.worker = AsyncWorker(store, self.queue, self.run, self.logs, clock)
        self.seen: list[Invocation] = []

    async def run(self, invocation: Invocation) -> InvocationResult:
        self.seen.append(invocation)
        answer = self.answers[len(self.seen) - 1]
        if isinstance(answer, ServiceError):
            raise answer
        return answer

    async def work(self) -> None:
        """Takes what is due and settles it."""
        for message in await self.queue.receive(limit=10, lease_ms=60_000):
            await self.worker._handle(message)

    async def ends(self) -> list[tuple[Any, ...]]:
        rows = await self.store.read(
            lambda tx: tx.execute(
                sa.select(async_ends.c.request_id, async_ends.c.condition, async_ends.c.attempts)
            ).all()
        )
        return [tuple(row) for row in rows]


def run(folder: Path, answers: list[InvocationResult | ServiceError], test: Callable[[Bench], Any]) -> None:
    async def main() -> None:
        clock = ManualClock()
        store = await Store.open(data=folder, database=None, clock=clock)
        try:
            await test(Bench(store, clock, answers))
        finally:
            await store.close()

    asyncio.run(main())


def test_an_event_runs_as_it_was_accepted_and_its_end_follows_its_logs(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.events.accept(CALL)
        await bench.work()
        assert bench.seen == [CALL]
        assert bench.logs.flushes == 1
        assert await bench.ends() == [("r-1", "Success", 1)]
        assert await bench.queue.count() == 0

    run(tmp_path, [SUCCESS], test)


def test_function_errors_are_retried_after_one_and_two_minutes_with_the_same_request_id(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.events.accept(CALL)
        await bench.work()
        for wait_s, calls in ((59, 1), (1, 2), (119, 2), (1, 3)):
            bench.clock.advance(wait_s)
            await bench.work()
            assert len(bench.seen) == calls
        assert {call.request_id for call in bench.seen} == {"r-1"}
        assert await bench.ends() == [("r-1", "RetriesExhausted", 3)]
        assert await bench.queue.count() == 0

    run(tmp_path, [FAILURE, FAILURE, FAILURE], test)


@pytest.mark.parametrize("code", ["TooManyRequestsException", "ServiceException"])
def test_throttling_backs_off_and_does_not_use_up_the_retries(tmp_path: Path, code: str) -> None:
    async def test(bench: Bench) -> None:
        await bench.events.accept(CALL)
        for delay_s in (1, 2, 4, 8):
            await bench.work()
            bench.clock.advance(delay_s - 0.5)
            await bench.work()
            bench.clock.advance(0.5)
        await bench.work()
        assert len(bench.seen) == 5
        assert await bench.ends() == [("r-1", "Success", 1)]

    run(tmp_path, [ServiceError(code, "no", status=429)] * 4 + [SUCCESS], test)


def test_an_event_that_grows_too_old_ends_as_such(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.events.accept(CALL)
        await bench.work()
        bench.clock.advance(MAX_AGE_MS / 1000 + 1)
        await bench.work()
        assert await bench.ends() == [("r-1", "EventAgeExceeded", 1)]
        assert len(bench.seen) == 1

    run(tmp_path, [ServiceError("TooManyRequestsException", "no")], test)


def test_an_event_of_a_deleted_function_ends_and_says_so(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.events.accept(CALL)
        await bench.work()
        assert await bench.ends() == [("r-1", "FunctionNotFound", 1)]

    run(tmp_path, [ServiceError("ResourceNotFoundException", "gone", status=404)], test)


def test_an_event_whose_worker_died_comes_again(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.events.accept(CALL)
        await bench.queue.receive(limit=1, lease_ms=60_000)  # and the worker dies
        await bench.work()
        assert bench.seen == []
        bench.clock.advance(61)
        await bench.work()
        assert len(bench.seen) == 1

    run(tmp_path, [SUCCESS], test)


def test_serve_takes_events_as_they_come_and_stops(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        task = asyncio.create_task(bench.worker.serve())
        await bench.events.accept(CALL)
        while not await bench.ends():
            await asyncio.sleep(0.01)
        await bench.worker.stop(1.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(tmp_path, [SUCCESS], test)
