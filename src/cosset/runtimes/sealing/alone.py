"""An environment whose runtime is its only process but for a bare init (bare_init.py): every one without extensions.

The spawner begins the init, and forks the runtime's process straight into the init's pid namespace. That process joins
what the init has made, waits for its function, furnishes, seals itself, and becomes the runtime. The spawner is its
parent, and so the one who hears how it ends. Read next: spawner.py, which calls this; seal.py, the other kind, where an
interpreter stays as init.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import socket

from . import bare_init, filesystem, kernel, loops, privileges, runtime_process, seal
from . import channel as messages
from .call_list import Packed, Program, memory_file, take_report
from .supervision import Supervision

MYPY = False
if MYPY:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from .cell import Cell

_RUNTIME = 2
"""Its pid inside: the next after the init's."""
_SHARED = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP
_REPORT_BYTES = 16


class Forked:
    """Both processes, as the launcher is to know them. `pidfd` is the init's."""

    def __init__(self, init: int, pidfd: int, runtime: int, is_grouped: bool) -> None:
        self.init = init
        self.pidfd = pidfd
        self.runtime = runtime
        self.is_grouped = is_grouped


class Alone:
    """Makes such environments, all of one `cell`.

    Raises: OSError, ValueError, AttributeError, where the host, the C library or Python does not let it.
    """

    def __init__(self, cell: Cell) -> None:
        if not kernel.has_capability(kernel.CAP_SYS_PTRACE):
            raise PermissionError("whoever may not trace a process cannot join what it has")
        self._cell = cell
        self._program = Program()
        self._forks = kernel.Forks()
        self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        own = os.pidfd_open(os.getpid())
        try:
            kernel.enter_namespace(own, kernel.CLONE_NEWUTS)  # its own: kernels before 5.8 take no pidfd
        finally:
            os.close(own)
        self._lists: dict[tuple[tuple[str, ...], bool], Packed] = {}
        self._covered = filesystem.covered()
        self._capabilities = kernel.last_capability() + 1

    def fork(self, beginning: dict[str, Any], fds: dict[str, int], closed: Sequence[socket.socket]) -> Forked:
        """`fds`: the environment's `channel`, the `gate`s of its groups, the `group` of version 2, its disk. They stay
        the caller's, who alone returns from here. Raises: OSError, with nothing left behind."""
        told, teller = os.pipe()
        try:
            names, pid, init, group = self._begin_init(beginning, fds, teller)
        except OSError:
            os.close(told)
            raise
        finally:
            os.close(teller)
        try:
            runtime = self._fork_inside(init, group)
        except OSError:
            signal.pidfd_send_signal(init, signal.SIGKILL)
            os.close(init)
            os.close(told)
            raise
        if runtime == 0:
            for each in closed:
                each.close()
            _live(self._cell, beginning, fds, init, _Report(told, names))
        os.close(told)
        return Forked(pid, init, runtime, group is not None)

    def nurse(self, told: dict[str, Any], fds: dict[str, int], closed: Sequence[socket.socket]) -> None:
        """Forks what does for the server what an init that is an interpreter would: `fds` are the `supervisor` socket,
        the `init`, and as above the group and the gates of the environment."""
        if self._fork_inside(fds["init"], fds.get("group")):
            return
        for each in closed:
            each.close()
        try:
            _join(fds, fds["init"])
            privileges.give_up_as(fds["init"], told["uid"], self._cell.filter_program)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
            supervision = Supervision(socket.socket(fileno=fds.pop("supervisor")), _RUNTIME, outlives=False)
            watch = select.poll()
            watch.register(supervision.fileno(), select.POLLIN)
            while watch.poll() and supervision.act():
                pass
        finally:
            os._exit(0)

    def _begin_init(
        self, beginning: dict[str, Any], fds: dict[str, int], teller: int
    ) -> tuple[Sequence[str], int, int, int | None]:
        """What it will do by name, its pid and a pidfd, and its group of version 2, if it is in it."""
        passed = {name: fd for name, fd in fds.items() if name != "group"}
        made = self._list(tuple(passed), beginning["uid"] != 0)
        source = memory_file("calls")  # no pipe, which may be too short for all of it where a user has many
        try:
            os.pwrite(source, made.filled({bare_init.UID: beginning["uid"]}), 0)
            group = fds.get("group")
            try:
                pid, init = self._program.begin(source, teller, passed, group)
            except OSError:
                if group is None:
                    raise
                group = None  # it is not ours to give: the launcher will do it
                pid, init = self._program.begin(source, teller, passed, None)
        finally:
            os.close(source)
        return made.names, pid, init, group

    def _list(self, passed: tuple[str, ...], has_uid: bool) -> Packed:
        if (passed, has_uid) not in self._lists:
            shape = bare_init.Shape(passed, has_uid)
            made = bare_init.calls(shape, self._cell.ports, self._covered, self._capabilities)
            if made.size > Program.LIST_BYTES:
                raise OSError("%d bytes of calls for an init" % made.size)
            made.names.insert(0, Program.FIRST_CALL)
            self._lists[passed, has_uid] = made.pack(Program.LIST_AT)
        return self._lists[passed, has_uid]

    def _fork_inside(self, init: int, group: int | None) -> int:
        """In the pid namespace of this init. 0 in the child."""
        kernel.enter_namespace(init, kernel.CLONE_NEWPID)  # where children begin, from now on
        try:
            pid, pidfd = self._forks.fork(group)
        except OSError:
            kernel.enter_namespace(self._own_pids, kernel.CLONE_NEWPID)
            raise
        if pid:
            os.close(pidfd)
            kernel.enter_namespace(self._own_pids, kernel.CLONE_NEWPID)
        return pid


class _Report:
    """What the init will tell of itself."""

    def __init__(self, fd: int, names: Sequence[str]) -> None:
        self._fd = fd
        self._names = names

    def wait(self) -> None:
        """Raises: OSError, when it could not do all of it; TakenError among them."""
        try:
            take_report(os.read(self._fd, _REPORT_BYTES), self._names)
        except OSError as error:
            if error.errno == errno.EBUSY and str(error.strerror).startswith("ioctl " + loops.WHAT):
                raise loops.TakenError(error.errno, str(error.strerror)) from None
            raise


def _live(cell: Cell, beginning: dict[str, Any], fds: dict[str, int], init: int, report: _Report) -> NoReturn:
    """Of the runtime's process, from the fork on."""
    channel = socket.socket(fileno=fds["channel"])
    try:
        _enter_groups(fds)
        report.wait()
        _join({}, init)
        if "disk" not in fds:
            resource.setrlimit(resource.RLIMIT_FSIZE, (beginning["disk_bytes"], beginning["disk_bytes"]))
        if cell.rehearse is not None and beginning["rehearses"]:
            cell.rehearse()
        received = messages.receive(channel)
        if received is None:
            os._exit(0)
        assignment, passed = received
        given = seal.named(assignment["fds"], passed)
        seal.furnish(assignment, given)
        privileges.give_up_as(init, beginning["uid"], cell.filter_program)
        messages.send(channel, {"event": "started", "pipes": 0})
    except Exception as error:  # noqa: BLE001 - the boundary of this process: told to the launcher, then the end
        seal.tell_failure(channel, error)
        os._exit(1)
    channel.detach()  # closed with all others
    runtime_process.become(cell, assignment, given)


def _join(fds: dict[str, int], init: int) -> None:
    """Into everything that the init has but its users."""
    _enter_groups(fds)
    kernel.enter_namespace(init, _SHARED)
    os.setsid()
    os.umask(0o022)
    privileges.set_limits()


def _enter_groups(fds: dict[str, int]) -> None:
    for gate in _gates(fds):
        os.write(gate, b"0")


def _gates(fds: dict[str, int]) -> list[int]:
    return [fd for name, fd in fds.items() if name.startswith("gate")]
