"""Asynchronous events on a real store, with a runner that does what the test says and a clock that stands still."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cosset.invocation.api import Invocation, InvocationResult
from cosset.invocation.async_policy import AsyncPolicy
from cosset.invocation.asynchronous import MAX_AGE_MS, AsyncEvents, AsyncWorker
from cosset.invocation.deliveries import Deliveries, DeliveryWorker
from cosset.invocation.destinations import Destinations
from cosset.invocation.tables import async_ends
from cosset.observe.ports import LogEvent, StreamKey
from cosset.store.database import Store
from cosset.store.errors import DiskFullError
from cosset.store.queue import DurableQueue
from cosset.testing.destination import RecordingDestination
from cosset.wire.errors import ServiceError
from support.clock import ManualClock
from support.rights import Rights

CALL = Invocation(
    account="111111111111",
    region="us-east-1",
    function_name="f",
    qualifier="Prod",
    payload=b'{"a":\n1}',
    request_id="r-1",
    invoked_arn="arn:aws:lambda:us-east-1:111111111111:function:f:Prod",
    trace_id="Root=1-0-0;Parent=0;Sampled=0",
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
    """A store, a queue and a worker whose runner answers from a list. `policy` is what the function has set."""

    def __init__(self, store: Store, clock: ManualClock, answers: list[InvocationResult | ServiceError]) -> None:
        self.store, self.clock, self.answers = store, clock, answers
        self.policy = AsyncPolicy()
        self.sqs = RecordingDestination()
        self.rights = Rights()
        self.queue = DurableQueue(store, "async", clock)
        self.events = AsyncEvents(store, self.queue, clock)
        self.logs = Logs()
        outbox = Deliveries(DurableQueue(store, "deliveries", clock))
        self.worker = AsyncWorker(store, self.queue, self.run, self, outbox, self.logs, clock)
        self.outbox = DurableQueue(store, "deliveries", clock)
        self.directory = Destinations()
        self.directory.serve("sqs", self.sqs)
        self.deliveries = DeliveryWorker(store, self.outbox, self.directory, self.rights, clock)
        self.seen: list[Invocation] = []

    async def async_policy(self, account: str, region: str, name: str, qualifier: str | None) -> AsyncPolicy:
        assert (account, region, name, qualifier) == ("111111111111", "us-east-1", "f", "Prod")
        return self.policy

    async def run(self, invocation: Invocation) -> InvocationResult:
        self.seen.append(invocation)
        answer = self.answers[len(self.seen) - 1]
        if isinstance(answer, ServiceError):
            raise answer
        return answer

    async def work(self) -> None:
        """Takes what is due and settles it."""
        for message in await self.queue.receive(limit=10, lease_ms=60_000):
            await self.worker.handle(message)

    async def deliver(self) -> None:
        """Takes what is due from the outbox."""
        for message in await self.outbox.receive(limit=10, lease_ms=60_000):
            await self.deliveries.handle(message)

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
        assert await bench.ends() == [("r-1", "EventAgeExceeded", 0)]
        assert len(bench.seen) == 1

    run(tmp_path, [ServiceError("TooManyRequestsException", "no")], test)


def test_an_event_of_a_deleted_function_ends_and_says_so(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.events.accept(CALL)
        await bench.work()
        assert await bench.ends() == [("r-1", "FunctionNotFound", 0)]

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


# -- what the function has set -----------------------------------------------------------------------------------------

QUEUE = "arn:aws:sqs:us-east-1:111111111111:q"


@pytest.mark.parametrize(("retries", "calls"), [(0, 1), (1, 2), (2, 3)])
def test_the_function_says_how_often_it_is_retried(tmp_path: Path, retries: int, calls: int) -> None:
    async def test(bench: Bench) -> None:
        bench.policy = AsyncPolicy(max_retries=retries)
        await bench.events.accept(CALL)
        for _ in range(4):
            await bench.work()
            bench.clock.advance(121)
        assert len(bench.seen) == calls
        assert await bench.ends() == [("r-1", "RetriesExhausted", calls)]

    run(tmp_path, [FAILURE] * 3, test)


def test_a_retry_that_would_come_too_late_ends_the_event_when_it_is_too_old(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.policy = AsyncPolicy(max_age_s=100, on_failure=QUEUE)
        await bench.events.accept(CALL)
        await bench.work()
        bench.clock.advance(60)
        await bench.work()
        bench.clock.advance(40)
        await bench.work()
        assert await bench.ends() == []
        bench.clock.advance(0.001)
        await bench.work()
        assert await bench.ends() == [("r-1", "EventAgeExceeded", 2)]
        await bench.deliver()
        (taken,) = bench.sqs.taken
        record = json.loads(taken.body)
        assert record["requestContext"]["approximateInvokeCount"] == 2
        # What it last answered is not forgotten over the wait.
        assert record["responseContext"]["functionError"] == "Unhandled"
        assert record["responsePayload"] == {}

    run(tmp_path, [FAILURE, FAILURE], test)


def test_an_event_of_a_function_that_is_switched_off_ends_at_once(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.policy = AsyncPolicy(is_switched_off=True, on_failure=QUEUE)
        await bench.events.accept(CALL)
        await bench.work()
        assert bench.seen == []
        await bench.deliver()
        context = json.loads(bench.sqs.taken[0].body)["requestContext"]
        assert (context["condition"], context["approximateInvokeCount"]) == ("ZeroReservedConcurrency", 0)

    run(tmp_path, [], test)


def test_the_function_is_named_with_the_qualifier_that_was_called(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.policy = AsyncPolicy(on_success=QUEUE)
        await bench.events.accept(CALL)
        await bench.work()
        await bench.deliver()
        (taken,) = bench.sqs.taken
        assert taken.source_arn == CALL.invoked_arn
        assert "Lineage=" in taken.trace_id

    run(tmp_path, [SUCCESS], test)


def test_a_loop_that_was_stopped_is_not_tried_again(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.policy = AsyncPolicy(dead_letter=QUEUE)
        await bench.events.accept(CALL)
        await bench.work()
        assert await bench.ends() == [("r-1", "RecursiveInvocation", 0)]
        await bench.deliver()
        assert bench.sqs.taken[0].attributes == {"RequestID": "r-1", "ErrorCode": "400", "ErrorMessage": "a loop"}
        assert bench.sqs.taken[0].body == CALL.payload

    run(tmp_path, [ServiceError("RecursiveInvocationException", "a loop")], test)


# -- deliveries --------------------------------------------------------------------------------------------------------


def test_the_end_and_what_it_owes_are_one_commit(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.policy = AsyncPolicy(on_success=QUEUE)
        await bench.events.accept(CALL)
        (message,) = await bench.queue.receive(limit=1, lease_ms=1)
        bench.clock.advance(1)
        (again,) = await bench.queue.receive(limit=1, lease_ms=60_000)
        await bench.worker.handle(message)  # by a worker whose lease is lost
        assert (await bench.ends(), await bench.outbox.count(), await bench.queue.count()) == ([], 0, 1)
        await bench.worker.handle(again)
        assert (len(await bench.ends()), await bench.outbox.count(), await bench.queue.count()) == (1, 1, 0)

    run(tmp_path, [SUCCESS, SUCCESS], test)


def test_a_delivery_that_fails_comes_again_with_back_off_and_the_same_id(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.sqs = RecordingDestination(failures=3)
        bench.directory.serve("sqs", bench.sqs)
        bench.policy = AsyncPolicy(on_success=QUEUE)
        await bench.events.accept(CALL)
        await bench.work()
        for delay_s in (1, 2, 4):
            await bench.deliver()
            bench.clock.advance(delay_s - 0.5)
            await bench.deliver()
            assert bench.sqs.taken == []
            bench.clock.advance(0.5)
        await bench.deliver()
        assert len(bench.sqs.taken) == 1
        assert await bench.outbox.count() == 0

    run(tmp_path, [SUCCESS], test)


def test_a_delivery_whose_worker_died_comes_again(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.policy = AsyncPolicy(on_success=QUEUE)
        await bench.events.accept(CALL)
        await bench.work()
        await bench.outbox.receive(limit=1, lease_ms=60_000)  # and the worker dies
        bench.clock.advance(61)
        await bench.deliver()
        assert len(bench.sqs.taken) == 1

    run(tmp_path, [SUCCESS], test)


@pytest.mark.parametrize("target", [QUEUE, "arn:aws:sns:us-east-1:111111111111:nobody-serves-this"])
def test_a_delivery_that_can_never_be_made_is_dropped_with_a_word(
    tmp_path: Path, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(bench: Bench) -> None:
        bench.directory.serve("sqs", RecordingDestination(missing=[QUEUE]))
        bench.policy = AsyncPolicy(on_success=target)
        await bench.events.accept(CALL)
        await bench.work()
        await bench.deliver()
        assert await bench.outbox.count() == 0

    run(tmp_path, [SUCCESS], test)
    assert f"did not reach {target} and is lost" in caplog.text


def test_a_delivery_is_given_up_after_six_hours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(bench: Bench) -> None:
        bench.policy = AsyncPolicy(on_success=QUEUE)
        await bench.events.accept(CALL)
        await bench.work()
        bench.clock.advance(MAX_AGE_MS / 1000 + 1)
        await bench.deliver()
        assert (await bench.outbox.count(), bench.sqs.taken) == (0, [])

    run(tmp_path, [SUCCESS], test)
    assert "six hours" in caplog.text


def test_what_the_role_does_not_allow_waits_until_it_does(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.policy = AsyncPolicy(on_success=QUEUE, role="role")
        bench.rights.denied = {("sqs:SendMessage", QUEUE)}
        await bench.events.accept(CALL)
        await bench.work()
        await bench.deliver()
        assert bench.sqs.taken == []
        assert bench.rights.asked == [("role", CALL.invoked_arn.removesuffix(":Prod"), "sqs:SendMessage", QUEUE)]
        bench.rights.denied = set()
        bench.clock.advance(1)
        await bench.deliver()
        assert len(bench.sqs.taken) == 1

    run(tmp_path, [SUCCESS], test)


def test_an_end_that_cannot_be_written_is_written_later_and_the_function_runs_once(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.events.accept(CALL)
        (message,) = await bench.queue.receive(limit=10, lease_ms=60_000)
        write, refused = bench.store.write, 0

        async def full(fn: Any, **given: Any) -> Any:
            nonlocal refused
            if refused < 3:
                refused += 1
                raise DiskFullError(tmp_path)
            return await write(fn, **given)

        bench.store.write = full  # type: ignore[method-assign]
        handling = asyncio.create_task(bench.worker.handle(message))
        while not handling.done():
            bench.clock.wake_next()
            await asyncio.sleep(0.001)
        assert (refused, len(bench.seen)) == (3, 1)
        assert await bench.ends() == [("r-1", "Success", 1)]

    run(tmp_path, [SUCCESS], test)
