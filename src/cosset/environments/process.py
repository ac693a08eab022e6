"""The `process` tier: a plain child process an environment. It isolates NOTHING, and is chosen only by name.

For machines without namespaces (macOS, locked-down containers) and for tests. A function here can read whatever its
user can read, other functions' code included. It has its own session, resource limits, folder for temporary files and
Runtime API; it is killed whole. Read next: runtime_api.py, environment.py; jail/ is the tier to use.
"""

import asyncio
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

from cosset.clock import Clock
from cosset.environments.api import EnvironmentSpec, EnvironmentState, InitError, LogSink
from cosset.environments.child import is_alive, reap_orphans, spawn
from cosset.environments.environment import RunningEnvironment
from cosset.environments.extensions.phases import ExtensionPhases
from cosset.environments.extensions.supervisor import FOLDER, external_extensions
from cosset.environments.log_pipe import LogPipe
from cosset.environments.notice import notice
from cosset.environments.process_extensions import ProcessSupervisor, starter
from cosset.environments.process_layout import Layout, LeftFolders, command_for, link_runtime, variables_for
from cosset.environments.runtime_api import HttpTransport
from cosset.environments.serving import find_served
from cosset.runtimes.catalogue import Catalogue, Served

logger = logging.getLogger(__name__)

_FOLDER_PREFIX = "cosset-process-"


class ProcessTier:
    """Tier that starts plain child processes.

    Args:
        endpoint: the URL at which functions reach Cosset; None: not offered.
        node_modules: where `cosset runtimes install nodejs` put the AWS SDK for Node, if it did.
        folder: where the environments' temporary folders go; None: the system's.
    """

    name = "process"

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Clock,
        *,
        endpoint: Callable[[], str | None] = lambda: None,
        node_modules: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        logger.warning(
            "tier `process` ISOLATES NOTHING: functions run as plain processes of this user and can read each other's"
            " code, credentials and files. Use it only where no other tier works, with code you trust."
        )
        self._catalogue = catalogue
        self._clock = clock
        self._endpoint = endpoint
        if orphans := reap_orphans():
            logger.warning("ended %d processes that a killed Cosset had left", orphans)
        _remove_orphaned_folders(folder or Path(tempfile.gettempdir()))
        self._folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER_PREFIX}{os.getpid()}-", dir=folder))
        self._runtime = link_runtime(self._folder / "runtime", node_modules)
        self._left = LeftFolders(self._folder / "left")
        self._environments: set[RunningEnvironment] = set()

    async def start(self, spec: EnvironmentSpec, sink: LogSink) -> RunningEnvironment:
        started_s = self._clock.monotonic_s()
        served = await find_served(self._catalogue, spec)
        if served.warning:
            now_ms = self._clock.now_ms()
            sink.write(now_ms, notice(spec, served.warning, now_ms))
        environment = await self._make(spec, served, sink, started_s)
        self._environments = {e for e in self._environments if e.state is not EnvironmentState.SHUTDOWN} | {environment}
        await environment.start()
        return environment

    def forget(self, environment_id: str) -> None:
        self._left.forget(environment_id)

    async def close(self) -> None:
        await asyncio.gather(*(environment.shutdown() for environment in self._environments))
        self._environments.clear()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _make(self, spec: EnvironmentSpec, served: Served, sink: LogSink, started_s: float) -> RunningEnvironment:
        external = external_extensions(spec.layer_dirs)
        layout = Layout(self._folder / spec.id, self._runtime)
        await asyncio.to_thread(layout.prepare, spec, self._left)
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        variables = variables_for(spec, served, layout, runtime_api=address, endpoint=self._endpoint())
        log_pipes: list[LogPipe] = []
        gate, opener = os.pipe() if external else (None, None)

        def log(output: int) -> None:
            log_pipes[0].add(extensions.output("extension"), output)

        start = starter(spec, layout.layers / FOLDER, layout.home, variables, self._clock, log)
        supervisor = ProcessSupervisor(external, start, opener)
        extensions = ExtensionPhases(spec, sink, self._clock, supervisor, external)
        transport = await HttpTransport.serve(listener, extensions.api)
        # From the child's start to the end nothing is awaited: a cancelled start leaves no process without an owner.
        try:
            command = command_for(spec, served, variables)
            child = spawn(
                command,
                variables,
                cwd=spec.code_dir,
                folder=layout.home,
                name=spec.id,
                clock=self._clock,
                memory_mb=spec.memory_mb,
                telemetry=served.runtime.family != "provided",
                gate=gate,
                keep=lambda: self._left.keep(spec.id, layout.tmp),
            )
        except OSError as refused:
            transport.close()
            await supervisor.close()
            shutil.rmtree(layout.home, ignore_errors=True)
            raise _not_executable(refused, self._since_ms(started_s)) from refused
        finally:
            if gate is not None:
                os.close(gate)
        supervisor.runtime = child.process
        log_pipes.append(LogPipe(extensions.output(), self._clock, child.output, child.telemetry))
        return RunningEnvironment(
            spec, child.process, transport, log_pipes[0], self._clock, started_s, extensions=extensions
        )

    def _since_ms(self, start_s: float) -> float:
        return (self._clock.monotonic_s() - start_s) * 1000


def _remove_orphaned_folders(parent: Path) -> None:
    for folder in parent.glob(f"{_FOLDER_PREFIX}*-*"):
        if not is_alive(folder.name.removeprefix(_FOLDER_PREFIX).partition("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)  # another user's stays


def _not_executable(refused: OSError, phase_ms: float) -> InitError:
    """AWS's words when /var/task/bootstrap is missing or cannot be executed."""
    if isinstance(refused, FileNotFoundError):
        paths = "[/var/task/bootstrap /opt/bootstrap]"
        return InitError("Runtime.InvalidEntrypoint", f"Couldn't find valid bootstrap(s): {paths}", b"", phase_ms)
    return InitError("Runtime.InvalidEntrypoint", f"fork/exec /var/task/bootstrap: {refused.strerror}", b"", phase_ms)
