"""The first process of an environment without extensions: no interpreter, but a list of system calls, made once.

It makes the namespaces, the sockets and the disk, passes the sockets out, seals itself more tightly than any function,
and from then on does what is left for an init: nothing. What is orphaned in its pid namespace the kernel reaps for it;
when it is killed, everything there dies. It never knows a function. Read next: alone.py, which forks the runtime.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct

from . import filesystem, filter, kernel, loops, ports, privileges
from .call_list import AT_FDCWD, CallList, Place, Program

MYPY = False
if MYPY:
    from collections.abc import Sequence

UID = "uid"
"""The one thing that is filled in for each."""
_BACKLOG = 64
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_SIGNAL_SET_BYTES = 8
_PR_SET_NAME = 15
_ALL_FDS = 0xFFFFFFFF
_NAMES_SOCKET = 0
"""Every descriptor below those that are passed is closed first: so the sockets are numbered from 0."""


class Shape:
    """What inits have alike that do the same. `passed`: the names of their descriptors: the `channel`, the `gate`s of
    the groups that they enter by themselves, where there is a disk, the device (`disk`) and the `file`. `has_uid`: they
    have a uid of their own."""

    def __init__(self, passed: Sequence[str], has_uid: bool) -> None:
        self.passed = passed
        self.has_uid = has_uid

    def number(self, name: str) -> int:
        return Program.FIRST_FD + self.passed.index(name)


def calls(shape: Shape, inside: Sequence[int], covered: Sequence[tuple[str, str]], capabilities: int) -> CallList:
    """Args: inside: the ports. covered: what of /proc is hidden. capabilities: how many the kernel knows."""
    made = CallList()
    _come_to_life(made, [shape.number(name) for name in shape.passed if name.startswith("gate")])
    _make_network(made, inside)
    if "disk" in shape.passed:
        _mount_disk(made, shape)
    _own_proc(made, covered)
    _pass_out(made, shape.number("channel"), len(inside) + 1)
    _seal(made, shape.has_uid, capabilities)
    return made


def _come_to_life(made: CallList, gates: Sequence[int]) -> None:
    made.add("close_range", 0, Program.LIST_FD, 0)
    made.add("prctl", kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    made.add("prctl", _PR_SET_NAME, made.text("init"))
    # Who is orphaned here is nobody's to wait for.
    ignored = made.place(struct.pack("<QQQQ", 1, 0, 0, 0))
    made.add("rt_sigaction", signal.SIGCHLD, ignored, 0, _SIGNAL_SET_BYTES)
    made.add("setsid")
    for gate in gates:  # itself: whoever is moved by another waits milliseconds for it
        made.add("write", gate, made.text("0"), 1, what="to its cgroup")
    spaces = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    made.add("unshare", spaces, what="mounts, network, ipc and name")
    made.add("unshare", kernel.CLONE_NEWCGROUP, what="cgroups")
    for limit, value in privileges.attainable_limits().items():  # its user namespace will remember some of them
        made.add("prlimit64", 0, limit, made.place(struct.pack("<QQ", value, value)), 0)


def _make_network(made: CallList, inside: Sequence[int]) -> None:
    made.add("sethostname", made.text("localhost"), len("localhost"))
    closing = socket.SOCK_CLOEXEC
    made.add("socket", socket.AF_INET, socket.SOCK_DGRAM | closing, 0)
    up = made.place(struct.pack("16sH22x", b"lo", _IFF_UP))
    made.add("ioctl", _NAMES_SOCKET, _SIOCSIFFLAGS, up, what="loopback up")
    made.add("bind", _NAMES_SOCKET, _address(made, ports.NAMES), 16, what="the nameserver's")
    for fd, port in enumerate(inside, _NAMES_SOCKET + 1):
        made.add("socket", socket.AF_INET, socket.SOCK_STREAM | closing, 0)
        one = made.place(struct.pack("i", 1))
        made.add("setsockopt", fd, socket.SOL_SOCKET, socket.SO_REUSEADDR, one, 4)
        made.add("bind", fd, _address(made, port), 16, what="port %d" % port)
        made.add("listen", fd, _BACKLOG)


def _address(made: CallList, port: int) -> Place:
    return made.place(struct.pack("<H", socket.AF_INET) + struct.pack(">H4s8x", port, socket.inet_aton("127.0.0.1")))


def _mount_disk(made: CallList, shape: Shape) -> None:
    disk, file = shape.number("disk"), shape.number("file")
    made.add("ioctl", disk, loops.CONFIGURE, made.place(loops.configuration(file)), what=loops.WHAT)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOATIME
    device, options = made.text("/proc/self/fd/%d" % disk), made.text(filesystem.DISK_OPTIONS)
    made.add("mount", device, made.text("/tmp"), made.text("ext4"), flags, options, what="/tmp")
    made.add("close", disk)
    made.add("close", file)
    made.add("fchownat", AT_FDCWD, made.text("/tmp"), UID, UID, 0)
    made.add("fchmodat", AT_FDCWD, made.text("/tmp"), 0o1777)


def _own_proc(made: CallList, covered: Sequence[tuple[str, str]]) -> None:
    """As filesystem.add_own_proc."""
    new, place, none = made.text(filesystem.NEW_PROC), made.text("/proc"), 0
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    made.add("mount", place, new, made.text("proc"), flags, none, what="its own /proc")
    made.add("umount2", place, kernel.MNT_DETACH, what="the old /proc")
    made.add("mount", new, place, none, kernel.MS_MOVE, none, what="/proc in its place")
    for cover, covers in covered:
        made.add("mount", made.text(cover), made.text(covers), none, kernel.MS_BIND, none, what=covers)


def _pass_out(made: CallList, channel: int, sockets: int) -> None:
    text = json.dumps({"event": "prepared", "pipes": 0}).encode()
    vector = made.place(struct.pack("<QQ", 0, len(text)), {0: made.place(text)})
    rights = struct.pack("<Qii", 16 + 4 * sockets, socket.SOL_SOCKET, socket.SCM_RIGHTS)
    rights += struct.pack("<%di" % sockets, *range(sockets))
    rights += bytes(-len(rights) % 8)
    message = struct.pack("<QQQQQQQ", 0, 0, 0, 1, 0, len(rights), 0)
    place = made.place(message, {16: vector, 32: made.place(rights)})
    made.add("sendmsg", channel, place, socket.MSG_NOSIGNAL, what="what it has made")
    made.add("close_range", 0, Program.REPORT_FD - 1, 0)
    made.add("close_range", Program.REPORT_FD + 1, _ALL_FDS, 0)


def _seal(made: CallList, has_uid: bool, capabilities: int) -> None:
    """As privileges.give_up, and with a filter that leaves it only what it does from now on."""
    if has_uid:
        made.add("setgroups", 0, 0)
        made.add("setresgid", UID, UID, UID)
        made.add("setresuid", UID, UID, UID)
        made.add("prctl", kernel.PR_SET_DUMPABLE, 1)
    made.add("unshare", kernel.CLONE_NEWUSER, what="users")
    for path, before, after in privileges.IDENTITY:
        text = made.digits(UID, before, after) if after else (made.place(before), len(before))
        made.add("openat", AT_FDCWD, made.text(path), os.O_WRONLY)
        made.add("write", 0, *text, what=path)
        made.add("close", 0)
    for capability in range(capabilities):
        made.add("prctl", kernel.PR_CAPBSET_DROP, capability)
    made.add("prctl", kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
    head = made.place(struct.pack("Ii", kernel.CAPABILITY_VERSION_3, 0))
    made.add("capset", head, made.place(bytes(24)))
    made.add("prctl", kernel.PR_SET_DUMPABLE, 0)
    made.add("prctl", kernel.PR_SET_NO_NEW_PRIVS, 1)
    made.add("prctl", kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    program = filter.of_few(kernel.MACHINE, ("write", "ppoll"))
    wrapped = made.place(struct.pack("<H6xQ", len(program) // 8, 0), {8: made.place(program)})
    made.add("prctl", kernel.PR_SET_SECCOMP, kernel.SECCOMP_MODE_FILTER, wrapped, what="the filter")
