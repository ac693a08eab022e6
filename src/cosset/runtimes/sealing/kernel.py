"""The Linux calls that Python has no names for. Each raises OSError with what it was asked to do.

Refuses nothing by itself: it is the caller who knows what a call is for. Read next: filesystem.py and seal.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import socket
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_NOATIME = 1024
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_RELATIME = 1 << 21
MNT_DETACH = 2

CAP_SYS_PTRACE = 19

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
_PR_CAPBSET_READ = 23
_PR_GET_TID_ADDRESS = 40
SECCOMP_MODE_FILTER = 2

_SYS_CLONE3 = 435
_SYS_CLOSE_RANGE = 436
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
_SYS_ROBUST_LIST = {"x86_64": 273, "aarch64": 99}
"""Its setter; the number of the getter is the next."""
_CLONE_VM = 0x00000100
_CLONE_PIDFD = 0x00001000
_CLONE_VFORK = 0x00004000
_CLONE_CHILD_CLEARTID = 0x00200000
_CLONE_CHILD_SETTID = 0x01000000
_CLONE_INTO_CGROUP = 0x200000000
CAPABILITY_VERSION_3 = 0x20080522

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1

MACHINE = os.uname().machine
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.mmap.restype = ctypes.c_void_p
_holding_libc = ctypes.PyDLL(None, use_errno=True)
"""Calls of it keep the interpreter's lock, as a fork must."""
_holding_libc.syscall.restype = ctypes.c_long


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, "%s: %s" % (what, os.strerror(code)))
    return result


# Made beforehand: every environment drops them all, on the way to its first answer.
_CAPABILITIES = tuple(ctypes.c_ulong(number) for number in range(64))


_CLONE_FIELDS = (
    *("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls"),
    *("set_tid", "set_tid_size", "cgroup"),
)


class _CloneArguments(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in _CLONE_FIELDS]


def fork_init(group_fd: int | None) -> tuple[int, int]:
    """Forks the first process of a new pid namespace; (0, -1) in it, its pid and a pidfd for it here.

    `group_fd`: the folder of a cgroup of version 2, in which it begins: put there later it would take milliseconds.
    For processes of one thread only, and neither the C library nor Python's modules are told: what they would do after
    a fork costs half a millisecond and means nothing to an init. Whatever the child runs that is larger it is to fork
    in the usual way.
    """
    arguments, pidfd = arguments_of_init(group_fd)
    return _clone(arguments), pidfd.value


def arguments_of_init(group_fd: int | None, shares_memory: bool = False) -> tuple[_CloneArguments, ctypes.c_int]:
    """Of clone3, for the first process of a new pid namespace, and where its pidfd will be. `shares_memory`: with this
    process, which stands still until the other has become another program."""
    arguments, pidfd = _clone_arguments(group_fd)
    arguments.flags |= CLONE_NEWPID | (_CLONE_VM | _CLONE_VFORK if shares_memory else 0)
    return arguments, pidfd


def _clone_arguments(group_fd: int | None) -> tuple[_CloneArguments, ctypes.c_int]:
    pidfd = ctypes.c_int(-1)
    arguments = _CloneArguments(flags=_CLONE_PIDFD, pidfd=ctypes.addressof(pidfd), exit_signal=signal.SIGCHLD)
    if group_fd is not None:
        arguments.flags |= _CLONE_INTO_CGROUP
        arguments.cgroup = group_fd
    return arguments, pidfd


def _clone(arguments: _CloneArguments) -> int:
    pid = _holding_libc.syscall(
        ctypes.c_long(_SYS_CLONE3), ctypes.byref(arguments), ctypes.c_size_t(ctypes.sizeof(arguments))
    )
    return _check(pid, "clone3")


class Forks:
    """Forks as `os.fork` does, but into a cgroup of version 2, and with a pidfd: for a process of one thread only.

    What the C library does in a child of one thread is done here: its number and its list of robust locks.

    Raises: OSError, with another C library, or a kernel that does not say where the number is kept.
    """

    def __init__(self) -> None:
        if "CS_GNU_LIBC_VERSION" not in os.confstr_names or not os.confstr("CS_GNU_LIBC_VERSION"):
            raise OSError("another C library than GNU's")
        number = ctypes.c_void_p()
        prctl(_PR_GET_TID_ADDRESS, ctypes.addressof(number))
        self._number_at = number.value or 0
        self._locks, self._locks_bytes = ctypes.c_void_p(), ctypes.c_size_t()
        found = _libc.syscall(
            ctypes.c_long(_SYS_ROBUST_LIST[MACHINE] + 1),
            ctypes.c_int(0),
            ctypes.byref(self._locks),
            ctypes.byref(self._locks_bytes),
        )
        _check(found, "get_robust_list")
        for hook in (ctypes.pythonapi.PyOS_BeforeFork, ctypes.pythonapi.PyOS_AfterFork_Parent):
            hook.restype = None
        ctypes.pythonapi.PyOS_AfterFork_Child.restype = None

    def fork(self, group_fd: int | None) -> tuple[int, int]:
        """(0, -1) in the child; its pid and a pidfd for it here. Raises: OSError."""
        arguments, pidfd = _clone_arguments(group_fd)
        arguments.flags |= _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID
        arguments.child_tid = self._number_at
        ctypes.pythonapi.PyOS_BeforeFork()
        try:
            pid = _clone(arguments)
        except OSError:
            ctypes.pythonapi.PyOS_AfterFork_Parent()
            raise
        if pid:
            ctypes.pythonapi.PyOS_AfterFork_Parent()
            return pid, pidfd.value
        _libc.syscall(ctypes.c_long(_SYS_ROBUST_LIST[MACHINE]), self._locks, self._locks_bytes)
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0, -1


def unshare(flags: int) -> None:
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare(%#x)" % flags)


def enter_namespace(fd: int, kind: int) -> None:
    _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)), "setns")


def map_file(fd: int, length: int, protection: int, flags: int) -> int:
    """The address at which it now lies."""
    address: int | None = _libc.mmap(
        None, ctypes.c_size_t(length), ctypes.c_int(protection), ctypes.c_int(flags), ctypes.c_int(fd), ctypes.c_long(0)
    )
    if address is None or address == ctypes.c_void_p(-1).value:
        _check(-1, "mmap")
    return address or 0


def has_capability(number: int) -> bool:
    """Whether this process has it in force."""
    with open("/proc/self/status", "rb") as file:  # no codec: a spawner may have none to load any more
        effective = next(line for line in file if line.startswith(b"CapEff:"))
    return bool(int(effective.split()[1], 16) >> number & 1)


def last_capability() -> int:
    """The highest that this kernel knows."""
    number = 0
    while _libc.prctl(ctypes.c_int(_PR_CAPBSET_READ), ctypes.c_ulong(number + 1)) >= 0:
        number += 1
    return number


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, options: str = "") -> None:
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode() if options else None,
    )
    _check(result, "mount %s on %s" % (source, target))


def unmount(target: str) -> None:
    """Takes the mount out of the tree at once; it ends when its last user does."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), "unmount %s" % target)


def unmount_now(target: str) -> None:
    """Returns when everything is written; fails when somebody uses it."""
    _check(_libc.umount2(os.fsencode(target), 0), "unmount %s" % target)


def pivot_root(new_root: str, put_old: str) -> None:
    number = _SYS_PIVOT_ROOT[MACHINE]
    _check(_libc.syscall(ctypes.c_long(number), os.fsencode(new_root), os.fsencode(put_old)), "pivot_root " + new_root)


def prctl(option: int, second: int = 0, third: int = 0) -> None:
    result = _libc.prctl(
        ctypes.c_int(option), ctypes.c_ulong(second), ctypes.c_ulong(third), ctypes.c_ulong(0), ctypes.c_ulong(0)
    )
    _check(result, "prctl(%d, %d)" % (option, second))


def die_with_parent(signal_number: int) -> None:
    """The kernel sends the signal when the parent ends. A change of credentials undoes this."""
    prctl(PR_SET_PDEATHSIG, signal_number)


def drop_bounding_set() -> None:
    """No program that this process ever starts can gain a capability. Takes one itself: to be done before they go."""
    drop = _libc.prctl
    option, zero = ctypes.c_int(PR_CAPBSET_DROP), ctypes.c_ulong(0)
    for capability in _CAPABILITIES:
        if drop(option, capability, zero, zero, zero) < 0:
            if ctypes.get_errno() == errno.EINVAL:
                return  # past the last one that this kernel knows
            _check(-1, "prctl(%d, %d)" % (PR_CAPBSET_DROP, capability.value))


def drop_capabilities() -> None:
    """Gives up every capability: with a single-uid map a change of uid drops none of them."""
    with contextlib.suppress(OSError):  # kernels before 4.3 have none
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    _check(_libc.syscall(ctypes.c_long(_SYS_CAPSET[MACHINE]), header, bytes(24)), "capset")


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def install_filter(program: bytes) -> None:
    """Puts a seccomp program (packed sock_filter instructions) on this process, for good."""
    wrapped = _FilterProgram(len(program) // 8, program)
    result = _libc.prctl(
        ctypes.c_int(PR_SET_SECCOMP),
        ctypes.c_ulong(SECCOMP_MODE_FILTER),
        ctypes.byref(wrapped),
        ctypes.c_ulong(0),
        ctypes.c_ulong(0),
    )
    _check(result, "seccomp filter")


def close_fds_from(first: int) -> None:
    """Closes every descriptor from `first` on."""
    last = ctypes.c_uint(0xFFFFFFFF)
    if _libc.syscall(ctypes.c_long(_SYS_CLOSE_RANGE), ctypes.c_uint(first), last, ctypes.c_uint(0)) < 0:
        for name in os.listdir("/proc/self/fd"):  # kernels before 5.9
            if int(name) >= first:
                with contextlib.suppress(OSError):
                    os.close(int(name))


def raise_loopback() -> None:
    """Brings `lo` up in this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sH22x", b"lo", 0)
        flags = struct.unpack_from("H", fcntl.ioctl(probe, _SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))
