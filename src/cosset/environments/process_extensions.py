"""External extensions in the `process` tier: plain children beside the runtime, which waits at a gate for them.

They isolate nothing from anybody, as everything in this tier. A subscriber's port is one of this machine's loopback.
Read next: process.py; extensions/supervisor.py for the contract.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cosset.clock import Clock
from cosset.environments.api import EnvironmentSpec
from cosset.environments.child import ChildProcess, spawn
from cosset.environments.extensions.supervisor import FOLDER, LaunchError, OnExtensionEnd
from cosset.environments.process_layout import check_executable
from cosset.environments.transport import Exit
from cosset.runtimes.sealing.extensions import without_runtime_variables


class ProcessSupervisor:
    """Supervisor over plain children. Owns the gate's write end.

    Args:
        start: starts an extension of this name, or raises LaunchError.
    """

    def __init__(self, external: Sequence[str], start: Callable[[str], ChildProcess], gate: int | None) -> None:
        self._external = external
        self._start = start
        self._gate = gate
        self._children: dict[str, ChildProcess] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self.runtime: ChildProcess | None = None

    def watch(self, ended: OnExtensionEnd, failed: Callable[[LaunchError], None]) -> None:
        for name in self._external:
            try:
                child = self._children[name] = self._start(name)
            except LaunchError as error:
                failed(error)
                return
            watcher = asyncio.get_running_loop().create_task(_tell_end(name, child, ended), name=f"extension {name}")
            self._watchers.append(watcher)

    def start_runtime(self) -> None:
        if self._gate is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended already
                os.write(self._gate, b"\n")
            self._close_gate()

    def signal_runtime(self, number: int) -> None:
        if self.runtime is not None:
            self.runtime.signal(number)

    async def runtime_ended(self) -> Exit:
        assert self.runtime is not None
        return await self.runtime.wait()

    async def connect(self, port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except BaseException:
            sock.close()
            raise
        return sock

    async def close(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        self._close_gate()
        await asyncio.gather(*(child.kill() for child in self._children.values()))

    def _close_gate(self) -> None:
        if self._gate is not None:
            os.close(self._gate)
            self._gate = None


def starter(
    spec: EnvironmentSpec,
    folder: Path,
    home: Path,
    variables: Mapping[str, str],
    clock: Clock,
    log: Callable[[int], None],
) -> Callable[[str], ChildProcess]:
    """Starts extensions of one environment.

    Args:
        folder: where their files are.
        home: the environment's own folder.
        log: given the read end of what each prints.
    """

    def start(name: str) -> ChildProcess:
        try:
            check_executable(folder / name)
            spawned = spawn(
                [folder / name],
                without_runtime_variables(variables),
                cwd=home,
                folder=home / FOLDER / name,
                name=spec.id,
                clock=clock,
                memory_mb=spec.memory_mb,
                telemetry=False,
            )
        except OSError as refused:
            raise LaunchError(name, (refused.strerror or "unknown error").lower()) from refused
        log(spawned.output)
        return spawned.process

    return start


async def _tell_end(name: str, child: ChildProcess, ended: OnExtensionEnd) -> None:
    ended(name, await child.wait())
