"""Functions and their invocation, wired: the domain, its environments, the dispatcher, the workers of asynchronous
events and of their ends. Read next: eventing.py, what makes functions run.
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from cosset.assembly.ground import Ground
from cosset.clock import Clock
from cosset.environments.api import Tier
from cosset.environments.jail.tier import JailTier
from cosset.environments.memory_budget import MemoryBudget
from cosset.environments.pool import Pool
from cosset.functions.code import CodeStore
from cosset.functions.records import TOPIC as FUNCTION_CHANGES
from cosset.functions.registry import Functions
from cosset.functions.runtime_rules import RuntimeRules
from cosset.identity.role_rights import RoleRights
from cosset.invocation.admission import Admission
from cosset.invocation.asynchronous import AsyncEvents, AsyncWorker
from cosset.invocation.deliveries import Deliveries, DeliveryWorker
from cosset.invocation.destinations import Destinations
from cosset.invocation.dispatcher import Dispatcher
from cosset.invocation.execution import Execution
from cosset.invocation.function_destination import FunctionDestination
from cosset.invocation.metering import Metering
from cosset.invocation.provisioning import Provisioner
from cosset.invocation.starting import Starter
from cosset.invocation.streaming import BYTES_PER_S
from cosset.runtimes import java_client
from cosset.runtimes.catalogue import Catalogue
from cosset.settings import Settings
from cosset.store.blobs import Blobs
from cosset.store.queue import DurableQueue

ASYNC_QUEUE = "async-invoke"
DELIVERY_QUEUE = "async-deliveries"


@dataclass(frozen=True, slots=True)
class Outward:
    """Where the ends of asynchronous events go, and by what right."""

    destinations: Destinations
    rights: RoleRights


@dataclass(frozen=True, slots=True)
class Running:
    """What runs functions."""

    functions: Functions
    tier: Tier
    pool: Pool
    dispatcher: Dispatcher
    events: AsyncEvents
    worker: AsyncWorker
    deliveries: DeliveryWorker
    provisioner: Provisioner

    async def stop(self, timeout_s: float) -> bool:
        """Takes nothing more from its queues and lets what is under way end; False: something still is."""
        await self.worker.stop(timeout_s)
        await self.deliveries.stop(timeout_s)
        return await self.dispatcher.drain(timeout_s)


async def open_running(
    stack: AsyncExitStack,
    settings: Settings,
    ground: Ground,
    outward: Outward,
    make_tier: Callable[[Catalogue], Tier],
    clock: Clock,
) -> Running:
    functions, catalogue = await _open_functions(stack, settings, ground, outward, clock)
    tier = make_tier(catalogue)
    if isinstance(tier, JailTier):
        functions.foresight.add(tier.foresee)
    pool = Pool(
        tier,
        clock,
        max_environments=settings.max_environments,
        idle_timeout_s=settings.idle_timeout_s,
        budget=MemoryBudget.of_host(settings.environment_memory_mb) if sys.platform == "linux" else None,
    )
    stack.push_async_callback(pool.close)
    running = _make_invocation(settings, ground, functions, outward, tier, pool, clock)
    stack.push_async_callback(running.provisioner.close)
    return running


async def _open_functions(
    stack: AsyncExitStack, settings: Settings, ground: Ground, outward: Outward, clock: Clock
) -> tuple[Functions, Catalogue]:
    catalogue = Catalogue(strict=settings.strict_runtimes, java_libraries=java_client.folder_of(ground.data))
    blobs = Blobs(ground.data / "blobs", min_free_mb=settings.min_free_mb)
    functions = Functions(
        store=ground.store,
        code=CodeStore(ground.store, blobs, ground.data / "code", clock),
        roles=ground.directory,
        runtimes=RuntimeRules(catalogue, legacy=settings.legacy_runtimes, strict=settings.strict_runtimes),
        destinations=outward.destinations,
        rights=outward.rights,
        clock=clock,
        book=ground.functions,
        concurrency=settings.concurrency,
        inactive_after_s=settings.inactive_after_days * 86_400,
    )
    await functions.start()
    stack.push_async_callback(functions.close)
    return functions, catalogue


def _make_invocation(
    settings: Settings, ground: Ground, functions: Functions, outward: Outward, tier: Tier, pool: Pool, clock: Clock
) -> Running:
    queue = DurableQueue(ground.store, ASYNC_QUEUE, clock)
    outbox = DurableQueue(ground.store, DELIVERY_QUEUE, clock)
    starter = Starter(pool, ground.directory.sessions, ground.logs, clock)
    provisioner = Provisioner(functions.provisioned, pool, starter, clock, max_environments=settings.max_environments)
    ground.store.on_change(FUNCTION_CHANGES, lambda key: provisioner.note_change())
    events = AsyncEvents(ground.store, queue, clock)
    admission = Admission(settings.concurrency, provisioner)
    metering = Metering(ground.meter, admission, ground.causes, clock)
    later = asyncio.get_running_loop().call_soon
    execution = Execution(pool, starter, clock, metering, ground.underway, later)
    pace = None if settings.dev else BYTES_PER_S
    dispatcher = Dispatcher(functions, admission, execution, events, clock, metering=metering, stream_bytes_per_s=pace)
    outward.destinations.serve("lambda", FunctionDestination(functions, dispatcher))
    worker = AsyncWorker(
        ground.store,
        queue,
        dispatcher.invoke_to_end,
        functions,
        Deliveries(outbox),
        ground.logs,
        clock,
        meter=ground.meter,
        causes=ground.causes,
    )
    deliveries = DeliveryWorker(ground.store, outbox, outward.destinations, outward.rights, clock, meter=ground.meter)
    return Running(functions, tier, pool, dispatcher, events, worker, deliveries, provisioner)
