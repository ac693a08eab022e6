"""The launcher's own folder in /run, one a data folder: the lock that keeps a second owner out, and the record of what
to clear away when an owner has died. The server cannot write to it.

A dead owner's processes die with it; what stays are its cgroups, its temporary folders, and, where the kernel was
slow, processes still in those cgroups. Nothing is killed by pid: only by being in a group that we made.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from cosset.environments.launcher import cgroups, egress

_BLOCK = 4096
_BLOCKS = 1024
_KEY = re.compile("[0-9a-f]{16}")
_EGRESS = "egress"
_OLD_SERVER_PATIENCE_S = 5.0
FIRST_SERVER_UID = 1_880_000_000
FIRST_ENVIRONMENT_UID = 1_881_000_000
"""Cosset's own host uids: one of 65,536 for the server of a data folder; above, blocks of 4,096 for environments, one
block a launcher. No distribution gives these out; see docs/decisions/0006-launcher-and-jail.md."""


class OwnerError(Exception):
    """This data folder cannot be owned now; the message says why."""


class RunFolder:
    """Held for the life of the launcher; the locks go with the process, however it ends."""

    def __init__(self, data: Path) -> None:
        base = _base()
        self.key = key_of(data)
        self.path = base / self.key
        self._lock = _lock_of_owner(self.path / "lock", data)
        self.mount_point = self.path / "root"
        self.mount_point.mkdir(exist_ok=True)
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()} {_start_time(os.getpid())}".encode())
        self._base = base
        self._block_lock: int | None = None
        self._block = 0

    def reserve_uids(self) -> int:
        """The first uid of a block that no other launcher on this host has."""
        folder = self._base / "uids"
        folder.mkdir(exist_ok=True)
        for block in range(_BLOCKS):
            self._block_lock = _locked(folder / str(block))
            if self._block_lock is not None:
                self._block = block
                return FIRST_ENVIRONMENT_UID + block * _BLOCK
        raise OwnerError(f"{_BLOCKS} Cossets are running on this host")

    def open_egress(self, allowed: Sequence[str]) -> egress.Egress:
        """After `reserve_uids`. Recorded before it is made, so that whoever finds us dead knows of it.

        Raises: OwnerError.
        """
        (self.path / _EGRESS).touch()
        try:
            return egress.Egress(self.key, self._block, allowed)
        except egress.EgressError as error:
            raise OwnerError(str(error)) from error

    def record(self, groups: tuple[Path, ...]) -> None:
        (self.path / "cgroups.json").write_text(json.dumps([str(group) for group in groups]))

    def reap(self) -> None:
        """Clears away the cgroups of the owner before, and of dead owners of other data folders, which may never see
        another. Their temporary folders stay where their data is."""
        _reap_groups(self.path)
        _reap_egress(self.path)
        for other in self._base.iterdir():
            if other != self.path and _KEY.fullmatch(other.name):
                _reap_owner(other)

    def close(self) -> None:
        """Clears the folder away. The last thing that an owner does."""
        shutil.rmtree(self.path, ignore_errors=True)


def _reap_owner(path: Path) -> None:
    """Nothing, when it is alive: then it has its lock."""
    try:
        lock = _locked(path / "lock")
    except FileNotFoundError:
        return  # somebody else has just done it
    if lock is None:
        return
    try:
        _reap_egress(path)
        if _reap_groups(path):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)


def _reap_egress(path: Path) -> None:
    """The interfaces went with their environments; the rules stay."""
    if (path / _EGRESS).exists():
        egress.remove_rules(path.name)
        (path / _EGRESS).unlink()


def _reap_groups(path: Path) -> bool:
    """Those that the record in this folder names, if they have the name that an owner of it gives; whether all went."""
    try:
        recorded = [Path(group) for group in json.loads((path / "cgroups.json").read_text())]
    except (OSError, ValueError):
        return True
    left = [group for group in recorded if group.name == group_name(path.name) and not cgroups.reap(group)]
    return not left


def key_of(data: Path) -> str:
    """Names everything that a launcher of this (resolved) data folder makes on the host."""
    return hashlib.sha256(os.fsencode(data)).hexdigest()[:16]


def group_name(key: str) -> str:
    return f"cosset-{key}"


def server_uid(data: Path) -> int:
    """The same for the same folder at every start, so that its files need not change hands."""
    return FIRST_SERVER_UID + int(key_of(data)[:4], 16)


def _base() -> Path:
    if os.geteuid() == 0:
        base = Path("/run/cosset")
    elif runtime_dir := os.environ.get("XDG_RUNTIME_DIR"):
        base = Path(runtime_dir) / "cosset"
    else:
        base = Path(f"/tmp/cosset-{os.geteuid()}")
    base.mkdir(mode=0o711, exist_ok=True)
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OwnerError(f"{base} does not belong to us alone: remove it")
    return base


def _locked(path: Path) -> int | None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    try:
        is_current = os.stat(path).st_ino == os.fstat(fd).st_ino
    except FileNotFoundError:
        is_current = False
    if not is_current:  # its owner has just cleared it away
        os.close(fd)
        return _locked(path)
    return fd


def _lock_of_owner(path: Path, data: Path) -> int:
    """The lock is shared by the launcher and its server: after a kill -9 of the one, the other has it for a moment."""
    patience_s = time.monotonic() + _OLD_SERVER_PATIENCE_S
    while True:
        try:
            path.parent.mkdir(exist_ok=True)
            lock = _locked(path)
        except FileNotFoundError:
            lock = None  # a launcher that starts elsewhere took the folder for a dead owner's, and cleared it away
        if lock is not None:
            return lock
        pid, start_time = _recorded_owner(path)
        if time.monotonic() > patience_s or (pid and _start_time(pid) == start_time):
            raise OwnerError(f"another Cosset is running on {data} (pid {pid})")
        time.sleep(0.02)


def _recorded_owner(path: Path) -> tuple[int, str]:
    try:
        pid, _, start_time = path.read_text().partition(" ")
        return int(pid), start_time
    except (OSError, ValueError):
        return 0, ""


def _start_time(pid: int) -> str:
    """Of a running process, in the kernel's ticks: with the pid it names one process and no later one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
