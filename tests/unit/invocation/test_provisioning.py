"""Provisioned environments on the memory tier: made, kept, moved, replaced, let go."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from cosset.environments.api import InitError
from cosset.environments.pool import Pool
from cosset.invocation.api import Target
from cosset.invocation.provisioning import (
    INIT_FAILURE,
    SETTLE_S,
    Progress,
    Provision,
    Provisioner,
    ProvisionStatus,
    Share,
)
from cosset.invocation.starting import Starter, key_of
from cosset.wire.errors import ServiceError
from support.clock import ManualClock
from support.environments import MemoryTier, spec
from support.invocations import TARGET, Logs, Sessions

V1, V2 = replace(TARGET, version="1"), replace(TARGET, version="2", revision="2")
OWNER = f"{TARGET.function_arn}:live"


def wish(*shares: tuple[Target, int], stamp: str = "1") -> Provision:
    return Provision(OWNER, stamp, tuple(Share(target, count) for target, count in shares))


class Bench:
    """A provisioner, what it is asked for, and the pool that it fills."""

    def __init__(self, max_environments: int = 5) -> None:
        self.wanted: list[Provision] = []
        self.clock, self.logs, self.tier = ManualClock(), Logs(), MemoryTier()
        self.pool = Pool(self.tier, self.clock, max_environments=max_environments, idle_timeout_s=300)
        starter = Starter(self.pool, Sessions(), self.logs, self.clock)
        self.provisioner = Provisioner(self, self.pool, starter, self.clock, max_environments=max_environments)

    async def provisions(self) -> Sequence[Provision]:
        return self.wanted

    async def want(self, *provisions: Provision) -> None:
        self.wanted = list(provisions)
        await self.look()

    async def look(self) -> None:
        """One round, to its end."""
        await self.provisioner.reconcile()
        for _ in range(5):
            await asyncio.sleep(0)
        self.clock.advance(SETTLE_S)
        for _ in range(50):
            await asyncio.sleep(0)

    def progress(self, stamp: str = "1") -> Progress:
        return self.provisioner.progress(OWNER, stamp)


def run(test: Callable[[Bench], Awaitable[None]], max_environments: int = 5) -> None:
    async def main() -> None:
        bench = Bench(max_environments)
        await test(bench)
        await bench.provisioner.close()
        await bench.pool.close()

    asyncio.run(main())


def test_environments_are_ready_before_any_event_and_outlive_idleness() -> None:
    async def test(bench: Bench) -> None:
        await bench.want(wish((V1, 2)))
        assert bench.progress() == Progress(ProvisionStatus.READY, 2, 2)
        assert bench.provisioner.allocated(V1.function_arn, "1") == 2
        assert [spec.initialization_type for spec in bench.tier.specs] == ["provisioned-concurrency"] * 2
        # AWS: "provisioned concurrency functions always emit INIT_REPORT", and their Init has 130 seconds or more.
        assert [spec.init_timeout_s for spec in bench.tier.specs] == [130, 130]
        assert Counter(message.split(" ")[0] for message in bench.logs.messages) == {"INIT_START": 2, "INIT_REPORT": 2}
        assert "INIT_REPORT Init Duration: 5.00 ms\tPhase: init\tStatus: success\n" in bench.logs.messages
        bench.clock.advance(3600)
        bench.pool.sweep()
        taken = bench.pool.take(key_of(V1))
        assert taken is not None
        assert bench.progress() == Progress(ProvisionStatus.READY, 2, 1)

    run(test)


def test_a_new_wish_is_in_progress_until_it_is_fulfilled() -> None:
    async def test(bench: Bench) -> None:
        await bench.want(wish((V1, 1)))
        assert bench.progress("2").status is ProvisionStatus.IN_PROGRESS
        bench.wanted = [wish((V1, 3), stamp="2")]
        await bench.provisioner.reconcile()
        assert bench.progress("2") == Progress(ProvisionStatus.IN_PROGRESS, 1, 1)
        await bench.look()
        assert bench.progress("2") == Progress(ProvisionStatus.READY, 3, 3)

    run(test)


def test_environments_follow_an_alias_and_its_weights() -> None:
    async def test(bench: Bench) -> None:
        await bench.want(wish((V1, 3)))
        await bench.want(wish((V1, 1), (V2, 2), stamp="2"))
        assert bench.progress("2") == Progress(ProvisionStatus.READY, 3, 3)
        assert bench.provisioner.allocated(V1.function_arn, "1") == 1
        assert bench.provisioner.allocated(V2.function_arn, "2") == 2
        await bench.want()
        assert bench.pool.alive == 0

    run(test)


def test_an_environment_that_ended_or_grew_old_is_replaced() -> None:
    async def test(bench: Bench) -> None:
        await bench.want(wish((V1, 2)))
        first = bench.pool.take(key_of(V1))
        assert first is not None
        await first.environment.shutdown()
        bench.pool.release(first)
        assert bench.progress().allocated == 1
        await bench.look()
        assert bench.progress() == Progress(ProvisionStatus.READY, 2, 2)
        bench.clock.advance(6 * 3600)
        await bench.look()
        assert bench.progress() == Progress(ProvisionStatus.READY, 2, 2)
        assert len(bench.tier.specs) == 5
        assert bench.pool.alive == 2

    run(test)


def test_a_function_that_does_not_initialize_fails_until_it_is_changed() -> None:
    async def test(bench: Bench) -> None:
        bench.tier.failing = InitError("Runtime.ImportModuleError", "no", b"{}", 5.0)
        await bench.want(wish((V1, 2)))
        assert bench.progress() == Progress(ProvisionStatus.FAILED, 0, 0, INIT_FAILURE)
        started = len(bench.tier.specs)
        await bench.look()
        assert len(bench.tier.specs) == started
        bench.tier.failing = None
        await bench.want(wish((V1, 2), stamp="2"))
        assert bench.progress("2") == Progress(ProvisionStatus.READY, 2, 2)
        assert bench.pool.alive == 2

    run(test)


def test_more_than_the_node_may_have_fails_and_less_waits_for_room() -> None:
    async def test(bench: Bench) -> None:
        await bench.want(wish((V1, 4)))
        failed = bench.progress()
        assert failed.status is ProvisionStatus.FAILED
        assert failed.reason == "A node has at most 3 environments"
        busy = await bench.pool.start(key_of(V2), spec(), bench.logs)
        await bench.want(wish((V1, 3), stamp="2"))
        assert bench.progress("2").status is ProvisionStatus.IN_PROGRESS
        begun = len(bench.logs.messages)
        await bench.look()
        assert len(bench.logs.messages) == begun  # a full node begins nothing
        bench.pool.release(busy)
        await bench.look()
        assert bench.progress("2") == Progress(ProvisionStatus.READY, 3, 3)

    run(test, max_environments=3)


def test_a_store_that_does_not_answer_is_asked_again() -> None:
    async def test(bench: Bench) -> None:
        asked = 0

        class Source:
            async def provisions(self) -> Sequence[Provision]:
                nonlocal asked
                asked += 1
                if asked == 1:
                    raise ServiceError("ServiceException", "no", status=500)
                return ()

        starter = Starter(bench.pool, Sessions(), bench.logs, bench.clock)
        provisioner = Provisioner(Source(), bench.pool, starter, bench.clock, max_environments=1)
        serving = asyncio.create_task(provisioner.serve(lambda: asyncio.sleep(0)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert asked == 2  # and no more: a node without provisions asks for nothing
        serving.cancel()

    run(test)


def test_when_one_version_of_an_alias_fails_nothing_of_the_other_is_left() -> None:
    async def test(bench: Bench) -> None:
        bench.tier.failures = [InitError("Runtime.ImportModuleError", "no", b"{}", 5.0)]
        await bench.want(wish((V1, 1), (V2, 3)))
        assert bench.progress() == Progress(ProvisionStatus.FAILED, 0, 0, INIT_FAILURE)
        assert bench.pool.alive == 0

    run(test)
