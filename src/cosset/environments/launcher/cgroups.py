"""Control groups: one an environment, in each hierarchy that carries controllers (hierarchies.py).

Named after the data folder, so that a later launcher knows whose they are. Moving a process takes milliseconds after
idling (an RCU grace period): so no environment is moved. Read next: cells.py.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cosset.environments.launcher.control_files import write, write_if_there
from cosset.environments.launcher.hierarchies import FREEZER, Hierarchy, prepare

MAX_PROCESSES = 1024
FULL_CPU_MB = 1769
"""Memory at which AWS gives one vCPU."""
CPU_PERIOD_US = 20_000
FREEZE = {1: b"FROZEN", 2: b"1"}
THAW = {1: b"THAWED", 2: b"0"}
"""What to write to a freezer's descriptor, by version."""
_FREEZER_FILES = {1: "freezer.state", 2: "cgroup.freeze"}
_MIN_QUOTA_US = 1_000
_MIN_SHARES = 2
_LEAST_SOCKETS_MB = 32
_SOCKETS_PART = 4
"""In version 1 sockets may hold a quarter of the memory, on top of it."""
_REMOVAL_WAIT_S = 2.0


class Cgroup:
    """The groups of one environment, one in each hierarchy: folders by controller. Empty when the host gives none."""

    def __init__(self, folders: Mapping[str, Path | str], versions: dict[str, int]) -> None:
        self._folders = {name: str(folder) for name, folder in folders.items()}
        self._versions = versions
        self._has_process_limit = self._has_period = False

    def open_gates(self) -> list[int]:
        """Of version 1: by writing `0` to each a process with one thread enters by itself, which waits for nobody."""
        folders = {folder for name, folder in self._folders.items() if self._versions[name] == 1}
        return [os.open(f"{folder}/tasks", os.O_WRONLY | os.O_CLOEXEC) for folder in folders]

    def open_folder(self) -> int | None:
        """Of version 2: for a process to be forked into."""
        for name, folder in self._folders.items():
            if self._versions[name] == 2:
                return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return None

    def attach(self, pid: int) -> None:
        """Of version 2, one that could not be forked into it: takes milliseconds."""
        for folder in {folder for name, folder in self._folders.items() if self._versions[name] == 2}:
            write(f"{folder}/cgroup.procs", str(pid))

    def hold_back(self) -> None:
        """A tenth of the CPU's usual share, until `limit`: what is prepared for later is to disturb nobody. What is the
        same for all is written now, too."""
        self._limit_processes()
        if folder := self._folders.get("cpu"):
            if self._versions["cpu"] == 1:
                write(f"{folder}/cpu.shares", "102")
                write_if_there(f"{folder}/cpu.cfs_period_us", str(CPU_PERIOD_US))
                self._has_period = True
            else:
                write(f"{folder}/cpu.weight", "10")

    def limit(self, memory_mb: int) -> None:
        """Memory and the number of processes, hard; CPU as a share until `throttle`."""
        size = str(memory_mb * 1024 * 1024)
        if folder := self._folders.get("memory"):
            if self._versions["memory"] == 1:
                write(f"{folder}/memory.limit_in_bytes", size)
                write_if_there(f"{folder}/memory.memsw.limit_in_bytes", size)
                # What waits in sockets is counted apart there, and without a limit it is not counted at all.
                sockets = max(_LEAST_SOCKETS_MB, memory_mb // _SOCKETS_PART) * 1024 * 1024
                write_if_there(f"{folder}/memory.kmem.tcp.limit_in_bytes", str(sockets))
            else:
                write(f"{folder}/memory.max", size)
                write_if_there(f"{folder}/memory.swap.max", "0")
        self._limit_processes()
        if folder := self._folders.get("cpu"):
            share = max(_MIN_SHARES, 1024 * memory_mb // FULL_CPU_MB)
            if self._versions["cpu"] == 1:
                write(f"{folder}/cpu.shares", str(share))
            else:
                write(f"{folder}/cpu.weight", str(min(10_000, max(1, 100 * memory_mb // FULL_CPU_MB))))

    def _limit_processes(self) -> None:
        if not self._has_process_limit and (folder := self._folders.get("pids")):
            write(f"{folder}/pids.max", str(MAX_PROCESSES))
            self._has_process_limit = True

    def throttle(self, memory_mb: int) -> None:
        """CPU as a quota in proportion to memory, as on AWS, which gives a full share only to Init."""
        if folder := self._folders.get("cpu"):
            quota_us = max(_MIN_QUOTA_US, CPU_PERIOD_US * memory_mb // FULL_CPU_MB)
            # Refused where a quota above ours is smaller: then that one holds.
            if self._versions["cpu"] == 1:
                if not self._has_period:
                    write_if_there(f"{folder}/cpu.cfs_period_us", str(CPU_PERIOD_US))
                write_if_there(f"{folder}/cpu.cfs_quota_us", str(quota_us))
            else:
                write_if_there(f"{folder}/cpu.max", f"{quota_us} {CPU_PERIOD_US}")

    def unthrottle(self) -> None:
        """Before a kill: a thousand processes under a quota, or with a small share, would take minutes to die."""
        if folder := self._folders.get("cpu"):
            _unthrottle(folder)
            name = "cpu.shares" if self._versions["cpu"] == 1 else "cpu.weight"
            write_if_there(f"{folder}/{name}", "1000")

    def open_freezer(self) -> tuple[int, int] | None:
        """A descriptor to write to (FREEZE, THAW), and the version; None where nothing can be frozen."""
        if folder := self._folders.get(FREEZER):
            version = self._versions[FREEZER]
            try:
                return os.open(f"{folder}/{_FREEZER_FILES[version]}", os.O_WRONLY | os.O_CLOEXEC), version
            except OSError:
                return None  # cgroup.freeze came with Linux 5.2
        return None

    def thaw(self) -> None:
        """Before a kill: version 1 kills nothing that is frozen."""
        if (folder := self._folders.get(FREEZER)) and self._versions[FREEZER] == 1:
            thaw_group(folder)

    def open_peak(self) -> int | None:
        """A descriptor from which the peak of the memory in bytes can be read at any time, at offset 0."""
        if folder := self._folders.get("memory"):
            name = "memory.max_usage_in_bytes" if self._versions["memory"] == 1 else "memory.peak"
            try:
                return os.open(f"{folder}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return None  # memory.peak came with Linux 5.19
        return None

    def peak_bytes(self) -> int | None:
        """The last word on it, before the groups are removed."""
        fd = self.open_peak()
        if fd is None:
            return None
        try:
            return int(os.pread(fd, 32, 0))
        except OSError:
            return None
        finally:
            os.close(fd)

    def had_oom(self) -> bool:
        """Whether the kernel has killed something in here for want of memory."""
        if folder := self._folders.get("memory"):
            name = "memory.oom_control" if self._versions["memory"] == 1 else "memory.events"
            try:
                pairs = (line.split() for line in Path(folder, name).read_text().splitlines())
                return any(pair[0] == "oom_kill" and pair[1] != "0" for pair in pairs)
            except OSError:
                return False
        return False

    def remove(self) -> bool:
        """Removes the groups, which must be empty of processes. False: not all would go yet; try again."""
        left = [folder for folder in set(self._folders.values()) if not _remove(folder)]
        return not left


class Cgroups:
    """Makes the groups of one launcher.

    Args:
        name: of the group above all of this launcher's, the same for every launcher of one data folder.
    """

    def __init__(self, hierarchies: tuple[Hierarchy, ...], name: str) -> None:
        prepared = (prepare(hierarchy, hierarchy.parent / name) for hierarchy in hierarchies)
        made = [hierarchy for hierarchy in prepared if hierarchy is not None]
        self._hierarchies = tuple(made)
        self.folders = tuple(hierarchy.parent / name for hierarchy in made)

    @property
    def controllers(self) -> frozenset[str]:
        return frozenset(name for hierarchy in self._hierarchies for name in hierarchy.controllers)

    def make(self, name: str) -> Cgroup:
        folders: dict[str, str] = {}
        versions: dict[str, int] = {}
        for hierarchy, above in zip(self._hierarchies, self.folders, strict=True):
            folder = f"{above}/{name}"
            os.mkdir(folder)
            for controller in hierarchy.controllers:
                folders[controller] = folder
                versions[controller] = hierarchy.version
        return Cgroup(folders, versions)

    def close(self) -> bool:
        """Whether all went."""
        left = [folder for folder in self.folders if not reap(folder)]
        return not left


def reap(folder: Path, *, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Kills what is in a group and in those right below it, and removes them; whether all went.

    Only ever given groups that a launcher of the same data folder made: whatever is in them is ours."""
    if not folder.is_dir():
        return True
    waited_s = 0.0
    while waited_s < _REMOVAL_WAIT_S:
        groups = [entry for entry in folder.iterdir() if entry.is_dir()]
        for group in (*groups, folder):
            _unthrottle(group)
            thaw_group(group)
            _kill_members(group)
        left = [group for group in groups if not _remove(group)]
        if not left and _remove(folder):
            return True
        sleep(0.01)
        waited_s += 0.01
    return False


def _unthrottle(folder: Path | str) -> None:
    """Whichever version, and whether it has the controller or not."""
    for name, text in (("cpu.cfs_quota_us", "-1"), ("cpu.max", "max")):
        if os.path.exists(f"{folder}/{name}"):
            write_if_there(f"{folder}/{name}", text)


def thaw_group(folder: Path | str) -> None:
    """Of version 1; any other folder is left alone."""
    if os.path.exists(f"{folder}/{_FREEZER_FILES[1]}"):
        write_if_there(f"{folder}/{_FREEZER_FILES[1]}", "THAWED")


def _kill_members(group: Path) -> None:
    try:
        members = (group / "cgroup.procs").read_text().split()
    except OSError:
        return
    for member in members:
        try:
            os.kill(int(member), signal.SIGKILL)
        except ProcessLookupError:
            continue


def _remove(folder: Path | str) -> bool:
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
