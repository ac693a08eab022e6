"""Starts the processes that fork environments: one a root, made when it is first asked for.

A Python spawner is an interpreter with AWS's bootstrap loaded (runtimes/python/zygote.py); any other is a fork of the
launcher itself. Here they are started, asked and ended; the environments that they fork are cells.py's. Read next:
runtimes/sealing/spawner.py, what such a process does.
"""

import functools
import importlib.util
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from cosset.environments.launcher import orphans, trust
from cosset.environments.launcher.cell import Cell, close_all, kill_pidfd
from cosset.environments.launcher.loop import Loop
from cosset.environments.launcher.requests import RootKey, is_java
from cosset.environments.launcher.scratch import NAME as SCRATCH_NAME
from cosset.environments.launcher.scratch import Scratch
from cosset.runtimes.sealing import cell as seal_cell
from cosset.runtimes.sealing import channel, filesystem, kernel, ports, spawner
from cosset.runtimes.sealing import filter as seccomp

MAX_SPAWNERS = 32
_RUNTIME_PACKAGES = ("awslambdaric", "simplejson", "snapshot_restore_py")
_SDK_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
_CONTROL_FD = 3
LANGUAGE = "/var/lang"
NODE_BOOTSTRAP = "/var/runtime/bootstrap.mjs"
NODE_MODULES = "/var/runtime/node_modules"
JAVA_LIBRARIES = "/var/runtime/lib"
_JAVA_CONFIGURATION = "java-*-openjdk"
"""In /etc, where the JVMs of Debian's packages have theirs, with links to it from their homes."""
_RUNTIMES = Path(filesystem.__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Forked:
    """`runtime`: its pid, where it is there from the beginning, beside an init that is no interpreter. `is_grouped`: in
    its cgroup of version 2 already."""

    pid: int
    pidfd: int
    runtime: int | None
    is_grouped: bool


@dataclass(slots=True, eq=False)
class Spawner:
    """A running spawner. `cells` are the environments, by name, of which it is yet to tell something: that they are
    forked, or that their runtime has ended."""

    key: RootKey
    pid: int
    pidfd: int
    control: socket.socket
    cells: dict[str, Cell] = field(default_factory=dict)
    has_forked: bool = False


class Spawners:
    """All spawners of one launcher: started when first needed, ended when their socket ends.

    Args:
        forked: called with the environment, and what it now consists of; the pidfd is then the callee's.
        failed: called with the environment that will have no init, and why.
        runtime_ended: called with an environment whose runtime is no child of its init, and how it ended.
        alive: the environments of a root, dead ones not among them.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        mount_point: Path,
        data: Path,
        scratch: Scratch,
        forked: Callable[[Cell, Forked], None],
        failed: Callable[[Cell, str], None],
        runtime_ended: Callable[[Cell, dict[str, Any]], None],
        alive: Callable[[RootKey], Sequence[Cell]],
    ) -> None:
        self._loop = loop
        self._mount_point = mount_point
        self._data = data
        self._scratch = scratch
        self._forked = forked
        self._failed = failed
        self._runtime_ended = runtime_ended
        self._alive = alive
        self._spawners: dict[RootKey, Spawner] = {}

    def get(self, key: RootKey) -> Spawner:
        """Raises: OSError, when there are too many."""
        return self._spawners.get(key) or self._start(key)

    def is_warm(self, key: RootKey) -> bool:
        """Whether a fork takes no longer than a fork."""
        running = self._spawners.get(key)
        return running is not None and running.has_forked

    def fork(self, spawner: Spawner, cell: Cell, theirs: socket.socket, beginning: dict[str, Any] | None) -> None:
        """Asks for an init with this end of the cell's channel; `forked` or `failed` is the answer. `beginning`: what
        it is told then and there, where it may be one that is no interpreter.

        Raises: OSError, when the spawner has gone.
        """
        spawner.cells[cell.name] = cell
        message = {"fork": cell.name, "beginning": beginning}
        fds = {"channel": theirs.fileno()} | (cell.disk_fds() if beginning is not None else {})
        try:
            _send(spawner, cell, message, cell.open_gates() if beginning is not None else {}, fds)
        except OSError:
            del spawner.cells[cell.name]
            raise

    def nurse(self, cell: Cell, supervisor: int) -> None:
        """Has somebody serve this socket inside, where the init cannot. Raises: OSError."""
        spawner = self._spawners.get(cell.root)
        if spawner is not None:
            fds = {"supervisor": supervisor, "init": cell.pidfd}
            _send(spawner, cell, {"nurse": cell.name, "uid": cell.uid}, cell.open_gates(), fds)

    def close(self) -> None:
        for running in list(self._spawners.values()):
            self._end(running)

    def _start(self, key: RootKey) -> Spawner:
        if len(self._spawners) >= MAX_SPAWNERS:
            raise OSError(f"{MAX_SPAWNERS} kinds of environments are alive")
        spawner = start(key, mount_point=self._mount_point, data=self._data, scratch=self._scratch)
        self._spawners[key] = spawner
        self._loop.watch(spawner.control.fileno(), lambda: self._on_spawner(spawner))
        return spawner

    def _on_spawner(self, spawner: Spawner) -> None:
        try:
            received = channel.receive(spawner.control)
        except (OSError, channel.ChannelError):
            received = None
        if received is None:
            waiting = [cell for cell in spawner.cells.values() if cell.pidfd < 0]
            spawner.cells.clear()
            self._end(spawner)
            orphans.bury(self._loop, self._alive(spawner.key))
            for cell in waiting:
                self._failed(cell, "the spawner ended; its reason is in Cosset's own output")
            return
        message, fds = received
        if "ended" in message:
            self._runtime_ended(spawner.cells.pop(message["ended"]), message)
            return
        if message["fork"] is None:  # of what is done in passing
            return
        spawner.has_forked = True
        cell = spawner.cells[message["fork"]]
        if "error" in message or message["runtime"] is None:
            del spawner.cells[cell.name]
        if "error" in message:
            self._failed(cell, str(message["error"]))
            return
        self._forked(cell, Forked(message["pid"], fds[0], message["runtime"], message["is_grouped"]))

    def _end(self, spawner: Spawner) -> None:
        """Its environments die with it, by their parent-death signal."""
        if self._spawners.get(spawner.key) is not spawner:
            return
        del self._spawners[spawner.key]
        self._loop.unwatch(spawner.control.fileno())
        spawner.control.close()
        kill_pidfd(spawner.pidfd)
        os.close(spawner.pidfd)
        os.waitpid(spawner.pid, 0)


def _send(
    spawner: Spawner, cell: Cell, message: dict[str, Any], opened: dict[str, int], others: dict[str, int]
) -> None:
    """With the folder of its group. `opened` are closed, whatever comes of it."""
    group = cell.cgroup.open_folder()
    if group is not None:
        opened["group"] = group
    fds = opened | others
    try:
        channel.send(spawner.control, message | {"fds": list(fds)}, list(fds.values()))
    finally:
        close_all(list(opened.values()))


def start(key: RootKey, *, mount_point: Path, data: Path, scratch: Scratch) -> Spawner:
    """Forks it; whether it could make its root shows when it is first asked to fork."""
    ours, theirs = channel.pair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _live(key, theirs, mount_point, data, scratch)
    theirs.close()
    return Spawner(key, pid, os.pidfd_open(pid), ours)


def _live(key: RootKey, control: socket.socket, mount_point: Path, data: Path, scratch: Scratch) -> NoReturn:
    try:
        kernel.die_with_parent(signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(2, 1)  # what the owner prints is for its user
        has_java = key.interpreter is not None and is_java(key.interpreter)
        folders, copies = _folders(key, data), _copies(key)
        filesystem.enter_root(str(mount_point), folders, copies, trust.read(data), has_java_store=has_java)
        if _identity(filesystem.SCRATCH) != scratch.identity:
            raise PermissionError("the scratch folder has been replaced")
        os.dup2(control.fileno(), _CONTROL_FD, inheritable=key.kind == "python")
        kernel.close_fds_from(_CONTROL_FD + 1)
        if key.kind == "python":
            _become_zygote(key)
        standby = None
        if key.standby and key.interpreter is not None:
            command = [inside(key.interpreter), NODE_BOOTSTRAP]
            standby = functools.partial(spawner.begin_program, command, dict(key.standby))
        cell = seal_cell.Cell(ports.OF_ALL, seccomp.program(kernel.MACHINE), spawner.run_program, standby)
        spawner.serve(socket.socket(fileno=_CONTROL_FD), cell)
    except BaseException as error:  # noqa: BLE001 - the boundary of this process
        sys.stderr.write(f"cosset: spawner for {key.interpreter or key.kind}: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _become_zygote(key: RootKey) -> None:
    assert key.interpreter is not None
    program = f"{filesystem.RUNTIMES}/python/zygote.py"
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    interpreter = inside(key.interpreter)
    preloaded = ["sdk"] if key.has_sdk else []
    os.execve(interpreter, [interpreter, "-S", program, str(_CONTROL_FD), *preloaded], environment)


def inside(interpreter: str) -> str:
    """An interpreter's path in its jail: under /var/lang, where AWS has it and stack traces show it, and where no
    folder of the environment's own can cover it (its own place may lie below /tmp). A Python's own place is there too,
    for what it was built with. One of the system's packages is where it always is."""
    if _is_of_the_system(interpreter):
        return interpreter
    return f"{LANGUAGE}/bin/{os.path.basename(interpreter)}"


def _is_of_the_system(interpreter: str) -> bool:
    return interpreter.startswith("/usr/")


def _folders(key: RootKey, data: Path) -> dict[str, str]:
    """Place inside to host path."""
    folders = {filesystem.DATA: str(data), filesystem.SCRATCH: str(data / SCRATCH_NAME)}
    if key.interpreter is not None and not _is_of_the_system(key.interpreter):
        if key.kind == "python" or is_java(key.interpreter):
            prefix = os.path.dirname(os.path.dirname(key.interpreter))
            folders |= {LANGUAGE: prefix, prefix: prefix}
        else:
            folders[inside(key.interpreter)] = key.interpreter
    if key.kind == "python":
        folders[filesystem.RUNTIMES] = str(_RUNTIMES)
        for name in (*_RUNTIME_PACKAGES, *_SDK_PACKAGES):
            if (source := _package(name)) is not None:
                folders[f"/var/runtime/{os.path.basename(source)}"] = source
    has_java = key.interpreter is not None and is_java(key.interpreter)
    if has_java:
        folders |= {str(path): str(path) for path in Path("/etc").glob(_JAVA_CONFIGURATION) if path.is_dir()}
    if key.modules is not None:
        folders[JAVA_LIBRARIES if has_java else NODE_MODULES] = str(data / key.modules)
    return folders


def _copies(key: RootKey) -> dict[str, str]:
    """The Node bootstrap's few files, beside which the SDK may be shown as node_modules."""
    if key.kind == "python" or key.interpreter is None or is_java(key.interpreter):
        return {}
    return {str(path): f"/var/runtime/{path.name}" for path in (_RUNTIMES / "node").glob("*.mjs")}


def _package(name: str) -> str | None:
    """Where a package of Cosset's own site-packages lies; None when it is not installed (snapshot_restore_py)."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return None
    return os.path.dirname(spec.origin) if spec.submodule_search_locations else spec.origin
