"""The process in which a function's runtime runs: a fork of the init, sealed before it hears of any function.

It is begun in one of two ways. `wait` is for what is prepared in advance: it seals itself at once, apart from the init,
and waits to be told what to run. `start` is for when the function is known: then the init has sealed itself, and what
it forks is sealed from its first moment. Read next: seal.py, the init; privileges.py.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import select
import signal
import socket
import sys

from . import channel as messages
from . import kernel, privileges

MYPY = False
if MYPY:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from .cell import Cell

EXEC_FAILED = 126
"""Exit code of a runtime that could not be started at all, as a shell would answer."""
_LOWEST_PARKED = 32


class Waiting:
    """The runtime's own process, sealed and waiting. `pipes`: where something runs on standby, the ends of its output
    and telemetry that the server reads."""

    def __init__(self, pid: int, orders: socket.socket, pipes: list[int]) -> None:
        self.pid = pid
        self.pipes = pipes
        self._orders = orders

    def wait(self, channel: socket.socket) -> None:
        """Until the launcher has something to say.

        Raises: OSError, and so the launcher is told, when the process has ended first.
        """
        watch = select.poll()
        watch.register(channel.fileno(), select.POLLIN)
        watch.register(self._orders.fileno(), 0)
        if any(fd == self._orders.fileno() for fd, _ in watch.poll()):
            raise OSError("the runtime ended before it had a function")

    def order(self, assignment: dict[str, Any], fds: dict[str, int]) -> None:
        """Gives it its function. The descriptors are closed then."""
        order = {"environment": assignment["environment"], "command": assignment["command"], "fds": list(fds)}
        messages.send(self._orders, order, list(fds.values()))
        self._orders.close()
        for fd in fds.values():
            os.close(fd)


def wait(cell: Cell, uid: int | None, closed: Sequence[socket.socket]) -> Waiting:
    """`uid`: None when this process has sealed itself already. `closed`: what is not the runtime's.

    Raises: OSError, when it could not be sealed.
    """
    orders, theirs = messages.pair()
    pipes = [os.pipe(), os.pipe()] if cell.standby is not None else []
    for _, end in pipes:
        os.fchmod(end, 0o222)  # so that the function, another user, may open /dev/stdout by its name
    pid = os.fork()
    if pid == 0:
        for each in (orders, *closed):
            each.close()
        _live_waiting(cell, uid, theirs, [end for _, end in pipes])
    theirs.close()
    for _, end in pipes:
        os.close(end)
    received = messages.receive(orders)
    if received is None:
        raise OSError("the runtime's process ended before it was sealed")
    if "error" in received[0]:
        raise OSError(received[0]["error"])
    return Waiting(pid, orders, [end for end, _ in pipes])


def start(cell: Cell, assignment: dict[str, Any], fds: dict[str, int], closed: Sequence[socket.socket]) -> int:
    """Of a process that has sealed itself: the pid of the runtime, with its function. The descriptors are closed."""
    pid = os.fork()
    if pid == 0:
        for each in closed:
            each.detach()  # closed with all others
        os.setsid()
        _begin_life()
        _live(lambda: _run(cell, assignment, fds))
    for fd in fds.values():
        os.close(fd)
    return pid


def become(cell: Cell, assignment: dict[str, Any], fds: dict[str, int]) -> NoReturn:
    """In a process that has sealed itself and has no init to fork it."""
    _begin_life()
    _live(lambda: _run(cell, assignment, fds))


def _live_waiting(cell: Cell, uid: int | None, orders: socket.socket, pipes: list[int]) -> NoReturn:
    try:
        os.setsid()
        if uid is not None:
            privileges.give_up(uid, cell.filter_program)
        _begin_life()
        messages.send(orders, {"event": "sealed"})
    except Exception as error:  # noqa: BLE001 - told to the init, which tells the launcher
        with contextlib.suppress(OSError):  # nobody is left to hear it
            messages.send(orders, {"error": "%s: %s" % (type(error).__name__, error)})
        os._exit(1)
    _live(lambda: _wait_and_run(cell, orders, pipes))


def _wait_and_run(cell: Cell, orders: socket.socket, pipes: list[int]) -> None:
    if cell.standby is not None:
        output, telemetry = pipes
        cell.standby(_arrange({"output": output, "telemetry": telemetry, "told": orders.detach()}))
    received = messages.receive(orders)
    if received is None:
        os._exit(0)
    assignment, passed = received
    orders.detach()  # closed with all others
    _run(cell, assignment, {name: passed[position] for position, name in enumerate(assignment["fds"])})


def _run(cell: Cell, assignment: dict[str, Any], fds: dict[str, int]) -> None:
    kept = _arrange(fds)
    os.chdir("/var/task")
    cell.run(assignment, kept)


def _begin_life() -> None:
    """As a process that nothing has forked: what the init and the spawner had is set back."""
    kernel.die_with_parent(signal.SIGKILL)  # again: a fork undoes it
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)


def _live(run: Callable[[], None]) -> NoReturn:
    """Ends as an interpreter of its own would."""
    try:
        run()
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
    parked = {name: _duplicate_above(fd, _LOWEST_PARKED) for name, fd in dict(fds, null=null).items()}
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
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)
