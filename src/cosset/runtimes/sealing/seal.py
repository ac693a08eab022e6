"""One environment whose init is an interpreter, from the fork to its end: one that has external extensions to start, or
a runtime on standby, or a host where no other init can be (alone.py is the other kind). The forked process is the init
of a pid namespace; the function's runtime is its child, and when that ends, so does everything else inside.

Two steps, so that the first may be taken before anyone asks. `prepare` makes namespaces and sockets; no function is
known. `furnish` adds one function's folders; then the init is sealed. In advance the runtime's own process is made
between the two: it gives up every privilege at once and waits, and is furnished from outside of that seal. When
somebody is waiting it is forked last, by an init that is sealed already. Either way nothing of a function runs before
all is sealed. Read next: runtime_process.py; spawner.py, which forks these; filter.py.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import select
import signal
import socket

from . import channel as messages
from . import filesystem, kernel, loops, netlink, privileges, runtime_process
from . import ports as inside
from .supervision import Supervision

MYPY = False
if MYPY:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from .cell import Cell

_BACKLOG = 64


def live(channel: socket.socket, cell: Cell) -> NoReturn:
    """The whole life of the init process. Every failure before the start is told over the channel."""
    try:
        received = messages.receive(channel)
        if received is None:
            os._exit(0)
        beginning, passed = received
        fds = named(beginning["fds"], passed)
        assignment = beginning["assignment"]
        given = {} if assignment is None else {name: fds.pop(name) for name in assignment["fds"]}
        listeners = prepare(cell.ports, beginning, fds)
        waiting = None
        if assignment is None:
            if cell.standby is not None or not beginning["is_urgent"]:
                waiting = runtime_process.wait(cell, beginning["uid"], [channel, *listeners])
            assignment, given = _wait_for_function(channel, listeners, waiting)
        furnish(assignment, given)
        privileges.give_up(beginning["uid"], cell.filter_program)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # the init shows nothing of its memory and descriptors
        runtime, supervision = _start(cell, assignment, given, waiting, [channel, *listeners])
        messages.send(channel, {"event": "started", "pipes": 0}, [listener.fileno() for listener in listeners])
        _close(listeners)
    except Exception as error:  # noqa: BLE001 - the boundary of this process: told to the launcher, then the end
        tell_failure(channel, error)
        os._exit(1)
    _tell(channel, _outlive(channel, runtime, supervision))
    os._exit(0)


def _wait_for_function(
    channel: socket.socket, listeners: list[socket.socket], waiting: runtime_process.Waiting | None
) -> tuple[dict[str, Any], dict[str, int]]:
    """Passes out what is prepared, and returns with the assignment and its descriptors."""
    pipes = [] if waiting is None else waiting.pipes
    shown = [*(listener.fileno() for listener in listeners), *pipes]
    messages.send(channel, {"event": "prepared", "pipes": len(pipes)}, shown)
    _close(listeners)
    for pipe in pipes:
        os.close(pipe)
    if waiting is not None:
        waiting.wait(channel)
    received = messages.receive(channel)
    if received is None:
        os._exit(0)
    assignment, passed = received
    return assignment, named(assignment["fds"], passed)


def _close(listeners: list[socket.socket]) -> None:
    while listeners:
        listeners.pop().close()


def _start(
    cell: Cell,
    assignment: dict[str, Any],
    fds: dict[str, int],
    waiting: runtime_process.Waiting | None,
    closed: Sequence[socket.socket],
) -> tuple[int, Supervision | None]:
    """Gives the runtime its function: at once, or where there are extensions, when the server says so. The answer is
    its pid. The descriptors are closed then."""
    supervisor, output = fds.pop("supervisor", None), fds.pop("extensions", None)
    if supervisor is None or output is None:
        if waiting is None:
            return runtime_process.start(cell, assignment, fds, closed), None
        waiting.order(assignment, fds)
        return waiting.pid, None
    if waiting is None:
        waiting = runtime_process.wait(cell, None, closed)
    supervision = Supervision(socket.socket(fileno=supervisor), waiting.pid, outlives=True)
    begin = functools.partial(waiting.order, assignment, fds)
    supervision.begin(assignment["extensions"], assignment["environment"], output, begin)
    os.close(output)
    return waiting.pid, supervision


def prepare(ports: Sequence[int], beginning: dict[str, Any], fds: dict[str, int]) -> list[socket.socket]:
    """Its groups, namespaces (the pid namespace is there already), loopback, listening sockets, an own /proc; the disk
    behind /tmp where there is one. The descriptors are closed."""
    os.setsid()
    for name, fd in fds.items():
        if name.startswith("gate"):
            os.write(fd, b"0")  # itself: whoever is moved by another waits milliseconds for it
            os.close(fd)
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS)
    # In its groups, so that they look like the root from inside.
    kernel.unshare(kernel.CLONE_NEWCGROUP)
    socket.sethostname("localhost")
    kernel.raise_loopback()
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("127.0.0.1", inside.NAMES))
    listeners = [names]
    for port in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
        listeners.append(listener)
    if "disk" in fds:
        _mount_disk(fds, beginning["uid"])
    else:
        # Where /tmp is no disk of its own: at least no file can be longer than it should be.
        resource.setrlimit(resource.RLIMIT_FSIZE, (beginning["disk_bytes"], beginning["disk_bytes"]))
    filesystem.add_own_proc()
    os.umask(0o022)
    privileges.set_limits()
    return listeners


def furnish(assignment: dict[str, Any], fds: dict[str, int]) -> None:
    """One function's folders and network. Where there is a disk among the descriptors it takes the place of the one
    that was prepared, which has another size; those of it are closed and taken out."""
    if "disk" in fds:
        kernel.unmount("/tmp")
        _mount_disk(fds, assignment["uid"])
    if assignment["network"] is not None:
        netlink.arrange(**assignment["network"])
    filesystem.add_own_folders(assignment["code"], assignment["layers"], assignment["scratch"])
    if assignment["scratch"] is not None:
        os.chmod("/tmp", 0o1777)


def named(names: Sequence[str], fds: Sequence[int]) -> dict[str, int]:
    """Descriptors by their names."""
    return {name: fds[position] for position, name in enumerate(names)}


def _mount_disk(fds: dict[str, int], uid: int) -> None:
    """`file` as the device `disk`, which is no file's yet. Both are closed and taken out."""
    disk, file = fds.pop("disk"), fds.pop("file")
    loops.configure(disk, file)
    filesystem.mount_disk(disk, "/tmp")
    os.close(disk)
    os.close(file)
    os.chown("/tmp", uid, uid)
    os.chmod("/tmp", 0o1777)


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
                return ending(status)
            if supervision is not None:
                supervision.ended(pid, ending(status))
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


def ending(status: int) -> dict[str, Any]:
    """What the launcher is told of it."""
    if os.WIFSIGNALED(status):
        return {"event": "exit", "code": None, "signal": os.WTERMSIG(status)}
    return {"event": "exit", "code": os.WEXITSTATUS(status), "signal": None}


def tell_failure(channel: socket.socket, error: Exception) -> None:
    """Before it has started. `again`: of another environment it would not fail."""
    again = isinstance(error, loops.TakenError)
    _tell(channel, {"event": "failed", "error": "%s: %s" % (type(error).__name__, error), "again": again})


def _tell(channel: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody is left to hear it
        messages.send(channel, message)
