"""Loops of functions: counted over every kind of call, stopped after 16 runs."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from cosset.environments.response_stream import ResponseStream
from cosset.invocation.admission import Admission
from cosset.invocation.api import Invocation, InvocationResult, Target
from cosset.invocation.async_policy import AsyncPolicy
from cosset.invocation.asynchronous import AsyncEvents, AsyncWorker
from cosset.invocation.deliveries import Deliveries, DeliveryWorker
from cosset.invocation.destinations import Destinations
from cosset.invocation.dispatcher import Dispatcher
from cosset.invocation.execution import Execution
from cosset.invocation.function_destination import FunctionDestination
from cosset.invocation.lineage import LOOP_LIMIT
from cosset.store.database import Store
from cosset.store.queue import DurableQueue
from cosset.testing import RecordingDestination
from cosset.wire.errors import ServiceError
from support.clock import ManualClock
from support.invocations import CALL, Logs, target
from support.rights import Rights

QUEUE = "arn:aws:sqs:us-east-1:111111111111:q"


class World:
    """Functions `f` and `g`, whose runs are noted; `on_run` is what they do."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.clock = clock
        self.runs: list[Invocation] = []
        self.allowed = False
        self.policies: dict[str, AsyncPolicy] = {}
        self.queue = DurableQueue(store, "async", clock)
        self.outbox = DurableQueue(store, "deliveries", clock)
        events = AsyncEvents(store, self.queue, clock)
        self.dispatcher = Dispatcher(self, Admission(100), cast(Execution, self), events, clock)
        self.worker = AsyncWorker(
            store, self.queue, self.dispatcher.invoke, self, Deliveries(self.outbox), Logs(), clock
        )
        self.sqs = RecordingDestination()
        directory = Destinations()
        directory.serve("sqs", self.sqs)
        directory.serve("lambda", FunctionDestination(self, self.dispatcher))
        self.deliveries = DeliveryWorker(store, self.outbox, directory, Rights(), clock)
        self.on_run: Callable[[Invocation], Any] | None = None

    async def resolve(self, account: str, region: str, name: str, qualifier: str | None) -> Target:
        return replace(target(name), allows_recursion=self.allowed)

    async def async_policy(self, account: str, region: str, name: str, qualifier: str | None) -> AsyncPolicy:
        return self.policies.get(name, AsyncPolicy())

    async def run(
        self,
        called: Target,
        invocation: Invocation,
        stream: ResponseStream | None = None,
        place: ExitStack | None = None,
    ) -> InvocationResult:
        """Stands where Execution does."""
        self.runs.append(invocation)
        if self.on_run is not None:
            await self.on_run(invocation)
        return InvocationResult(payload=b"{}", executed_version="$LATEST")

    async def settle(self) -> None:
        """Works until nothing is left, a hundred times at most."""
        for _ in range(100):
            events = await self.queue.receive(limit=1, lease_ms=60_000)
            for message in events:
                await self.worker.handle(message)
            owed = await self.outbox.receive(limit=1, lease_ms=60_000)
            for message in owed:
                await self.deliveries.handle(message)
            if not events and not owed:
                return

    def ran(self, name: str) -> int:
        return sum(each.function_name == name for each in self.runs)


def in_world(folder: Path, test: Callable[[World], Any]) -> None:
    async def main() -> None:
        clock = ManualClock()
        store = await Store.open(data=folder, database=None, clock=clock)
        try:
            await test(World(store, clock))
        finally:
            await store.close()

    asyncio.run(main())


def call(name: str, trace_id: str = "") -> Invocation:
    arn = f"arn:aws:lambda:us-east-1:111111111111:function:{name}"
    plain = CALL._replace(want_log_tail=False, qualifier=None)
    return plain._replace(function_name=name, invoked_arn=arn, trace_id=trace_id)


def test_a_chain_of_calls_is_stopped_after_16_runs_of_one_function(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        async def again(invocation: Invocation) -> None:
            await world.dispatcher.invoke(call("f", invocation.trace_id))  # as an SDK inside the function does

        world.on_run = again
        with pytest.raises(ServiceError) as caught:
            await world.dispatcher.invoke(call("f"))
        assert (caught.value.code, caught.value.status) == ("RecursiveInvocationException", 400)
        assert world.ran("f") == LOOP_LIMIT

    in_world(tmp_path, test)


def test_two_functions_that_are_each_others_destination_are_stopped(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        f, g = (call(name).invoked_arn for name in "fg")
        world.policies["f"] = AsyncPolicy(on_success=g, on_failure=QUEUE)
        world.policies["g"] = AsyncPolicy(on_success=f)
        await world.dispatcher.invoke_async(call("f"))
        await world.settle()
        assert (world.ran("f"), world.ran("g")) == (LOOP_LIMIT, LOOP_LIMIT)
        (dropped,) = world.sqs.taken
        assert dropped.condition == "RecursiveInvocation"

    in_world(tmp_path, test)


def test_a_function_that_invokes_itself_asynchronously_is_stopped(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        async def again(invocation: Invocation) -> None:
            await world.dispatcher.invoke_async(call("f", invocation.trace_id))

        world.on_run = again
        world.policies["f"] = AsyncPolicy(dead_letter=QUEUE)
        await world.dispatcher.invoke_async(call("f"))
        await world.settle()
        assert world.ran("f") == LOOP_LIMIT
        assert world.sqs.taken[0].attributes["ErrorCode"] == "400"

    in_world(tmp_path, test)


def test_a_function_that_may_loop_does(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.allowed = True
        f, g = (call(name).invoked_arn for name in "fg")
        world.policies["f"], world.policies["g"] = AsyncPolicy(on_success=g), AsyncPolicy(on_success=f)
        await world.dispatcher.invoke_async(call("f"))
        await world.settle()
        assert world.ran("f") > 2 * LOOP_LIMIT

    in_world(tmp_path, test)


def test_calls_of_one_client_are_no_loop_and_retries_count_once(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        for _ in range(2 * LOOP_LIMIT):
            await world.dispatcher.invoke(call("f"))
        assert {each.trace_id.rpartition("=")[2].rpartition(":")[2] for each in world.runs} == {"1"}

        async def fail(invocation: Invocation) -> None:
            raise ServiceError("TooManyRequestsException", "Rate Exceeded.")

        world.runs.clear()
        world.on_run = fail
        await world.dispatcher.invoke_async(call("f"))
        for _ in range(2 * LOOP_LIMIT):
            await world.settle()
            world.clock.advance(300)
        assert world.ran("f") > LOOP_LIMIT
        assert len({each.trace_id for each in world.runs}) == 1

    in_world(tmp_path, test)
