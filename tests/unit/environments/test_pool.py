"""The pool: newest idle first, a bound on all, an end for the old. Environments are in memory, time stands still."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cosset.environments.api import EnvironmentState, InitError
from cosset.environments.memory_budget import STARTING_MB, MemoryBudget
from cosset.environments.pool import LEAVING_S, REST_S, Pool, PoolFullError, PoolKey
from support.clock import ManualClock
from support.environments import MemoryTier, spec

KEY = PoolKey("arn:f", "$LATEST", "1")


class Sink:
    def write(self, timestamp_ms: int, message: str) -> None: ...


def run(test: Callable[[Pool, MemoryTier, ManualClock], Awaitable[None]], max_environments: int = 10) -> MemoryTier:
    tier, clock = MemoryTier(), ManualClock()

    async def main() -> None:
        pool = Pool(tier, clock, max_environments=max_environments, idle_timeout_s=300, max_age_s=3600)
        await test(pool, tier, clock)
        await pool.close()

    asyncio.run(main())
    assert tier.closed
    assert all(e.state is EnvironmentState.SHUTDOWN for e in tier.started)
    return tier


def test_takes_the_newest_idle_environment_first() -> None:
    async def test(pool: Pool, tier: MemoryTier, clock: ManualClock) -> None:
        first = await pool.start(KEY, spec("a"), Sink())
        second = await pool.start(KEY, spec("b"), Sink())
        pool.release(first)
        pool.release(second)
        assert pool.take(KEY) is second
        assert pool.take(KEY) is first
        assert pool.take(KEY) is None

    run(test)


def test_never_gives_an_environment_that_ended_while_idle() -> None:
    async def test(pool: Pool, tier: MemoryTier, clock: ManualClock) -> None:
        resident = await pool.start(KEY, spec(), Sink())
        pool.release(resident)
        await resident.environment.shutdown()
        assert pool.take(KEY) is None
        assert pool.alive == 0

    run(test)


def test_a_full_node_lets_the_longest_idle_go_and_refuses_when_all_are_busy() -> None:
    other = PoolKey("arn:g", "$LATEST", "1")

    async def test(pool: Pool, tier: MemoryTier, clock: ManualClock) -> None:
        old = await pool.start(KEY, spec("old"), Sink())
        pool.release(old)
        clock.advance(1)
        young = await pool.start(KEY, spec("young"), Sink())
        pool.release(young)
        third = await pool.start(other, spec("third"), Sink())
        assert pool.take(KEY) is young
        with pytest.raises(PoolFullError):
            await pool.start(other, spec("fourth"), Sink())
        pool.release(third)

    run(test, max_environments=2)


def test_beyond_the_memory_budget_the_longest_idle_goes_and_the_busy_refuse() -> None:
    async def main() -> None:
        tier, clock = MemoryTier(), ManualClock()
        budget = MemoryBudget(limit_mb=300, min_free_mb=0)
        pool = Pool(tier, clock, max_environments=10, idle_timeout_s=300, budget=budget)
        large = await pool.start(KEY, spec("large"), Sink())
        large.used_mb = 200
        small = await pool.start(KEY, spec("small"), Sink())
        small.used_mb = 60
        with pytest.raises(PoolFullError):  # all are busy
            await pool.start(KEY, spec("refused"), Sink())
        pool.release(large)
        third = await pool.start(KEY, spec("third"), Sink())
        assert large.environment.state is EnvironmentState.SHUTDOWN or not pool.is_alive(large)
        assert pool.used_mb == small.used_mb + third.used_mb
        await pool.close()

    asyncio.run(main())


def test_under_pressure_idle_environments_go_the_longest_idle_first(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"

    async def main() -> None:
        tier, clock = MemoryTier(), ManualClock()
        budget = MemoryBudget(limit_mb=10_000, min_free_mb=500, meminfo=meminfo)
        pool = Pool(tier, clock, max_environments=10, idle_timeout_s=300, budget=budget)
        residents = [await pool.start(KEY, spec(str(number)), Sink()) for number in range(4)]
        for resident in residents[:3]:
            resident.used_mb = 100
            pool.release(resident)
            clock.advance(1)
        meminfo.write_text("MemTotal: 9999999 kB\nMemAvailable: 512000 kB\n")
        pool.sweep()
        assert pool.idle == 3
        meminfo.write_text("MemTotal: 9999999 kB\nMemAvailable: 359424 kB\n")  # 149 MB too little
        pool.sweep()
        assert pool.take(KEY) is residents[2]
        assert pool.take(KEY) is None
        assert pool.alive == 2  # the busy one goes on
        await pool.close()

    asyncio.run(main())


def test_the_budget_is_of_what_the_host_or_its_control_group_has(tmp_path: Path) -> None:
    group = tmp_path / "sys/fs/cgroup/memory/box"
    (tmp_path / "proc/self").mkdir(parents=True)
    group.mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n")
    (tmp_path / "proc/self/cgroup").write_text("4:memory:/box\n1:cpu:/\n0::/\n")
    (group / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert MemoryBudget.of_host(0, tmp_path).limit_mb == 6144
    (group / "memory.limit_in_bytes").write_text(f"{2048 << 20}\n")
    assert MemoryBudget.of_host(0, tmp_path).limit_mb == 1536
    (tmp_path / "sys/fs/cgroup/memory.max").write_text(f"{1024 << 20}\n")
    assert MemoryBudget.of_host(0, tmp_path).limit_mb == 768
    assert MemoryBudget.of_host(100, tmp_path).limit_mb == 100


def test_a_failed_init_gives_its_place_back() -> None:
    async def test(pool: Pool, tier: MemoryTier, clock: ManualClock) -> None:
        tier.failing = InitError("Runtime.ImportModuleError", "no", b"{}", 1.0)
        with pytest.raises(InitError):
            await pool.start(KEY, spec(), Sink())
        tier.failing = None
        assert pool.alive == 0
        pool.release(await pool.start(KEY, spec(), Sink()))

    run(test, max_environments=1)


def test_sweep_ends_the_idle_and_take_ends_the_old() -> None:
    async def test(pool: Pool, tier: MemoryTier, clock: ManualClock) -> None:
        pool.release(await pool.start(KEY, spec(), Sink()))
        clock.advance(299)
        pool.sweep()
        assert pool.idle == 1
        clock.advance(2)
        pool.sweep()
        assert pool.alive == 0
        aged = await pool.start(KEY, spec(), Sink())
        clock.advance(3601)
        pool.release(aged)
        assert pool.take(KEY) is None

    run(test)


def test_a_new_revision_retires_the_idle_ones_of_the_old() -> None:
    async def test(pool: Pool, tier: MemoryTier, clock: ManualClock) -> None:
        pool.release(await pool.start(KEY, spec(), Sink()))
        renewed = PoolKey(KEY.function_arn, KEY.version, "2")
        resident = await pool.start(renewed, spec("new"), Sink())
        assert pool.idle == 0
        assert pool.alive == 1
        pool.release(resident)

    run(test)


def test_who_makes_room_ends_when_nothing_starts_any_more_and_in_the_end_all_the_same() -> None:
    other = PoolKey("arn:g", "$LATEST", "1")

    async def test(pool: Pool, tier: MemoryTier, clock: ManualClock) -> None:
        old = await pool.start(KEY, spec("old"), Sink())
        pool.release(old)
        held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        tier.holding = held
        starting = asyncio.ensure_future(pool.start(other, spec("young"), Sink()))
        await _pass_time(clock, REST_S)
        assert not pool.is_alive(old)
        assert pool.take(KEY) is None
        assert old.environment.state is EnvironmentState.READY, "its end waits for the start"
        assert pool.used_mb == old.used_mb + STARTING_MB
        held.set_result(None)
        await starting
        await _pass_time(clock, REST_S)
        assert old.environment.state is EnvironmentState.SHUTDOWN
        pool.release(starting.result())
        tier.holding = asyncio.get_running_loop().create_future()  # a start that does not end holds nobody up for long
        stuck = asyncio.ensure_future(pool.start(KEY, spec("stuck"), Sink()))
        for _ in range(int(LEAVING_S / REST_S) + 1):
            await _pass_time(clock, REST_S)
        assert starting.result().environment.state is EnvironmentState.SHUTDOWN
        tier.holding.set_result(None)
        await stuck

    run(test, max_environments=1)


def test_memory_that_is_lacking_is_not_waited_for() -> None:
    async def main() -> None:
        tier, clock = MemoryTier(), ManualClock()
        budget = MemoryBudget(limit_mb=240, min_free_mb=0)
        pool = Pool(tier, clock, max_environments=2, idle_timeout_s=300, budget=budget)
        large = await pool.start(KEY, spec("large"), Sink())
        large.used_mb = 150
        small = await pool.start(KEY, spec("small"), Sink())
        small.used_mb = 10
        pool.release(large)
        third = await pool.start(KEY, spec("third"), Sink())  # in the place of the first, which still has its memory
        assert pool.used_mb == 150 + 10 + third.used_mb
        pool.retire(small)
        pool.release(small)
        assert pool.has_room
        await pool.start(KEY, spec("fourth"), Sink())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert large.environment.state is EnvironmentState.SHUTDOWN
        await pool.close()

    asyncio.run(main())


def test_of_an_old_revision_only_the_same_version_goes() -> None:
    async def test(pool: Pool, tier: MemoryTier, clock: ManualClock) -> None:
        residents = {}
        for name, version, revision in (("f", "$LATEST", "1"), ("f", "1", "1"), ("g", "$LATEST", "1")):
            key = PoolKey(name, version, revision)
            residents[key] = await pool.start(key, spec(f"{name}{version}"), Sink())
            pool.release(residents[key])
        await pool.start(PoolKey("f", "$LATEST", "2"), spec("new"), Sink())
        assert [pool.is_alive(each) for each in residents.values()] == [False, True, True]
        assert pool.take(PoolKey("f", "1", "1")) is residents[PoolKey("f", "1", "1")]

    run(test)


async def _pass_time(clock: ManualClock, delay_s: float) -> None:
    """And lets everybody run whom it has woken."""
    for _ in range(5):
        await asyncio.sleep(0)
    clock.advance(delay_s)
    for _ in range(5):
        await asyncio.sleep(0)
