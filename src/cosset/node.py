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

from cosset.assembly.buckets import serve_bucket_destination, serve_lifecycle, sweep_objects
from cosset.assembly.causes import RecordedDestination
from cosset.assembly.code_objects import serve_packages
from cosset.assembly.front import make_door, make_services, make_urls
from cosset.assembly.ground import Ground, make_authorizer, open_ground
from cosset.assembly.invocation import Outward, make_invocation, open_functions
from cosset.assembly.listening import bind, url
from cosset.assembly.log_exports import LogExporting
from cosset.assembly.log_filters import LogSubscriptions
from cosset.assembly.notifications import BucketNotifications
from cosset.assembly.observation import make_alarm_watch
from cosset.assembly.queues import serve_queues
from cosset.assembly.refusal import NodeError
from cosset.assembly.tiers import Endpoints, make_tier
from cosset.assembly.topics import LateTopicDestination, QueuesForTopics, Topics, make_push
from cosset.assembly.triggers import Triggers
from cosset.clock import Clock, SystemClock
from cosset.environments.api import Tier
from cosset.environments.jail.tier import JailTier
from cosset.environments.launcher.client import LauncherClient
from cosset.environments.memory_budget import MemoryBudget
from cosset.environments.pool import Pool
from cosset.gateway.authority import Authority
from cosset.gateway.health import Health
from cosset.gateway.http import Front
from cosset.identity.role_rights import RoleRights
from cosset.invocation.asynchronous import AsyncWorker
from cosset.invocation.deliveries import DeliveryWorker
from cosset.invocation.destinations import Destinations
from cosset.invocation.dispatcher import Dispatcher
from cosset.observe.causes import StepKind
from cosset.ready import Ready, ready_message
from cosset.runtimes.catalogue import here
from cosset.services.cloudwatch.watch import age_metrics
from cosset.services.lambda_.code_links import CodeLinks
from cosset.services.operation import AnyService
from cosset.settings import Settings
from cosset.store.errors import StoreError

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
    dispatcher: Dispatcher
    worker: AsyncWorker
    deliveries: DeliveryWorker
    triggers: Triggers
    topics: Topics
    notifications: BucketNotifications
    exports: LogExporting

    async def drain(self, drain_s: float) -> None:
        """Takes nothing new and lets what is under way end."""
        self.health.is_draining = True
        await self.front.close()
        await self.triggers.stop(drain_s)
        await self.notifications.stop(drain_s)
        await self.exports.stop(drain_s)
        await self.topics.stop(drain_s)
        await self.worker.stop(drain_s)
        await self.deliveries.stop(drain_s)
        if not await self.dispatcher.drain(drain_s):
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
        queues = serve_queues(ground, outward, clock)
        functions, catalogue = await open_functions(stack, settings, ground, outward, clock)
        authority = Authority(ground.data)
        endpoints = Endpoints(authority)
        tier = make_tier(settings, ground.data, catalogue, launcher, clock, authority, endpoints, url(listening))
        pool = Pool(
            tier,
            clock,
            max_environments=settings.max_environments,
            idle_timeout_s=settings.idle_timeout_s,
            budget=MemoryBudget.of_host(settings.environment_memory_mb) if sys.platform == "linux" else None,
        )
        stack.push_async_callback(pool.close)
        dispatcher, worker, deliveries, provisioner = make_invocation(settings, ground, functions, outward, pool, clock)
        stack.push_async_callback(provisioner.close)
        health = Health(
            ground.store, pool, tier.name, launcher.count_spares, ground.access_book if settings.dev else None
        )
        links = CodeLinks(ground.store, functions.code, clock)
        triggers = Triggers(ground, functions, dispatcher, outward, clock)
        push = make_push(ground, functions, authorizer, clock)
        subscriptions = LogSubscriptions(ground.store, push, ground.causes)
        ground.logs.follow(subscriptions)
        queue_sender = QueuesForTopics(ground, authorizer, clock)
        topics = Topics(settings, ground, push, queue_sender, authorizer, url(listening), clock)
        to_topics = RecordedDestination(LateTopicDestination(topics), StepKind.TOPIC_MESSAGE, ground.causes, clock)
        outward.destinations.serve("sns", to_topics)
        notifications = BucketNotifications(ground, push, topics, authorizer, clock)
        exports = LogExporting(ground, authorizer, clock)
        alarms = make_alarm_watch(ground, push, topics, clock)
        services = make_services(
            settings,
            ground,
            functions,
            dispatcher,
            links,
            provisioner,
            triggers,
            outward.rights,
            topics,
            subscriptions,
            notifications,
            exports,
            authorizer,
            clock,
        )
        serve_packages(functions, services, authorizer)
        serve_bucket_destination(outward, services, ground, clock)
        exports.write_to(services)
        urls = make_urls(settings, ground, functions, dispatcher, authorizer, clock)
        door = make_door(settings, ground, services, links, health, urls, topics, authorizer, pool, clock)
        front = Front(door, settings)
        endpoints.front = front
        await front.start([listening])
        stack.push_async_callback(front.close)
        for name, work in (
            ("async-worker", worker.serve()),
            ("delivery-worker", deliveries.serve()),
            ("queue-chores", queues.serve()),
            ("triggers", triggers.serve()),
            ("topics", topics.serve()),
            ("notifications", notifications.serve()),
            ("lifecycle", serve_lifecycle(settings, ground, notifications, clock)),
            ("object-sweeps", sweep_objects(ground, clock)),
            ("log-exports", exports.serve()),
            ("alarms", alarms.serve()),
            ("metric-ages", age_metrics(ground.metrics, clock)),
            ("provisioner", provisioner.serve(lambda: clock.sleep(SWEEP_S))),
            ("pool-sweep", _every(SWEEP_S, clock, pool.sweep)),
            ("access-log", ground.access_log.serve()),
            ("first-runtime", _prepare_first_runtime(tier)),
            ("first-model", asyncio.to_thread(door.read_model, "lambda")),
        ):
            stack.push_async_callback(_cancel, asyncio.create_task(work, name=name))
        ready = await _ready(settings, ground, listening, tier, made_now)
        yield Node(
            ready, services, health, front, dispatcher, worker, deliveries, triggers, topics, notifications, exports
        )


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
