"""The composition root: one node, made of every room. The one place that knows them all.

Opens in dependency order, serves, and closes in reverse. Runs in the server process, without privileges; what needs
them is asked of the launcher over `control`. Read next: `open_node`, which is the list of the rooms.
"""

import asyncio
import ctypes
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import uvloop

from cosset.assembly.bucket_logs import BucketLogs
from cosset.assembly.buckets import serve_bucket_destination, serve_lifecycle, sweep_objects
from cosset.assembly.code_objects import serve_packages
from cosset.assembly.eventing import Eventing, make_eventing
from cosset.assembly.front import make_door, make_services
from cosset.assembly.ground import Ground, make_authorizer, open_ground
from cosset.assembly.invocation import Outward, Running, open_running
from cosset.assembly.listening import bind, url
from cosset.assembly.refusal import NodeError
from cosset.assembly.tiers import Endpoints, make_tier
from cosset.clock import Clock, SystemClock
from cosset.environments.api import Tier
from cosset.environments.jail.tier import JailTier
from cosset.environments.launcher.client import LauncherClient
from cosset.gateway.authority import Authority
from cosset.gateway.health import Health
from cosset.gateway.http import Front
from cosset.identity.role_rights import RoleRights
from cosset.invocation.destinations import Destinations
from cosset.ready import Ready, ready_message
from cosset.runtimes.catalogue import Catalogue, here
from cosset.services.cloudwatch.watch import age_metrics
from cosset.services.lambda_.code_links import CodeLinks
from cosset.services.operation import AnyService
from cosset.settings import Settings
from cosset.store.errors import StoreError

GC_THRESHOLDS = (5_000, 10, 10)
"""A burst of starts makes objects that stay, and hardly any cycles: with Python's own 700 a sixth of the node's CPU
went into looking for some."""
SWITCH_INTERVAL_S = 0.001
"""How long a thread may keep the interpreter while the event loop wants it. At the usual 5 ms each system call of the
loop, which lets go of it, may cost that much while a thread reads the database."""
logger = logging.getLogger(__name__)

SWEEP_S = 5.0
_M_TRIM_THRESHOLD, _M_ARENA_MAX = -1, -8  # malloc.h


@dataclass(slots=True)
class Node:
    """A node that is open and serves."""

    ready: Ready
    services: Sequence[AnyService]
    health: Health
    front: Front
    running: Running
    eventing: Eventing

    async def drain(self, drain_s: float) -> None:
        """Takes nothing new and lets what is under way end."""
        self.health.is_draining = True
        await self.front.close()
        await self.eventing.stop(drain_s)
        if not await self.running.stop(drain_s):
            logger.warning("stopped with invocations under way")


def serve(settings: Settings, control: socket.socket) -> int:
    """The server process, from start to end; its exit code."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Every client and every environment holds descriptors: as many as this process may have.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    _keep_one_heap()
    # The launcher gets the terminal's signals and asks for the drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_serve(settings, control))
        except (NodeError, StoreError) as error:
            print(f"cosset: {error}", file=sys.stderr)
            return 1


def _keep_one_heap() -> None:
    """One heap for all threads, which gives back what it no longer needs: glibc keeps eight for each core, and more of
    each the more was once asked for. Three megabytes of an idle node."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # another C library has none
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, 128 * 1024)


async def _serve(settings: Settings, control: socket.socket) -> int:
    stop, lost = asyncio.Event(), asyncio.Event()

    def on_closed() -> None:
        lost.set()
        stop.set()

    launcher = LauncherClient(control, on_drain=stop.set, on_closed=on_closed)
    try:
        async with open_node(settings, launcher, SystemClock()) as node:
            launcher.tell_owner(ready_message(node.ready))
            # What there is now stays: it need never be looked through (server.py stopped the looking).
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            gc.enable()
            await stop.wait()
            await node.drain(settings.drain_s)
    finally:
        launcher.close()
    return 1 if lost.is_set() else 0


@asynccontextmanager
async def open_node(settings: Settings, launcher: LauncherClient, clock: Clock) -> AsyncIterator[Node]:
    """Every room in order of dependency; closed in reverse when the block ends.

    Raises: StoreError, NodeError.
    """
    assert settings.data is not None
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    async with AsyncExitStack() as stack:
        listening = bind(settings)
        stack.callback(listening.close)
        ground = await open_ground(stack, settings, settings.data, clock)
        made_now = await ground.directory.ensure_first_start() is not None
        authorizer = make_authorizer(settings, ground, clock)
        stack.push_async_callback(ground.access_log.close)
        outward = Outward(Destinations(), RoleRights(ground.directory.sessions, ground.directory, authorizer))
        authority = Authority(ground.data)
        endpoints = Endpoints(authority)

        def tier_of(catalogue: Catalogue) -> Tier:
            return make_tier(settings, ground.data, catalogue, launcher, clock, authority, endpoints, url(listening))

        running = await open_running(stack, settings, ground, outward, tier_of, clock)
        eventing = make_eventing(settings, ground, running, outward, authorizer, url(listening), clock)
        links = CodeLinks(ground.store, running.functions.code, clock)
        services = make_services(settings, ground, running, eventing, outward.rights, links, authorizer, clock)
        serve_packages(running.functions, services, authorizer)
        serve_bucket_destination(outward, services, ground, clock)
        eventing.exports.write_to(services)
        health = _make_health(settings, ground, running, launcher)
        bucket_logs = BucketLogs(ground, services, authorizer, clock)
        door = make_door(settings, ground, running, eventing, services, links, health, bucket_logs, authorizer, clock)
        front = Front(door, settings)
        endpoints.front = front
        await front.start([listening])
        stack.push_async_callback(front.close)
        for name, work in (
            ("async-worker", running.worker.serve()),
            ("delivery-worker", running.deliveries.serve()),
            *eventing.work(),
            ("lifecycle", serve_lifecycle(settings, ground, eventing.notifications, clock)),
            ("object-sweeps", sweep_objects(ground, clock)),
            ("bucket-logs", bucket_logs.serve()),
            ("metric-ages", age_metrics(ground.metrics, clock)),
            ("provisioner", running.provisioner.serve(lambda: clock.sleep(SWEEP_S))),
            ("pool-sweep", _every(SWEEP_S, clock, running.pool.sweep)),
            ("access-log", ground.access_log.serve()),
            ("first-runtime", _prepare_first_runtime(running.tier)),
            ("first-model", asyncio.to_thread(door.read_model, "lambda")),
        ):
            stack.push_async_callback(_cancel, asyncio.create_task(work, name=name))
        ready = await _ready(settings, ground, listening, running.tier, made_now)
        yield Node(ready, services, health, front, running, eventing)


def _make_health(settings: Settings, ground: Ground, running: Running, launcher: LauncherClient) -> Health:
    book = ground.access_book if settings.dev else None
    return Health(ground.store, running.pool, running.tier.name, launcher.count_spares, book)


async def _ready(settings: Settings, ground: Ground, listening: socket.socket, tier: Tier, made_now: bool) -> Ready:
    key = await ground.directory.administrator_key()
    return Ready(
        endpoint=url(listening),
        access_key_id=key.access_key_id if key else None,
        secret_access_key=key.secret_access_key if key else None,
        account=ground.directory.account,
        region=settings.region,
        tier=tier.name,
        iam_mode="audit" if settings.dev else "enforce",
        data=ground.data,
        first_start=made_now,
    )


async def _prepare_first_runtime(tier: Tier) -> None:
    """Cosset's own Python, which most functions meet first: so that the first of them need not wait for its start."""
    if isinstance(tier, JailTier):
        await tier.prepare(f"python{sys.version_info.major}.{sys.version_info.minor}", here())


async def _every(period_s: float, clock: Clock, work: Callable[[], None]) -> None:
    while True:
        await clock.sleep(period_s)
        work()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    except Exception:  # the task boundary of the node's background work
        logger.exception("%s failed", task.get_name())
