"""The server's end of the launcher: asks for environments, and is told when they end.

One socket, callbacks of the event loop; nothing here blocks. When the launcher goes, every environment goes with it,
and so does the server. Read next: launcher.py (the other end), ../jail/tier.py (who asks).
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cosset.environments.launcher.cgroups import FREEZE, THAW
from cosset.environments.launcher.memory import MemoryGauge
from cosset.environments.transport import Exit
from cosset.runtimes.sealing import channel

logger = logging.getLogger(__name__)

MAX_QUEUED = 4096
"""Requests that wait for the launcher to read; beyond, `begin` fails."""


class SpawnFailedError(Exception):
    """No environment came of it. `unavailable`: this host cannot seal anything at all."""

    def __init__(self, reason: str, *, unavailable: bool) -> None:
        super().__init__(reason)
        self.unavailable = unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to start. `kind` is `python` (framed) or `program` (HTTP Runtime API, `command`). Paths are the host's;
    code, layers and modules lie in the data folder."""

    id: str
    kind: str
    code: Path
    memory_mb: int
    disk_mb: int
    environment: Mapping[str, str]
    interpreter: Path | None = None
    layers: Sequence[Path] = ()
    modules: Path | None = None
    command: Sequence[str] = ()
    has_egress: bool = False
    extensions: Sequence[str] = ()
    has_sdk: bool = False
    standby: Mapping[str, str] = field(default_factory=dict)
    predecessor: str | None = None

    def message(self) -> dict[str, Any]:
        return {
            **root_message("spawn", self.kind, self.interpreter, self.modules),
            "sdk": self.has_sdk,
            "standby": dict(self.standby),
            "id": self.id,
            "code": str(self.code),
            "layers": [str(layer) for layer in self.layers],
            "memory_mb": self.memory_mb,
            "disk_mb": self.disk_mb,
            "environment": dict(self.environment),
            "command": list(self.command),
            "egress": self.has_egress,
            "extensions": list(self.extensions),
            "predecessor": self.predecessor,
        }


def root_message(operation: str, kind: str, interpreter: Path | None, modules: Path | None) -> dict[str, Any]:
    """What says from which root an environment starts."""
    return {
        "op": operation,
        "kind": kind,
        "interpreter": None if interpreter is None else str(interpreter),
        "modules": None if modules is None else str(modules),
    }


class JailProcess:
    """Process over the launcher. See environments/transport.py for the contract."""

    def __init__(self, client: "LauncherClient", name: str) -> None:
        loop = asyncio.get_running_loop()
        self._client = client
        self._name = name
        self._memory: MemoryGauge | None = None
        self._freezer = -1
        self._freezer_version = 0
        self._is_frozen = False
        self._pipes: list[int] = []
        self.started: asyncio.Future[list[int]] = loop.create_future()
        self._ended: asyncio.Future[Exit] = loop.create_future()
        self._gone = asyncio.Event()
        self._on_end: list[Callable[[], None]] = []

    @property
    def is_gone(self) -> bool:
        """Nothing of it is left."""
        return self._gone.is_set()

    async def wait(self) -> Exit:
        return await asyncio.shield(self._ended)

    async def kill(self, *, is_reset: bool = False) -> None:
        if not self._gone.is_set():
            self._let_go_of_freezer()
            self._client.ask({"op": "kill", "id": self._name} | ({"reset": True} if is_reset else {}))
        elif self._memory is not None and not is_reset:  # it ended by itself, and its disk may still be there
            self._client.forget(self._name)
        await self._gone.wait()

    def freeze(self) -> None:
        """Gives nothing inside any CPU until `thaw`. Does nothing where the host cannot, or when it is ending."""
        if self._freezer >= 0 and not self._is_frozen:
            self._is_frozen = True
            self._tell_freezer(FREEZE)

    def thaw(self) -> None:
        """What is sent to a frozen environment waits for this in its sockets. Idempotent."""
        if self._is_frozen:
            self._is_frozen = False
            self._tell_freezer(THAW)

    def _tell_freezer(self, states: Mapping[int, bytes]) -> None:
        with contextlib.suppress(OSError):  # the group has just been removed
            os.write(self._freezer, states[self._freezer_version])

    def _let_go_of_freezer(self) -> None:
        """For good: what is being killed must be able to die."""
        if self._freezer >= 0:
            self.thaw()
            os.close(self._freezer)
            self._freezer = -1

    def settle(self) -> None:
        """Init is over: memory is measured from here."""
        if self._memory is not None:
            self._memory.settle()

    def throttle(self) -> None:
        """CPU in proportion to memory from here on: Init had all it could get. Nothing, when it has ended."""
        if not self._ended.done():
            self._client.ask({"op": "throttle", "id": self._name})

    def supervise(self, theirs: int) -> None:
        """Gives the init its end of a socket between it and the server (runtimes/sealing/supervision.py)."""
        self._client.ask({"op": "supervise", "id": self._name}, [theirs])

    def on_end(self, callback: Callable[[], None]) -> None:
        """Called once when the process has ended; at once when it has already."""
        if self._ended.done():
            callback()
        else:
            self._on_end.append(callback)

    def peak_memory_mb(self) -> int:
        return 0 if self._memory is None else self._memory.peak_mb()

    # What the client calls.

    def on_started(
        self, fds: list[int], pid: int, is_runtime: bool, pipes: int, has_peak: bool, freezer_version: int
    ) -> None:
        if freezer_version:
            self._freezer, self._freezer_version = fds.pop(), freezer_version
        self._memory = MemoryGauge(pid, fds.pop() if has_peak else None, is_runtime=is_runtime)
        listeners, self._pipes = fds[: len(fds) - pipes], fds[len(fds) - pipes :]
        if self.started.done():  # whoever asked has given up
            for fd in (*listeners, *self.take_pipes()):
                os.close(fd)
            return
        self.started.set_result(listeners)

    def close_listeners(self) -> None:
        """Those that have come, but whom nobody has taken: whoever waited was cancelled in the same moment."""
        started = self.started
        if started.done() and not started.cancelled() and started.exception() is None:
            for fd in started.result():
                os.close(fd)

    def take_pipes(self) -> list[int]:
        """Of one that was on standby, the ends of its output and its telemetry."""
        taken, self._pipes = self._pipes, []
        return taken

    def on_failed(self, reason: str, unavailable: bool) -> None:
        if not self.started.done():
            self.started.set_exception(SpawnFailedError(reason, unavailable=unavailable))
            self.started.exception()
        self.on_exit(Exit(signal=9))

    def on_exit(self, ended: Exit, peak_bytes: int | None = None) -> None:
        self._let_go_of_freezer()
        if self._memory is not None:
            self._memory.close(peak_bytes)
        if not self._ended.done():
            self._ended.set_result(ended)
            for callback in self._on_end:
                callback()

    def on_gone(self) -> None:
        self.on_exit(Exit(signal=9))
        self._gone.set()


class LauncherClient:
    """One for the server.

    Args:
        on_drain: called when the owner wants the server to finish and end.
        on_closed: called when the launcher has gone.
    """

    def __init__(
        self,
        control: socket.socket,
        *,
        on_drain: Callable[[], None] = lambda: None,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self._control = control
        self._on_drain = on_drain
        self._on_closed = on_closed
        self._processes: dict[str, JailProcess] = {}
        self._queue: deque[tuple[dict[str, Any], list[int]]] = deque()
        self._counted: asyncio.Future[int] | None = None
        """What everybody who has asked waits for."""
        self._closed = False
        self._loop = asyncio.get_running_loop()
        control.setblocking(False)
        self._loop.add_reader(control.fileno(), self._on_readable)

    def begin(self, request: Request, fds: list[int]) -> JailProcess:
        """Asks for an environment; `started` says what comes of it. `fds` become the launcher's: the output pipe, for
        managed runtimes the telemetry pipe, for Python the transport, and where there are extensions, the pipe for
        their output and the supervisor's socket.

        Raises: SpawnFailedError, with nothing left behind.
        """
        process = JailProcess(self, request.id)
        if self._closed or len(self._queue) >= MAX_QUEUED:
            for fd in fds:
                os.close(fd)
            raise SpawnFailedError("the launcher has gone" if self._closed else "too many requests", unavailable=False)
        self._processes[request.id] = process
        self.ask(request.message(), fds)
        return process

    async def started(self, process: JailProcess) -> list[int]:
        """Returns when it runs: the sockets that listen inside it, in the order of runtimes/sealing/ports.py. They are
        the caller's.

        Raises: SpawnFailedError, with nothing left behind.
        """
        try:
            return await process.started
        except (SpawnFailedError, asyncio.CancelledError):
            process.close_listeners()
            await process.kill()
            raise

    def prepare(self, kind: str, interpreter: Path | None, modules: Path | None) -> None:
        """One environment of this root is to be kept ready from now on, before anyone asks for it."""
        self.ask(root_message("prepare", kind, interpreter, modules))

    def forget(self, environment_id: str) -> None:
        """Nobody will be started in the place of this one: what it has left in /tmp is erased."""
        if not self._closed:
            self.ask({"op": "kill", "id": environment_id})

    async def count_spares(self) -> int:
        """How many environments wait for a function; 0 when the launcher has gone."""
        if self._closed:
            return 0
        if self._counted is None:
            self._counted = self._loop.create_future()
            self.ask({"op": "count"})
        return await asyncio.shield(self._counted)

    def tell_owner(self, message: Mapping[str, Any]) -> None:
        """To the owner's `on_message`."""
        self.ask({"op": "message", "body": dict(message)})

    def close(self) -> None:
        """Idempotent. The launcher then ends every environment."""
        if self._closed:
            return
        self._closed = True
        self._on_counted(0)
        self._loop.remove_reader(self._control.fileno())
        self._loop.remove_writer(self._control.fileno())
        self._control.close()
        for process in self._processes.values():
            process.on_failed("the launcher has gone", False)
            process.on_gone()
        self._processes.clear()

    def ask(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        self._queue.append((message, fds or []))
        if len(self._queue) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._queue and not self._closed:
            message, fds = self._queue[0]
            try:
                channel.send(self._control, message, fds)
            except BlockingIOError:
                self._loop.add_writer(self._control.fileno(), self._flush)
                return
            except channel.ChannelError as error:
                self._fail(message, str(error))
            except OSError:
                self._lost()
                return
            self._queue.popleft()
            for fd in fds:
                os.close(fd)
        if not self._closed:
            self._loop.remove_writer(self._control.fileno())

    def _fail(self, message: dict[str, Any], reason: str) -> None:
        process = self._processes.pop(message.get("id", ""), None)
        if process is not None:
            process.on_failed(reason, False)
            process.on_gone()

    def _on_readable(self) -> None:
        while not self._closed:
            try:
                received = channel.receive(self._control)
            except BlockingIOError:
                return
            except channel.DescriptorsLostError as lost:
                self._cannot_take(lost.message)
                continue
            except (OSError, channel.ChannelError):
                received = None
            if received is None:
                self._lost()
                return
            self._take(*received)

    def _take(self, message: dict[str, Any], fds: list[int]) -> None:
        event, process = message["event"], self._processes.get(message.get("id", ""))
        if event == "drain":
            self._on_drain()
        elif event == "count":
            self._on_counted(message["spares"])
        elif process is None:
            logger.warning("the launcher speaks of an unknown environment: %s", message)
            for fd in fds:
                os.close(fd)
        elif event == "started":
            pid, is_runtime = message["pid"], message["is_runtime"]
            process.on_started(fds, pid, is_runtime, message["pipes"], message["has_peak"], message["freezer"])
        elif event == "failed":
            process.on_failed(message["error"], message["unavailable"])
        elif event == "exit":
            process.on_exit(Exit(message["code"], message["signal"], message["oom"]), message["peak_bytes"])
        elif event == "gone":
            process.on_gone()
            del self._processes[message["id"]]

    def _cannot_take(self, message: dict[str, Any]) -> None:
        """An environment whose sockets this process may not open: it ends, the others go on."""
        process = self._processes.get(message.get("id", ""))
        if process is not None:
            self.ask({"op": "kill", "id": message["id"]})
            process.on_failed("too many open files", False)

    def _on_counted(self, spares: int) -> None:
        counted, self._counted = self._counted, None
        if counted is not None and not counted.done():
            counted.set_result(spares)

    def _lost(self) -> None:
        self.close()
        self._on_closed()
