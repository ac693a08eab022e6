"""Forks environments that are alike: one process a kind of root, told by the launcher over its control channel.

Single-threaded, trusted, and never in touch with what a function sends. Its children take over from `seal.live`.
`run_program` is the runtime of everything that is a program of its own; Python's is runtimes/python/zygote.py.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

from . import channel as messages
from . import kernel, runtime_process, seal

MYPY = False
if MYPY:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

    from .cell import Cell


def serve(control: socket.socket, cell: Cell) -> None:
    """Until the launcher goes: one fork a message. The message brings the environment's own channel, and where there
    is one the folder of its cgroup of version 2."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the launcher watches the children by pidfd
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        received = messages.receive(control)
        if received is None:
            return
        message, fds = received
        try:
            _fork(control, message["fork"], cell, *fds)
        except OSError as error:
            messages.send(control, {"fork": message["fork"], "error": str(error)})
        finally:
            for fd in fds:
                os.close(fd)


def _fork(control: socket.socket, name: str, cell: Cell, fd: int, group_fd: int | None = None) -> None:
    is_grouped = group_fd is not None
    try:
        pid, pidfd = kernel.fork_init(group_fd)
    except OSError:
        if not is_grouped:
            raise
        is_grouped = False  # the kernel is older than that, or the group is not ours to give: the launcher will do it
        pid, pidfd = kernel.fork_init(None)
    if pid == 0:
        control.close()
        if group_fd is not None:
            os.close(group_fd)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        seal.live(socket.socket(fileno=fd), cell)
    messages.send(control, {"fork": name, "pid": pid, "is_grouped": is_grouped}, [pidfd])
    os.close(pidfd)


def begin_program(command: Sequence[str], environment: Mapping[str, str], fds: dict[str, int]) -> NoReturn:
    """Becomes a runtime that waits for its function: `_COSSET_ORDERS_FD` is where it will hear of it."""
    for fd in fds.values():
        os.set_inheritable(fd, True)
    own = {"_LAMBDA_TELEMETRY_LOG_FD": str(fds["telemetry"]), "_COSSET_ORDERS_FD": str(fds["told"])}
    _reset_signals()
    os.execve(command[0], list(command), {**environment, **own})


def _reset_signals() -> None:
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # Python ignores the first two, and what it starts would inherit that


def run_program(assignment: dict[str, Any], fds: dict[str, int]) -> None:
    """Becomes the runtime's program. Descriptors beyond its output and telemetry are none of its business."""
    environment = dict(assignment["environment"])
    telemetry = fds.get("telemetry")
    if telemetry is not None:
        os.set_inheritable(telemetry, True)
        environment["_LAMBDA_TELEMETRY_LOG_FD"] = str(telemetry)
    kernel.close_fds_from(3 if telemetry is None else telemetry + 1)
    _reset_signals()
    command = assignment["command"]
    try:
        os.execve(command[0], command, environment)
    except OSError as error:
        sys.stderr.write("fork/exec %s: %s\n" % (command[0], (error.strerror or "").lower()))
        sys.exit(runtime_process.EXEC_FAILED)
