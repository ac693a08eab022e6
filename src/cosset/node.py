"""The composition root: one node, made of every room. The one place that knows them all.

Opens in dependency order, serves, and closes in reverse. Runs in the server process, without privileges; what needs
them is asked of the launcher over `control`. Read next: `open_node`, which is the list of the rooms.
"""

import asyncio
import ipaddress
import logging
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from cosset.clock import Clock, SystemClock
from cosset.environments.api import EnvironmentSpec, Tier
from cosset.environments.jail.tier import JailTier
from cosset.environments.launcher.client import LauncherClient
from cosset.environments.pool import Pool
from cosset.environments.process import ProcessTier
from cosset.functions.code import CodeStore
from cosset.functions.records import TOPIC as FUNCTION_CHANGES
from cosset.functions.registry import Functions
from cosset.functions.resource_policies import FunctionResources
from cosset.functions.runtime_rules import RuntimeRules
from cosset.gateway.door import Door
from cosset.gateway.function_urls import FunctionUrlGate
from cosset.gateway.health import PATH as HEALTH_PATH
from cosset.gateway.health import Health
from cosset.gateway.http import Front
from cosset.gateway.plain import PlainRoute
from cosset.identity.authorizer import PolicyAuthorizer
from cosset.identity.policy_sources import ResourceSource
from cosset.identity.role_rights import RoleRights
from cosset.invocation.admission import Admission
from cosset.invocation.api import Invoker
from cosset.invocation.asynchronous import AsyncEvents, AsyncWorker
from cosset.invocation.deliveries import Deliveries, DeliveryWorker
from cosset.invocation.destinations import Destinations
from cosset.invocation.dispatcher import Dispatcher
from cosset.invocation.execution import Execution
from cosset.invocation.function_destination import FunctionDestination
from cosset.observe.log_buffer import LogBuffer
from cosset.ready import Ready, ready_message
from cosset.runtimes.catalogue import Catalogue, here
from cosset.services.iam.directory import IamDirectory
from cosset.services.iam.held_policies import CarriedPolicies, IamResources, RoleTrust
from cosset.services.iam.policy_book import PolicyBook
from cosset.services.iam.records import CHANGES as IAM_CHANGES
from cosset.services.lambda_.code_links import PATH as CODE_PATH
from cosset.services.lambda_.code_links import CodeLinks
from cosset.services.lambda_.url_calls import UrlCalls
from cosset.services.logs.group_book import LogGroupBook
from cosset.services.logs.retention import LogRetention
from cosset.services.operation import AnyService, LateService, Service
from cosset.settings import Settings
from cosset.store.blobs import Blobs
from cosset.store.database import Store
from cosset.store.errors import StoreError
from cosset.store.queue import DurableQueue
from cosset.store.segments import SegmentStore
from cosset.triggers.mappings import EventSourceMappings
from cosset.triggers.sources import EventSources

logger = logging.getLogger(__name__)

SWEEP_S = 5.0
ASYNC_QUEUE = "async-invoke"
DELIVERY_QUEUE = "async-deliveries"


class NodeError(Exception):
    """The node cannot start; the message says why and what to do."""


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

    async def drain(self, drain_s: float) -> None:
        """Takes nothing new and lets what is under way end."""
        self.health.is_draining = True
        await self.front.close()
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
    # The launcher gets the terminal's signals and asks for the drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_serve(settings, control))
        except (NodeError, StoreError) as error:
            print(f"cosset: {error}", file=sys.stderr)
            return 1


async def _serve(settings: Settings, control: socket.socket) -> int:
    stop, lost = asyncio.Event(), asyncio.Event()

    def on_closed() -> None:
        lost.set()
        stop.set()

    launcher = LauncherClient(control, on_drain=stop.set, on_closed=on_closed)
    try:
        async with open_node(settings, launcher, SystemClock()) as node:
            launcher.tell_owner(ready_message(node.ready))
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
    async with AsyncExitStack() as stack:
        listening = _bind(settings)
        stack.callback(listening.close)
        ground = await _open_ground(stack, settings, settings.data, clock)
        made_now = await ground.directory.ensure_first_start() is not None
        authorizer = _make_authorizer(settings, ground, clock)
        outward = Outward(Destinations(), RoleRights(ground.directory.sessions, ground.directory, authorizer))
        functions, catalogue = await _open_functions(stack, settings, ground, outward, clock)
        endpoints = Endpoints()
        tier = _make_tier(settings, ground.data, catalogue, launcher, clock, endpoints, _url(listening))
        pool = Pool(tier, clock, max_environments=settings.max_environments, idle_timeout_s=settings.idle_timeout_s)
        stack.push_async_callback(pool.close)
        dispatcher, worker, deliveries = _make_invocation(settings, ground, functions, outward, pool, clock)
        health = Health(ground.store, pool, tier.name)
        links = CodeLinks(ground.store, functions.code, clock)
        services = _make_services(ground, functions, dispatcher, links, clock)
        urls = _make_urls(settings, ground, functions, dispatcher, authorizer, clock)
        front = Front(_make_door(settings, ground, services, links, health, urls, authorizer, clock), settings)
        endpoints.front = front
        await front.start([listening])
        stack.push_async_callback(front.close)
        for name, work in (
            ("async-worker", worker.serve()),
            ("delivery-worker", deliveries.serve()),
            ("pool-sweep", _every(SWEEP_S, clock, pool.sweep)),
            ("first-runtime", _prepare_first_runtime(tier)),
        ):
            stack.push_async_callback(_cancel, asyncio.create_task(work, name=name))
        ready = await _ready(settings, ground, listening, tier, made_now)
        yield Node(ready, services, health, front, dispatcher, worker, deliveries)


@dataclass(frozen=True, slots=True)
class Ground:
    """What every room stands on: what is kept, who is who, where logs go."""

    data: Path
    store: Store
    segments: SegmentStore
    directory: IamDirectory
    logs: LogBuffer


@dataclass(frozen=True, slots=True)
class Outward:
    """Where the ends of asynchronous events go, and by what right."""

    destinations: Destinations
    rights: RoleRights


async def _open_ground(stack: AsyncExitStack, settings: Settings, data: Path, clock: Clock) -> Ground:
    store = await Store.open(data=data, database=settings.database, clock=clock, min_free_mb=settings.min_free_mb)
    stack.push_async_callback(store.close)
    segments = await SegmentStore.open(data / "logs", clock, min_free_mb=settings.min_free_mb)
    stack.push_async_callback(segments.close)
    logs = LogBuffer(segments, LogGroupBook(store, clock), clock)
    logs.start()
    stack.push_async_callback(logs.close)
    retention = LogRetention(store, segments, clock)
    retention.start()
    stack.push_async_callback(retention.close)
    return Ground(data, store, segments, IamDirectory(store, clock, dev=settings.dev), logs)


async def _open_functions(
    stack: AsyncExitStack, settings: Settings, ground: Ground, outward: Outward, clock: Clock
) -> tuple[Functions, Catalogue]:
    catalogue = Catalogue(strict=settings.strict_runtimes)
    blobs = Blobs(ground.data / "blobs", min_free_mb=settings.min_free_mb)
    functions = Functions(
        store=ground.store,
        code=CodeStore(ground.store, blobs, ground.data / "code", clock),
        roles=ground.directory,
        runtimes=RuntimeRules(catalogue, legacy=settings.legacy_runtimes, strict=settings.strict_runtimes),
        destinations=outward.destinations,
        rights=outward.rights,
        clock=clock,
        concurrency=settings.concurrency,
    )
    await functions.start()
    stack.push_async_callback(functions.close)
    return functions, catalogue


def _make_invocation(
    settings: Settings, ground: Ground, functions: Functions, outward: Outward, pool: Pool, clock: Clock
) -> tuple[Dispatcher, AsyncWorker, DeliveryWorker]:
    queue = DurableQueue(ground.store, ASYNC_QUEUE, clock)
    outbox = DurableQueue(ground.store, DELIVERY_QUEUE, clock)
    execution = Execution(pool, ground.directory.sessions, ground.logs, clock)
    events = AsyncEvents(ground.store, queue, clock)
    dispatcher = Dispatcher(functions, Admission(settings.concurrency), execution, events, clock)
    outward.destinations.serve("lambda", FunctionDestination(functions, dispatcher))
    worker = AsyncWorker(ground.store, queue, dispatcher.invoke, functions, Deliveries(outbox), ground.logs, clock)
    return dispatcher, worker, DeliveryWorker(ground.store, outbox, outward.destinations, outward.rights, clock)


def _make_services(
    ground: Ground, functions: Functions, invoker: Invoker, links: CodeLinks, clock: Clock
) -> Sequence[AnyService]:
    """Each is imported and made when it is first called: a node with many services starts as fast as one with few."""
    # No source is in the directory: the engine that pulls from them is not there yet.
    mappings = EventSourceMappings(ground.store, functions, EventSources(), clock)

    def make_lambda() -> Service:
        from cosset.services.lambda_.service import lambda_service

        return lambda_service(functions, invoker, links, mappings)

    def make_iam() -> Service:
        from cosset.services.iam.service import iam_service

        return iam_service(ground.store, clock)

    def make_sts() -> Service:
        from cosset.services.iam.oidc_book import OidcBook
        from cosset.services.sts.service import sts_service

        return sts_service(ground.directory, ground.directory.sessions, OidcBook(ground.store), clock)

    def make_logs() -> Service:
        from cosset.services.logs.service import logs_service

        return logs_service(ground.store, ground.segments, clock)

    makers = {"lambda": make_lambda, "iam": make_iam, "sts": make_sts, "logs": make_logs}
    return [LateService(name, make) for name, make in makers.items()]


def _make_urls(
    settings: Settings,
    ground: Ground,
    functions: Functions,
    invoker: Invoker,
    authorizer: PolicyAuthorizer,
    clock: Clock,
) -> FunctionUrlGate:
    return FunctionUrlGate(
        functions.urls,
        UrlCalls(invoker),
        keys=ground.directory,
        authorizer=authorizer,
        clock=clock,
        max_clock_skew_s=settings.max_clock_skew_s,
    )


def _make_door(
    settings: Settings,
    ground: Ground,
    services: Sequence[AnyService],
    links: CodeLinks,
    health: Health,
    urls: FunctionUrlGate,
    authorizer: PolicyAuthorizer,
    clock: Clock,
) -> Door:
    return Door(
        services=services,
        keys=ground.directory,
        authorizer=authorizer,
        settings=settings,
        clock=clock,
        routes=[PlainRoute("GET", HEALTH_PATH, health.answer), PlainRoute("GET", CODE_PATH, links.answer)],
        urls=urls,
    )


def _make_authorizer(settings: Settings, ground: Ground, clock: Clock) -> PolicyAuthorizer:
    """Decisions hold until anything that they may rest on changes, here or on another node."""
    resources: dict[str, ResourceSource] = {
        "iam": IamResources(ground.store),
        "lambda": FunctionResources(ground.store),
        "sts": RoleTrust(ground.store, dev=settings.dev),
    }
    authorizer = PolicyAuthorizer(CarriedPolicies(ground.store, PolicyBook()), resources, clock, audit=settings.dev)
    for topic in (IAM_CHANGES, FUNCTION_CHANGES):
        ground.store.on_change(topic, authorizer.forget)
    return authorizer


class Endpoints:
    """Cosset's own endpoint inside environments: each one's listening socket joins the front while it lives."""

    def __init__(self) -> None:
        self.front: Front | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self, spec: EnvironmentSpec, listener: socket.socket) -> Callable[[], None]:
        """A JailTier's OnEndpoint."""
        assert self.front is not None
        front = self.front
        joining = self._keep(front.add_listener(listener))

        async def leave() -> None:
            await joining
            await front.remove_listener(listener)

        def on_end() -> None:
            self._keep(leave())

        return on_end

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _make_tier(
    settings: Settings,
    data: Path,
    catalogue: Catalogue,
    launcher: LauncherClient,
    clock: Clock,
    endpoints: Endpoints,
    url: str,
) -> Tier:
    modules = data / "runtimes" / "nodejs" / "node_modules"
    node_modules = modules if modules.is_dir() else None
    if settings.tier == "jail":
        return JailTier(
            launcher,
            catalogue,
            clock,
            on_endpoint=endpoints.offer,
            node_modules=node_modules,
            has_cpu_quota=not settings.dev,
        )
    if settings.tier == "process":
        return ProcessTier(catalogue, clock, endpoint=lambda: url, node_modules=node_modules)
    raise NodeError(f"There is no tier `{settings.tier}`: `jail`, or by name only `process`.")


def _bind(settings: Settings) -> socket.socket:
    """The door's socket, bound before anything is opened: a taken port is said at once.

    Raises: NodeError.
    """
    if settings.dev and not ipaddress.ip_address(settings.host).is_loopback:
        raise NodeError(f"--dev serves loopback only, not {settings.host}: its key is known to everyone.")
    try:
        return socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as error:
        reason = error.strerror or str(error)
        raise NodeError(f"Cannot serve on {settings.host}:{settings.port}: {reason}. Try --port 0.") from error


async def _ready(settings: Settings, ground: Ground, listening: socket.socket, tier: Tier, made_now: bool) -> Ready:
    key = await ground.directory.administrator_key()
    return Ready(
        endpoint=_url(listening),
        access_key_id=key.access_key_id if key else None,
        secret_access_key=key.secret_access_key if key else None,
        account=ground.directory.account,
        region=settings.region,
        tier=tier.name,
        iam_mode="audit" if settings.dev else "enforce",
        data=ground.data,
        first_start=made_now,
    )


def _url(listening: socket.socket) -> str:
    """How a client on this machine addresses the door."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


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
