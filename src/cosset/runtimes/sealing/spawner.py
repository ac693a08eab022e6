"""Forks environments that are alike: one process a kind of root, told by the launcher over its control channel.

Single-threaded, trusted, and never in touch with what a function sends. Its children take over from `seal.live`.
`run_program` is the runtime of everything that is a program of its own; Python's is runtimes/python/zygote.py.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys

from . import channel as messages
from . import kernel, seal

MYPY = False
if MYPY:
    from typing import Any


def serve(control: socket.socket, cell: seal.Cell) -> None:
    """Until the launcher goes: one fork a message. The message brings the environment's own channel."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the launcher watches the children by pidfd
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    fork = _fork_and_return if _can_return_to(own_pids) else _fork_through_another
    while True:
        received = messages.receive(control)
        if received is None:
            return
        message, (fd,) = received
        try:
            fork(control, message["fork"], fd, own_pids, cell)
        except OSError as error:
            messages.send(control, {"fork": message["fork"], "error": str(error)})
        finally:
            os.close(fd)


def _can_return_to(own_pids: int) -> bool:
    """Not in a user namespace, to which the pid namespace that we are in does not belong."""
    try:
        kernel.enter_namespace(own_pids, kernel.CLONE_NEWPID)
    except OSError:
        return False
    return True


def _fork_and_return(control: socket.socket, name: str, fd: int, own_pids: int, cell: seal.Cell) -> None:
    """The next child begins a new pid namespace; then children would be ours again."""
    kernel.unshare(kernel.CLONE_NEWPID)
    try:
        pid = os.fork()
        if pid == 0:
            _live(control, fd, own_pids, cell)
    finally:
        kernel.enter_namespace(own_pids, kernel.CLONE_NEWPID)
    _report(control, name, pid)


def _fork_through_another(control: socket.socket, name: str, fd: int, own_pids: int, cell: seal.Cell) -> None:
    """A process between, which makes the pid namespace and ends; its child becomes ours, for we are its subreaper."""
    ours, theirs = messages.pair()
    between = os.fork()
    if between == 0:
        try:
            kernel.unshare(kernel.CLONE_NEWPID)
            pid = os.fork()
            if pid == 0:
                ours.close()
                theirs.close()
                _live(control, fd, own_pids, cell)
            _report(theirs, name, pid)
        except OSError as error:
            messages.send(theirs, {"fork": name, "error": str(error)})
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        received = messages.receive(ours)
    with contextlib.suppress(ChildProcessError):  # it has no status to give: SIGCHLD is ignored
        os.waitpid(between, 0)
    if received is None:
        raise OSError("no process came of the fork")
    # Only now that the one between has ended: its end is not to be taken for that of the environment's parent.
    messages.send(control, *received)
    for passed in received[1]:
        os.close(passed)


def _live(control: socket.socket, fd: int, own_pids: int, cell: seal.Cell) -> None:
    control.close()
    os.close(own_pids)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    seal.live(socket.socket(fileno=fd), cell)


def _report(control: socket.socket, name: str, pid: int) -> None:
    pidfd = kernel.open_pidfd(pid)
    messages.send(control, {"fork": name, "pid": pid}, [pidfd])
    os.close(pidfd)


def run_program(assignment: dict[str, Any], fds: dict[str, int]) -> None:
    """Becomes the runtime's program. Descriptors beyond its output and telemetry are none of its business."""
    environment = dict(assignment["environment"])
    telemetry = fds.get("telemetry")
    if telemetry is not None:
        os.set_inheritable(telemetry, True)
        environment["_LAMBDA_TELEMETRY_LOG_FD"] = str(telemetry)
    kernel.close_fds_from(3 if telemetry is None else telemetry + 1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # Python ignores the first two, and what it starts would inherit that
    command = assignment["command"]
    try:
        os.execve(command[0], command, environment)
    except OSError as error:
        sys.stderr.write("fork/exec %s: %s\n" % (command[0], (error.strerror or "").lower()))
        sys.exit(seal.EXEC_FAILED)
