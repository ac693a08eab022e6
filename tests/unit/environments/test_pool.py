"""The pool: newest idle first, a bound on all, an end for the old. Environments are in memory, time stands still."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cosset.environments.api import EnvironmentState, InitError
from cosset.environments.pool import Pool, PoolFullError, PoolKey
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
