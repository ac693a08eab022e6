"""Several nodes over one database: a mapping is one node's at a time, and another's when that node has gone."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from cosset.invocation.deliveries import Deliveries
from cosset.store.database import Store
from cosset.triggers.checkpoints import Checkpoint, Checkpoints
from cosset.triggers.leases import LEASE_MS, LeaseLostError, Leases
from cosset.triggers.tables import leases
from support.clock import ManualClock
from support.triggers import Bench, MemoryQueue, mapping, trigger_bench

Test = Callable[[Bench], Awaitable[None]]


def on_bench(folder: Path, test: Test) -> None:
    async def main() -> None:
        clock = ManualClock()
        store = await Store.open(data=folder, database=None, clock=clock, min_free_mb=1)
        try:
            async with trigger_bench(store, clock, serve=False) as bench:
                await test(bench)
        finally:
            await store.close()

    asyncio.run(main())


async def taken(bench: Bench) -> None:
    """Until somebody has the lease of the mapping."""
    await bench.until_found(select(func.count()).select_from(leases), 1)


def test_a_lease_is_one_nodes_until_it_ends(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        one, two = (Leases(bench.store, bench.clock, name, shared=True) for name in ("one", "two"))
        assert await one.take("m")
        assert not await two.take("m")
        assert await one.take("m")
        assert await two.take("other")
        bench.clock.advance(LEASE_MS / 1000)
        assert await two.take("m")
        assert not await one.take("m")
        await one.release("m")  # not its own any more
        assert not await one.take("m")
        await two.release("m")
        assert await one.take("m")

    on_bench(tmp_path, test)


def test_a_node_that_lost_its_lease_moves_no_checkpoint(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        one, two = (Leases(bench.store, bench.clock, name, shared=True) for name in ("one", "two"))
        found = mapping()
        outbox = Deliveries(bench.outbox)
        stale, fresh = (Checkpoints(bench.store, found, own, outbox) for own in (one, two))
        await one.take(found.uuid)
        await stale.save({"s": Checkpoint("1")})
        bench.clock.advance(LEASE_MS / 1000)
        await two.take(found.uuid)
        await fresh.save({"s": Checkpoint("5")})
        with pytest.raises(LeaseLostError):
            await stale.save({"s": Checkpoint("2")})
        assert (await fresh.read())["s"].position == "5"

    on_bench(tmp_path, test)


def test_another_node_goes_on_when_one_is_killed(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        queue = MemoryQueue(bench.clock)
        bench.sources.serve("sqs", queue)
        await bench.put(mapping())
        engines = [bench.another_engine(shared=True) for _ in range(2)]
        first = asyncio.ensure_future(engines[0].serve())
        await taken(bench)
        second = asyncio.ensure_future(engines[1].serve())
        await bench.settle()
        queue.send("a")
        await bench.until(lambda: not queue.left)
        for task in asyncio.all_tasks():
            if task is first or task.get_name().startswith("event source mapping"):
                task.cancel()
        await bench.settle()
        queue.send("b")
        await bench.settle()
        assert queue.left == ["m2"]
        await bench.until(lambda: not queue.left, step_s=0.5)
        assert bench.function.got == [["a"], ["b"]]
        await engines[1].stop(1)
        second.cancel()

    on_bench(tmp_path, test)


def test_a_node_that_stops_hands_over_at_once(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        queue = MemoryQueue(bench.clock)
        bench.sources.serve("sqs", queue)
        await bench.put(mapping())
        first, second = (bench.another_engine(shared=True) for _ in range(2))
        serving = [asyncio.ensure_future(first.serve())]
        await taken(bench)
        serving.append(asyncio.ensure_future(second.serve()))
        await bench.settle()
        await first.stop(5)
        queue.send("a")
        # The other looks every ten seconds; far from the end of the lease.
        await bench.until(lambda: not queue.left, step_s=0.01, most_s=12)
        await second.stop(1)
        for task in serving:
            task.cancel()

    on_bench(tmp_path, test)
