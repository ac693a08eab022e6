"""Forks environments that are alike: one process a kind of root, told by the launcher over its control channel.

Single-threaded, trusted, and never in touch with what a function sends. Its children take over from `seal.live`.
`run_program` is the runtime of everything that is a program of its own; Python's is runtimes/python/zygote.py.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys

from . import channel as messages
from . import kernel, runtime_process, seal
from .alone import Alone

MYPY = False
if MYPY:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

    from .cell import Cell


def serve(control: socket.socket, cell: Cell) -> None:
    """Until the launcher goes: one fork a message. The message brings the environment's own channel, and what else its
    first process is to begin with. Where an environment has no init that could tell of its runtime's end, it is told
    of from here."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    spawner = _Spawner(control, cell)
    watch = select.poll()
    watch.register(control.fileno(), select.POLLIN)
    watch.register(_woken_by_children(), select.POLLIN)
    while True:
        for fd, _ in watch.poll():
            if fd != control.fileno():
                os.read(fd, 512)
                spawner.reap()
            elif not spawner.act():
                return


def _woken_by_children() -> int:
    """A descriptor that is readable when some have ended."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return woken


class _Spawner:
    def __init__(self, control: socket.socket, cell: Cell) -> None:
        self._control = control
        self._cell = cell
        self._runtimes: dict[int, str] = {}
        self._alone: Alone | None = None
        if cell.standby is None:
            with contextlib.suppress(OSError, ValueError, AttributeError):  # then an interpreter is the init
                self._alone = Alone(cell)

    def act(self) -> bool:
        """One message of the launcher's. False: it has gone."""
        try:
            received = messages.receive(self._control)
        except ConnectionResetError:  # with something of ours unread
            received = None
        if received is None:
            return False
        message, passed = received
        fds = seal.named(message["fds"], passed)
        try:
            if "nurse" in message:
                if self._alone is not None:
                    self._alone.nurse(message, fds, [self._control])
            elif message["beginning"] is not None and self._alone is not None:
                self._fork_alone(self._alone, message, fds)
            else:
                _fork(self._control, message["fork"], self._cell, fds["channel"], fds.get("group"))
        except OSError as error:
            messages.send(self._control, {"fork": message.get("fork"), "error": str(error)})
        finally:
            for fd in passed:
                os.close(fd)
        return True

    def reap(self) -> None:
        """Tells of the runtimes that have ended; of others the launcher hears by pidfd."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self._runtimes.pop(pid, None)
            if name is not None:
                messages.send(self._control, {**seal.ending(status), "ended": name})

    def _fork_alone(self, alone: Alone, message: dict[str, Any], fds: dict[str, int]) -> None:
        forked = alone.fork(message["beginning"], fds, [self._control])
        name = message["fork"]
        self._runtimes[forked.runtime] = name
        told = {"fork": name, "pid": forked.init, "runtime": forked.runtime, "is_grouped": forked.is_grouped}
        messages.send(self._control, told, [forked.pidfd])
        os.close(forked.pidfd)


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
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        seal.live(socket.socket(fileno=fd), cell)
    messages.send(control, {"fork": name, "pid": pid, "runtime": None, "is_grouped": is_grouped}, [pidfd])
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
