"""One environment, from the fork to its end. The forked process is the init of a pid namespace; the function's runtime
is its child, and when that ends, so does everything else inside.

Two steps, so that the first may be taken before anyone asks: `prepare` makes namespaces and sockets and knows no
function; `assign` adds one function's folders, gives up every privilege, and starts the runtime. No code of a function
runs before the whole seal is on. Read next: spawner.py, which forks these; filter.py.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import resource
import select
import signal
import socket
import sys

from . import channel as messages
from . import filesystem, kernel, netlink
from . import ports as inside

MYPY = False
if MYPY:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    Runtime = Callable[[dict[str, Any], dict[str, int]], None]
    """Runs a function's runtime in this very process, given the assignment and the descriptors by name."""


# A core limit of 1, not 0: only then does the kernel hand no dump to the host's own crash reporter either.
_LIMITS = {
    resource.RLIMIT_NOFILE: 1024,
    resource.RLIMIT_NPROC: 1024,
    resource.RLIMIT_CORE: 1,
    resource.RLIMIT_MEMLOCK: 64 * 1024,
    resource.RLIMIT_MSGQUEUE: 819200,
    resource.RLIMIT_NICE: 0,
    resource.RLIMIT_RTPRIO: 0,
}
_BACKLOG = 64
EXEC_FAILED = 126
"""Exit code of a runtime that could not be started at all, as a shell would answer."""


class Cell:
    """What every environment of one spawner has alike. `ports` are listened on inside and passed out (ports.py)."""

    def __init__(self, ports: Sequence[int], filter_program: bytes, run: Runtime) -> None:
        self.ports = ports
        self.filter_program = filter_program
        self.run = run


def live(channel: socket.socket, cell: Cell) -> NoReturn:
    """The whole life of the init process. Every failure before the start is told over the channel."""
    try:
        received = messages.receive(channel)
        if received is None:
            os._exit(0)
        listeners = prepare(cell.ports, received[1])
        messages.send(channel, {"event": "prepared"}, [listener.fileno() for listener in listeners])
        for listener in listeners:
            listener.close()
        received = messages.receive(channel)
        if received is None:
            os._exit(0)
        assignment, passed = received
        fds = {name: passed[position] for position, name in enumerate(assignment["fds"])}
        assign(assignment, cell.filter_program, fds.pop("disk", None))
        runtime = os.fork()
        if runtime == 0:
            channel.close()
            _become_runtime(cell.run, assignment, fds)
        for fd in passed:
            os.close(fd)
        messages.send(channel, {"event": "started"})
    except Exception as error:  # noqa: BLE001 - the boundary of this process: told to the launcher, then the end
        _tell(channel, {"event": "failed", "error": "%s: %s" % (type(error).__name__, error)})
        os._exit(1)
    _tell(channel, _outlive(channel, runtime))
    os._exit(0)


def prepare(ports: Sequence[int], disks: Sequence[int]) -> list[socket.socket]:
    """Namespaces (the pid namespace is there already), loopback, listening sockets, an own /proc; the disk behind /tmp
    where there is one, whose descriptor is closed."""
    os.setsid()
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS)
    socket.sethostname("localhost")
    kernel.raise_loopback()
    listeners = []
    for port in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
        listeners.append(listener)
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("127.0.0.1", inside.NAMES))
    listeners.append(names)
    for disk in disks:
        filesystem.mount_disk(disk, "/tmp")
        os.close(disk)
    filesystem.add_own_proc()
    return listeners


def assign(assignment: dict[str, Any], filter_program: bytes, disk: int | None) -> None:
    """One function's folders; then nothing of the host's is left: uid, capabilities, system calls. `disk`: instead of
    the one that was prepared, which has another size."""
    if disk is not None:
        kernel.unmount("/tmp")
        filesystem.mount_disk(disk, "/tmp")
    if assignment["network"] is not None:
        netlink.configure(*assignment["network"])
    filesystem.add_own_folders(assignment["code"], assignment["layers"], assignment["scratch"])
    if assignment["scratch"] is None:
        os.chown("/tmp", assignment["uid"], assignment["uid"])
    os.chmod("/tmp", 0o1777)
    # After the launcher has put this process into its cgroups, so that they look like the root from inside.
    kernel.unshare(kernel.CLONE_NEWCGROUP)
    os.umask(0o022)
    if assignment["scratch"] is not None:
        # Where /tmp is no disk of its own: at least no file can be longer than it should be.
        resource.setrlimit(resource.RLIMIT_FSIZE, (assignment["disk_bytes"], assignment["disk_bytes"]))
    for limit, value in _LIMITS.items():
        resource.setrlimit(limit, (value, value))
    _enter_user_namespace(assignment["uid"])
    kernel.drop_bounding_set()
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.install_filter(filter_program)
    # Last, because a change of credentials undoes both. The init shows nothing of its memory and descriptors.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.die_with_parent(signal.SIGKILL)


def _enter_user_namespace(host_uid: int) -> None:
    """Becomes SANDBOX_UID inside, `host_uid` outside; 0 means the launcher's own, where there is no other."""
    if host_uid:
        os.setgroups([])
        os.setresgid(host_uid, host_uid, host_uid)
        os.setresuid(host_uid, host_uid, host_uid)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # or /proc/self/uid_map belongs to root
    kernel.unshare(kernel.CLONE_NEWUSER)
    for name, value in (
        ("setgroups", "deny"),
        ("uid_map", "%d %d 1" % (filesystem.SANDBOX_UID, host_uid)),
        ("gid_map", "%d %d 1" % (filesystem.SANDBOX_GID, host_uid)),
    ):
        with open("/proc/self/" + name, "w") as file:
            file.write(value)


def _become_runtime(run: Runtime, assignment: dict[str, Any], fds: dict[str, int]) -> NoReturn:
    """In the forked child: output tied to its pipe, every other descriptor closed but the named ones."""
    try:
        os.setsid()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        kernel.die_with_parent(signal.SIGKILL)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(-1)
        kept = _arrange(fds)
        os.chdir("/var/task")
        run(assignment, kept)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException as error:  # noqa: BLE001 - the function's own, shown in its own log
        sys.stderr.write("%s: %s\n" % (type(error).__name__, error))
        code = 1
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(code)


def _arrange(fds: dict[str, int]) -> dict[str, int]:
    """0 reads nothing, 1 and 2 write to `output`, the others follow from 3 and are not inherited further."""
    null = os.open("/dev/null", os.O_RDONLY)
    # Above every number that is to be taken, so that none is overwritten before it is moved.
    parked = {name: _duplicate_above(fd, 32) for name, fd in dict(fds, null=null).items()}
    os.dup2(parked.pop("null"), 0)
    output = parked.pop("output")
    os.dup2(output, 1)
    os.dup2(output, 2)
    kept = {}
    for number, (name, fd) in enumerate(sorted(parked.items()), 3):
        kept[name] = os.dup2(fd, number, False)
    kernel.close_fds_from(3 + len(kept))
    return kept


def _duplicate_above(fd: int, lowest: int) -> int:
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)


def _outlive(channel: socket.socket, runtime: int) -> dict[str, Any]:
    """Waits as an init does, reaping what others leave, until the runtime ends or the launcher has gone."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    watch = select.poll()
    watch.register(woken, select.POLLIN)
    watch.register(channel.fileno(), select.POLLIN)
    while True:
        status = _reap(runtime)
        if status is not None:
            return _ending(status)
        for fd, _ in watch.poll():
            if fd == channel.fileno():
                os._exit(0)  # the launcher says nothing after the assignment: it has gone
            os.read(woken, 512)


def _reap(runtime: int) -> Any:
    """Collects every ended child; the status of the runtime when it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == runtime:
            found = status


def _ending(status: int) -> dict[str, Any]:
    if os.WIFSIGNALED(status):
        return {"event": "exit", "code": None, "signal": os.WTERMSIG(status)}
    return {"event": "exit", "code": os.WEXITSTATUS(status), "signal": None}


def _tell(channel: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody is left to hear it
        messages.send(channel, message)
