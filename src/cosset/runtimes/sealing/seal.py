"""One environment, from the fork to its end. The forked process is the init of a pid namespace; the function's runtime
is its child, and when that ends, so does everything else inside.

Two steps, so that the first may be taken before anyone asks. `prepare` makes namespaces, sockets and the runtime's own
process, which gives up every privilege at once and waits; no function is known. `furnish` adds one function's folders
from outside of that seal; then the init is sealed too, and only then the runtime is told what to run. Read next:
spawner.py, which forks these; filter.py.
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
from .supervision import Supervision

MYPY = False
if MYPY:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    Runtime = Callable[[dict[str, Any], dict[str, int]], None]
    """Runs a function's runtime in this very process, given the assignment and the descriptors by name."""
    Standby = Callable[[dict[str, int]], None]
    """Begins a runtime that is nobody's yet, given descriptors: of `telemetry`, and `told`, where it is told in
    one message what function it is."""


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
    """What every environment of one spawner has alike. `ports` are listened on inside and passed out (ports.py).
    `standby`: what runs in an environment that waits for its function, where that is more than a fork."""

    def __init__(
        self, ports: Sequence[int], filter_program: bytes, run: Runtime, standby: Standby | None = None
    ) -> None:
        self.ports = ports
        self.filter_program = filter_program
        self.run = run
        self.standby = standby


def live(channel: socket.socket, cell: Cell) -> NoReturn:
    """The whole life of the init process. Every failure before the start is told over the channel."""
    try:
        received = messages.receive(channel)
        if received is None:
            os._exit(0)
        beginning, passed = received
        listeners = prepare(cell.ports, beginning, _named(beginning["fds"], passed))
        runtime, orders, pipes = _begin_runtime(cell, beginning["uid"], [channel, *listeners])
        shown = [*(listener.fileno() for listener in listeners), *pipes]
        messages.send(channel, {"event": "prepared", "pipes": len(pipes)}, shown)
        for listener in listeners:
            listener.close()
        for pipe in pipes:
            os.close(pipe)
        _wait_for_function(channel, orders)
        received = messages.receive(channel)
        if received is None:
            os._exit(0)
        assignment, passed = received
        fds = _named(assignment["fds"], passed)
        furnish(assignment, fds.pop("disk", None))
        give_up_privileges(beginning["uid"], cell.filter_program)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # the init shows nothing of its memory and descriptors
        supervision = _begin_extensions(assignment, fds, orders, runtime)
        messages.send(channel, {"event": "started"})
    except Exception as error:  # noqa: BLE001 - the boundary of this process: told to the launcher, then the end
        _tell(channel, {"event": "failed", "error": "%s: %s" % (type(error).__name__, error)})
        os._exit(1)
    _tell(channel, _outlive(channel, runtime, supervision))
    os._exit(0)


def _begin_extensions(
    assignment: dict[str, Any], fds: dict[str, int], orders: socket.socket, runtime: int
) -> Supervision | None:
    """Gives the runtime its function: at once, or where there are extensions, when the server says so. The descriptors
    are closed then."""
    supervisor, output = fds.pop("supervisor", None), fds.pop("extensions", None)

    def start() -> None:
        order = {"environment": assignment["environment"], "command": assignment["command"], "fds": list(fds)}
        messages.send(orders, order, list(fds.values()))
        orders.close()
        for fd in fds.values():
            os.close(fd)

    if supervisor is None or output is None:
        start()
        return None
    supervision = Supervision(socket.socket(fileno=supervisor), runtime, outlives=True)
    supervision.begin(assignment["extensions"], assignment["environment"], output, start)
    os.close(output)
    return supervision


def prepare(ports: Sequence[int], beginning: dict[str, Any], fds: dict[str, int]) -> list[socket.socket]:
    """Its groups, namespaces (the pid namespace is there already), loopback, listening sockets, an own /proc; the disk
    behind /tmp where there is one. The descriptors are closed."""
    os.setsid()
    for name, fd in fds.items():
        if name != "disk":
            os.write(fd, b"0")  # itself: whoever is moved by another waits milliseconds for it
            os.close(fd)
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS)
    # In its groups, so that they look like the root from inside.
    kernel.unshare(kernel.CLONE_NEWCGROUP)
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
    if "disk" in fds:
        _mount_disk(fds["disk"], beginning["uid"])
        os.close(fds["disk"])
    else:
        # Where /tmp is no disk of its own: at least no file can be longer than it should be.
        resource.setrlimit(resource.RLIMIT_FSIZE, (beginning["disk_bytes"], beginning["disk_bytes"]))
    filesystem.add_own_proc()
    os.umask(0o022)
    for limit, value in _LIMITS.items():
        resource.setrlimit(limit, (value, value))
    return listeners


def furnish(assignment: dict[str, Any], disk: int | None) -> None:
    """One function's folders and network. `disk`: instead of the one that was prepared, which has another size."""
    if disk is not None:
        kernel.unmount("/tmp")
        _mount_disk(disk, assignment["uid"])
    if assignment["network"] is not None:
        netlink.arrange(**assignment["network"])
    filesystem.add_own_folders(assignment["code"], assignment["layers"], assignment["scratch"])
    if assignment["scratch"] is not None:
        os.chmod("/tmp", 0o1777)


def give_up_privileges(uid: int, filter_program: bytes) -> None:
    """Nothing of the host's is left to this process: uid, capabilities, system calls. It dies with its parent."""
    _enter_user_namespace(uid)
    kernel.drop_bounding_set()
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.install_filter(filter_program)
    kernel.die_with_parent(signal.SIGKILL)  # last, because a change of credentials undoes it


def _named(names: Sequence[str], fds: Sequence[int]) -> dict[str, int]:
    return {name: fds[position] for position, name in enumerate(names)}


def _mount_disk(fd: int, uid: int) -> None:
    filesystem.mount_disk(fd, "/tmp")
    os.chown("/tmp", uid, uid)
    os.chmod("/tmp", 0o1777)


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


def _begin_runtime(cell: Cell, uid: int, closed: Sequence[socket.socket]) -> tuple[int, socket.socket, list[int]]:
    """The runtime's own process, sealed and waiting: its pid, the socket on which it is told what to run, and, where
    something runs on standby, the ends of its output and telemetry that the server reads."""
    orders, theirs = messages.pair()
    pipes = [os.pipe(), os.pipe()] if cell.standby is not None else []
    for _, end in pipes:
        os.fchmod(end, 0o222)  # so that the function, another user, may open /dev/stdout by its name
    runtime = os.fork()
    if runtime == 0:
        for each in (orders, *closed):
            each.close()
        _live_as_runtime(cell, uid, theirs, [end for _, end in pipes])
    theirs.close()
    for _, end in pipes:
        os.close(end)
    received = messages.receive(orders)
    if received is None:
        raise OSError("the runtime's process ended before it was sealed")
    if "error" in received[0]:
        raise OSError(received[0]["error"])
    return runtime, orders, [end for end, _ in pipes]


def _wait_for_function(channel: socket.socket, orders: socket.socket) -> None:
    """Ends, and so tells the launcher, when the process that waits has ended first."""
    watch = select.poll()
    watch.register(channel.fileno(), select.POLLIN)
    watch.register(orders.fileno(), 0)
    if any(fd == orders.fileno() for fd, _ in watch.poll()):
        raise OSError("the runtime ended before it had a function")


def _live_as_runtime(cell: Cell, uid: int, orders: socket.socket, pipes: list[int]) -> NoReturn:
    try:
        os.setsid()
        give_up_privileges(uid, cell.filter_program)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(-1)
        messages.send(orders, {"event": "sealed"})
    except Exception as error:  # noqa: BLE001 - told to the init, which tells the launcher
        _tell(orders, {"error": "%s: %s" % (type(error).__name__, error)})
        os._exit(1)
    try:
        if cell.standby is not None:
            output, telemetry = pipes
            cell.standby(_arrange({"output": output, "telemetry": telemetry, "told": orders.detach()}))
        received = messages.receive(orders)
        if received is None:
            os._exit(0)
        assignment, passed = received
        orders.detach()  # closed with all others
        kept = _arrange(_named(assignment["fds"], passed))
        os.chdir("/var/task")
        cell.run(assignment, kept)
        code = 0
    except SystemExit as stop:
        code = _status(stop)
    except KeyboardInterrupt as error:
        _end_by_interrupt(error)
    except BaseException as error:  # noqa: BLE001 - the function's own, shown in its own log
        sys.stderr.write("%s: %s\n" % (type(error).__name__, error))
        code = 1
    _tidy_up()
    os._exit(code)


def _status(stop: SystemExit) -> int:
    """As an interpreter of its own ends: whatever is no number is printed, and counts as 1."""
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or 0
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write("%s\n" % (stop.code,))
    return 1


def _end_by_interrupt(error: KeyboardInterrupt) -> NoReturn:
    """Likewise: its parent is to see the signal."""
    with contextlib.suppress(OSError, ValueError):
        sys.excepthook(type(error), error, error.__traceback__)
    _tidy_up()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
    os._exit(128 + signal.SIGINT)


def _tidy_up() -> None:
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()


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


def _outlive(channel: socket.socket, runtime: int, supervision: Supervision | None) -> dict[str, Any]:
    """Waits as an init does, reaping what others leave, until the runtime ends or the launcher has gone. With external
    extensions the end of the runtime is told of, and whoever kills this process ends the rest."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    watch = select.poll()
    watch.register(woken, select.POLLIN)
    watch.register(channel.fileno(), select.POLLIN)
    if supervision is not None:
        watch.register(supervision.fileno(), select.POLLIN)
    while True:
        for pid, status in _reap():
            if pid == runtime and (supervision is None or not supervision.outlives):
                return _ending(status)
            if supervision is not None:
                supervision.ended(pid, _ending(status))
        for fd, _ in watch.poll():
            if fd == woken:
                os.read(woken, 512)
            elif fd == channel.fileno():
                sock = _hear_launcher(channel)
                if supervision is None:
                    supervision = Supervision(sock, runtime, outlives=False)
                    watch.register(supervision.fileno(), select.POLLIN)
            elif supervision is not None and fd == supervision.fileno() and not supervision.act():
                watch.unregister(fd)


def _hear_launcher(channel: socket.socket) -> socket.socket:
    """The server's socket, the one thing that the launcher says after the assignment; otherwise it has gone, and this
    process with it."""
    received = messages.receive(channel)
    if received is None or len(received[1]) != 1:
        os._exit(0)
    return socket.socket(fileno=received[1][0])


def _reap() -> list[tuple[int, int]]:
    """Collects every ended child, with its status."""
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append((pid, status))


def _ending(status: int) -> dict[str, Any]:
    if os.WIFSIGNALED(status):
        return {"event": "exit", "code": None, "signal": os.WTERMSIG(status)}
    return {"event": "exit", "code": os.WEXITSTATUS(status), "signal": None}


def _tell(channel: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody is left to hear it
        messages.send(channel, message)
