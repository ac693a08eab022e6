"""When idle environments are frozen and thawed, by a clock moved by hand."""

import asyncio
from collections.abc import Awaitable, Callable

from cosset.environments.jail.idling import IdleSweep
from support.clock import ManualClock


class Halting:
    def __init__(self) -> None:
        self.is_frozen = False
        self.changes = 0

    def freeze(self) -> None:
        self.is_frozen = True
        self.changes += 1

    def thaw(self) -> None:
        self.is_frozen = False
        self.changes += 1


Pass = Callable[[float], Awaitable[None]]


def swept(scenario: Callable[[IdleSweep, Pass], Awaitable[None]]) -> None:
    async def main() -> None:
        clock = ManualClock()
        sweep = IdleSweep(clock)

        async def let_pass(delay_s: float) -> None:
            await asyncio.sleep(0)
            clock.advance(delay_s)
            for _ in range(40):
                await asyncio.sleep(0)

        await scenario(sweep, let_pass)
        sweep.close()

    asyncio.run(main())


def test_freezes_what_has_been_idle_for_50_ms_and_thaws_it_for_the_next_event() -> None:
    async def scenario(sweep: IdleSweep, let_pass: Pass) -> None:
        one = Halting()
        sweep.rest(one)
        await let_pass(0.049)
        assert not one.is_frozen
        await let_pass(0.011)
        assert one.is_frozen
        sweep.wake(one)
        assert not one.is_frozen
        await let_pass(1)
        assert one.changes == 2

    swept(scenario)


def test_an_event_at_the_edge_finds_it_running_and_leaves_it_so() -> None:
    async def scenario(sweep: IdleSweep, let_pass: Pass) -> None:
        one = Halting()
        sweep.rest(one)
        await let_pass(0.04)
        sweep.wake(one)
        await let_pass(0.2)
        assert (one.is_frozen, one.changes) == (False, 0)
        sweep.rest(one)
        await let_pass(0.04)
        assert not one.is_frozen
        await let_pass(0.02)
        assert one.is_frozen

    swept(scenario)


def test_what_serves_again_and_again_is_never_frozen() -> None:
    async def scenario(sweep: IdleSweep, let_pass: Pass) -> None:
        busy, idle = Halting(), Halting()
        sweep.rest(idle)
        sweep.rest(busy)
        for _ in range(20):
            await let_pass(0.01)
            sweep.wake(busy)
            sweep.rest(busy)
        assert idle.is_frozen
        assert busy.changes == 0

    swept(scenario)


def test_a_crowd_is_frozen_bit_by_bit() -> None:
    async def scenario(sweep: IdleSweep, let_pass: Pass) -> None:
        crowd = [Halting() for _ in range(30)]
        for each in crowd:
            sweep.rest(each)
        for _ in range(8):
            await let_pass(0.06)
        assert all(each.is_frozen for each in crowd)

    swept(scenario)
