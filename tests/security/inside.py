"""A function that tries every way out of its jail and answers what came of each. Runs inside; read by test_jail.py."""

import ctypes
import os
import platform
import resource
import signal
import socket
import sys

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

# Numbers on (x86_64, aarch64).
_CALLS = {
    "mount": (165, 40, b"none", b"/tmp", b"tmpfs", 0, 0),
    "umount2": (166, 39, b"/proc", 2),
    "pivot_root": (155, 41, b"/tmp", b"/tmp"),
    "move_mount": (429, 429, -1, b"", -1, b"", 0),
    "fsopen": (430, 430, b"tmpfs", 0),
    "unshare user": (272, 97, 0x10000000),
    "unshare mount": (272, 97, 0x00020000),
    "clone user": (56, 220, 0x10000000 | 17, 0, 0, 0, 0),
    "setns": (308, 268, 0, 0),
    "ptrace": (101, 117, 16, 1, 0, 0),
    "process_vm_readv": (310, 270, 1, 0, 0, 0, 0, 0),
    "keyctl": (250, 219, 0, -3, 1),
    "add_key": (248, 217, b"user", b"x", b"y", 1, -3),
    "bpf": (321, 280, 0, 0, 0),
    "perf_event_open": (298, 241, 0, 0, -1, -1, 0),
    "userfaultfd": (323, 282, 0),
    "open_by_handle_at": (304, 265, 0, 0, 0),
    "kexec_load": (246, 104, 0, 0, 0, 0),
    "init_module": (175, 105, 0, 0, 0),
    "swapon": (167, 224, b"/tmp/x", 0),
    "reboot": (169, 142, 0, 0, 0),
    "settimeofday": (164, 170, 0, 0),
    "chroot": (161, 51, b"/tmp"),
    "sethostname": (170, 161, b"x", 1),
    "personality": (135, 92, 0x0040000),
    "seccomp": (317, 277, 0, 0, 0),
}
AWS_FOLDERS = ("/tmp", "/var/task", "/opt", "/var/runtime")
_ABSENT = {"clone3": (435, 435, 0, 0), "io_uring_setup": (425, 425, 1, 0), "not yet invented": (600, 600)}


def handler(event, context):
    return {
        "refused": {name: _call(*call) for name, call in _CALLS.items() if name not in event.get("skip", ())},
        "absent": {name: _call(*call) for name, call in _ABSENT.items()},
        "unreadable": {path: _try(_read, path) for path in event["paths"]},
        "unwritable": {path: _try(open, path, "w") for path in event["targets"]},
        "sockets": {str(family): _try(socket.socket, family, socket.SOCK_RAW) for family in (17, 38, 40)},
        "raw": _try(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "connections": {f"{h}:{p}": _try(socket.create_connection, (h, p), 1) for h, p in event["addresses"]},
        "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
        "init": {name: _try(_read, f"/proc/1/{name}") for name in ("environ", "mem", "maps")},
        "init descriptors": _try(os.listdir, "/proc/1/fd"),
        "kill": [_try(os.kill, 1, number) for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV)],
        "setuid": _try(os.setuid, 0),
        "descriptors": [_target(fd) for fd in sorted(os.listdir("/proc/self/fd"), key=int)],
        "hidden": os.listdir("/.cosset") if os.path.isdir("/.cosset") else None,
        "root home": _tree("/root"),
        "status": dict(line.split(":\t", 1) for line in _read("/proc/self/status").splitlines() if ":\t" in line),
        "ids": [os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups()],
        "ignored": [int(n) for n in (1, 2, 15, 17) if signal.getsignal(n) == signal.SIG_IGN],
        "environment": dict(os.environ),
        "groups": _read("/proc/self/cgroup"),
        "cwd": os.getcwd(),
        "modes": {path: oct(os.stat(path).st_mode & 0o7777) for path in AWS_FOLDERS if os.path.isdir(path)},
        "limits": {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1] for name in event["limits"]},
        "argv": sys.argv,
        "modules": sorted(name for name in sys.modules if name.startswith(("sealing", "client", "cosset"))),
    }


def _call(x86_64, aarch64, *arguments):
    number = x86_64 if platform.machine() == "x86_64" else aarch64
    result = _libc.syscall(ctypes.c_long(number), *arguments)
    return ctypes.get_errno() if result == -1 else f"done: {result}"


def _try(action, *arguments):
    try:
        return f"done: {action(*arguments)!r:.100}"
    except OSError as error:
        return error.errno
    except ValueError as error:
        return type(error).__name__


def _read(path):
    with open(path, "rb") as file:
        return file.read(100_000).decode("utf-8", "replace")


def _target(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}").partition(":")[0]
    except OSError:
        return None


def _tree(path):
    """Every file below it, but for interpreters."""
    found = []
    for place, folders, files in os.walk(path):
        folders[:] = [name for name in folders if not os.path.exists(f"{place}/{name}/bin/python3")]
        found += [f"{place}/{name}" for name in files]
    return found
