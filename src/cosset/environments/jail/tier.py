"""The default tier on Linux: every environment sealed by the launcher, joined here to its transport and its log.

Managed Python speaks in frames over a socketpair; everything else speaks the HTTP Runtime API over a socket that
listens inside the environment's own network namespace. Read next: ../launcher/client.py, ../environment.py.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cosset.clock import Clock
from cosset.environments.api import EnvironmentSpec, FunctionSpec, InitError, LogSink, TierUnavailableError
from cosset.environments.environment import RunningEnvironment
from cosset.environments.extensions.phases import ExtensionPhases
from cosset.environments.extensions.supervisor import external_extensions
from cosset.environments.framed import FramedTransport
from cosset.environments.jail import layout
from cosset.environments.jail.ahead import SdkUse, standby_variables
from cosset.environments.jail.dns import NameServer, Nameservers, host_nameservers, no_nameservers
from cosset.environments.jail.doors import Doors
from cosset.environments.jail.ends import Ends
from cosset.environments.jail.idling import IdleSweep, IdlingEnvironment
from cosset.environments.jail.network import LOCAL, Network, network_of
from cosset.environments.jail.supervisor import JailSupervisor
from cosset.environments.launcher.client import JailProcess, LauncherClient, Request, SpawnFailedError
from cosset.environments.log_pipe import LogPipe
from cosset.environments.notice import notice
from cosset.environments.runtime_api import HttpTransport
from cosset.environments.serving import find_served
from cosset.environments.side_door import SideDoor
from cosset.environments.transport import Transport
from cosset.runtimes.catalogue import Catalogue, RuntimeNotServedError, Served
from cosset.runtimes.sealing import ports

logger = logging.getLogger(__name__)

_FIRST_LOOK = 16
OnEndpoint = Callable[[EnvironmentSpec, socket.socket], Callable[[], None]]
"""Serves Cosset on a listening socket inside an environment; what it answers is called when the environment is gone."""


class JailTier:
    """Tier over the launcher.

    Args:
        on_endpoint: given the socket that listens at 127.0.0.1:4566 inside each environment, which it then owns. None:
            Cosset cannot be reached from inside, and AWS_ENDPOINT_URL is not set.
        on_aws: likewise, given each of the sockets that AWS's own names lead to, for HTTPS and HTTP.
        before_first: awaited before an environment is asked for; raises OSError when there can be none.
        node_modules: folder in the data folder with the AWS SDK for Node, where it is installed.
        has_egress: the launcher gives environments a way to the internet, where their function does not say no.
        aws_endpoints: where AWS's own names lead, unless the function says otherwise: `local` or `real`.
        nameservers: who answers for names, where there is a way to the internet.
        has_cpu_quota: CPU in proportion to memory after Init, as on AWS; otherwise only shares.
    """

    name = "jail"

    def __init__(
        self,
        launcher: LauncherClient,
        catalogue: Catalogue,
        clock: Clock,
        *,
        on_endpoint: OnEndpoint | None = None,
        on_aws: OnEndpoint | None = None,
        before_first: Callable[[], Awaitable[None]] | None = None,
        node_modules: Path | None = None,
        has_cpu_quota: bool = True,
        has_egress: bool = False,
        aws_endpoints: str = LOCAL,
        nameservers: Nameservers = host_nameservers,
    ) -> None:
        self._launcher = launcher
        self._catalogue = catalogue
        self._clock = clock
        self._on_endpoint = on_endpoint
        self._on_aws = on_aws
        self._before_first = before_first
        self._node_modules = node_modules
        self._has_cpu_quota = has_cpu_quota
        self._has_egress = has_egress
        self._aws_endpoints = aws_endpoints
        self._nameservers = nameservers
        self._sweep = IdleSweep(clock)
        self._doors = Doors()
        self._sdk_use = SdkUse()
        self._environments: dict[RunningEnvironment, JailProcess] = {}
        self._look_at = _FIRST_LOOK
        """How many there are when those that have gone are forgotten: not at each start of a burst."""

    async def start(self, spec: EnvironmentSpec, sink: LogSink) -> RunningEnvironment:
        started_s = self._clock.monotonic_s()
        served = await find_served(self._catalogue, spec)
        network = network_of(spec, has_egress=self._has_egress, aws_endpoints=self._aws_endpoints)
        now_ms = self._clock.now_ms()
        for warning in (*filter(None, [served.warning]), *network.warnings):
            sink.write(now_ms, notice(spec, warning, now_ms))
        try:
            request = self._request(spec, served, network)
        except OSError as refused:
            raise _invalid_entrypoint(refused, (self._clock.monotonic_s() - started_s) * 1000) from refused
        await self._get_ready()
        try:
            process, environment = await self._make(spec, request, network, sink, started_s)
        except SpawnFailedError as failed:
            raise TierUnavailableError(f"no environment could be made: {failed}") from failed
        self._keep(environment, process)
        await environment.start()
        process.settle()
        if self._has_cpu_quota:  # the event goes in first, as soon as this has returned
            asyncio.get_running_loop().call_soon(process.throttle)
        return environment

    def _keep(self, environment: RunningEnvironment, process: JailProcess) -> None:
        if len(self._environments) >= self._look_at:
            self._environments = {each: its for each, its in self._environments.items() if not its.is_gone}
            self._look_at = max(_FIRST_LOOK, 2 * len(self._environments))
        self._environments[environment] = process

    async def prepare(self, runtime: str, architecture: str) -> None:
        """Makes what environments of this runtime have alike, before the first is asked for: it takes a Python
        interpreter's whole start. Knows no function and runs none. Never fails: `start` says what is wrong."""
        with contextlib.suppress(RuntimeNotServedError, TierUnavailableError):
            served = await asyncio.to_thread(self._catalogue.serve, runtime, architecture)
            await self._get_ready()
            self._launcher.prepare(_kind(served), served.interpreter, self._modules(served))

    async def foresee(self, function: FunctionSpec) -> None:
        """Looks into its package before anyone calls it, so that no start has to. Runs nothing."""
        if function.runtime.startswith("python"):
            await asyncio.to_thread(self._sdk_use.is_wanted, function.code_dir, function.layer_dirs, function.variables)

    def forget(self, environment_id: str) -> None:
        self._launcher.forget(environment_id)

    async def _get_ready(self) -> None:
        try:
            if self._before_first is not None:
                await self._before_first()
        except OSError as error:
            raise TierUnavailableError(str(error)) from error

    async def close(self) -> None:
        await asyncio.gather(*(environment.shutdown() for environment in list(self._environments)))
        self._environments.clear()
        self._sweep.close()
        self._doors.close()

    def _request(self, spec: EnvironmentSpec, served: Served, network: Network) -> Request:
        kind = _kind(served)
        variables = self._variables(spec, served, network)
        standby = {}
        if served.runtime.family == "nodejs":
            standby = standby_variables(variables, self._variables(replace(spec, variables={}), served, network))
        return Request(
            id=spec.id,
            kind=kind,
            interpreter=served.interpreter,
            code=spec.code_dir,
            layers=spec.layer_dirs,
            modules=self._modules(served),
            memory_mb=spec.memory_mb,
            disk_mb=spec.ephemeral_storage_mb,
            environment=variables,
            command=() if kind == "python" else self._command(spec, served, network),
            has_egress=network.has_egress,
            extensions=external_extensions(spec.layer_dirs),
            has_sdk=kind == "python" and self._sdk_use.is_wanted(spec.code_dir, spec.layer_dirs, spec.variables),
            standby=standby,
            predecessor=spec.predecessor,
        )

    def _variables(self, spec: EnvironmentSpec, served: Served, network: Network) -> dict[str, str]:
        has_endpoint = self._on_endpoint is not None
        return layout.variables(spec, served, has_endpoint=has_endpoint, has_local_aws=network.has_local_aws)

    def _command(self, spec: EnvironmentSpec, served: Served, network: Network) -> list[str]:
        """Raises: OSError, when a provided runtime's bootstrap is missing or cannot be executed."""
        return layout.command(spec, served, has_local_aws=self._on_aws is not None and network.has_local_aws)

    def _modules(self, served: Served) -> Path | None:
        """Only when they are there: the command that installs them may have run since."""
        if served.libraries is not None:
            return served.libraries
        folder = self._node_modules
        is_shown = served.runtime.family == "nodejs" and folder is not None and folder.is_dir()
        return folder if is_shown else None

    async def _make(
        self, spec: EnvironmentSpec, request: Request, network: Network, sink: LogSink, started_s: float
    ) -> tuple[JailProcess, RunningEnvironment]:
        ends = Ends.of(request)
        try:
            process = self._launcher.begin(request, ends.inside)
        except SpawnFailedError:
            ends.close()
            raise
        # From here on the launcher works, and what this process needs of its own is made meanwhile.
        supervisor = JailSupervisor(ends.supervised)
        extensions = ExtensionPhases(spec, sink, self._clock, supervisor, request.extensions)
        log_pipe = LogPipe(extensions.output(), self._clock, *ends.pipes)
        if ends.printed is not None:
            log_pipe.add(extensions.output("extension"), ends.printed)
        transport: Transport | None = None
        listeners: dict[int, int] = {}
        try:
            if ends.transport is not None:
                transport = await FramedTransport.connect(ends.transport)
            listeners = dict(zip(ports.PASSED_OUT, await self._launcher.started(process), strict=True))
            if pipes := process.take_pipes():
                log_pipe.watch(extensions.output(), *pipes)
            supervisor.attach(process)
            if transport is None:
                runtime_api = _listener(ports.RUNTIME_API, listeners.pop(ports.RUNTIME_API))
                transport = await HttpTransport.serve(runtime_api, extensions.api)
        except BaseException:
            process.started.cancel()
            await process.kill()
            if transport is not None:
                transport.close()
            elif ends.transport is not None:
                ends.transport.close()
            await supervisor.close()
            log_pipe.close()
            for fd in listeners.values():
                os.close(fd)
            raise
        self._serve_later(process, _Inside(spec, network, listeners, extensions))
        environment = IdlingEnvironment(
            spec, process, transport, log_pipe, self._clock, started_s, self._sweep, extensions
        )
        return process, environment

    def _serve_later(self, process: JailProcess, inside: "_Inside") -> None:
        """An event goes in first, if the runtime asks for one."""
        asyncio.get_running_loop().call_soon(self._watch_inside, process, inside)

    def _watch_inside(self, process: JailProcess, inside: "_Inside") -> None:
        """Nothing is served before somebody has come, and what is not offered is closed."""
        for port, offer in self._offers(inside.network).items():
            if offer is None:
                os.close(inside.listeners.pop(port))
        fds = list(inside.listeners.values())
        try:
            process.on_end(self._doors.watch(fds, lambda: self._serve_inside(process, inside)))
        except OSError:  # the kernel watches no more descriptors
            logger.exception("environment %s is not served inside", inside.spec.id)
            for fd in fds:
                os.close(fd)

    def _serve_inside(self, process: JailProcess, inside: "_Inside") -> None:
        """Names, Cosset's own endpoints, and the Runtime API's address where the runtime speaks another way."""
        sockets = {port: _listener(port, fd) for port, fd in inside.listeners.items()}
        try:
            for close in self._served(inside, sockets):
                process.on_end(close)
        except OSError:  # the kernel watches no more descriptors: nobody answers there
            logger.exception("environment %s is not served inside", inside.spec.id)
            for listener in sockets.values():
                listener.close()

    def _offers(self, network: Network) -> dict[int, OnEndpoint | None]:
        """Who serves Cosset inside, by port."""
        on_aws = self._on_aws if network.has_local_aws else None
        return {ports.ENDPOINT: self._on_endpoint, ports.AWS_HTTPS: on_aws, ports.AWS_HTTP: on_aws}

    def _served(self, inside: "_Inside", listeners: dict[int, socket.socket]) -> Iterator[Callable[[], None]]:
        """What ends each of them, which is then taken out."""
        network = inside.network
        nameservers = self._nameservers if network.has_egress else no_nameservers
        datagrams, streams = listeners.pop(ports.DATAGRAMS), listeners.pop(ports.NAMES)
        yield NameServer(datagrams, streams, nameservers, has_local_aws=network.has_local_aws).close
        for port, offer in self._offers(network).items():
            if offer is not None:
                yield offer(inside.spec, listeners.pop(port))
        if ports.RUNTIME_API in listeners:
            yield SideDoor(listeners.pop(ports.RUNTIME_API), inside.extensions.api).close


@dataclass(frozen=True, slots=True)
class _Inside:
    """What is to be served inside one environment: its listening sockets by port."""

    spec: EnvironmentSpec
    network: Network
    listeners: dict[int, int]
    extensions: ExtensionPhases


def _listener(port: int, fd: int) -> socket.socket:
    """Said to be what it is: to find out would take three system calls."""
    kind = socket.SOCK_DGRAM if port == ports.DATAGRAMS else socket.SOCK_STREAM
    return socket.socket(socket.AF_INET, kind, 0, fileno=fd)


def _kind(served: Served) -> str:
    return "python" if served.runtime.family == "python" else "program"


def _invalid_entrypoint(refused: OSError, phase_ms: float) -> InitError:
    """AWS's words when a provided runtime's bootstrap is missing or cannot be executed."""
    if isinstance(refused, FileNotFoundError):
        message = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
    else:
        message = f"fork/exec {refused.filename}: {(refused.strerror or '').lower()}"
    return InitError("Runtime.InvalidEntrypoint", message, b"", phase_ms)
