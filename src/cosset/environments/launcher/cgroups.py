"""Control groups, version 1 or 2, whichever carries the controllers on this host: one group an environment.

Version 1: groups are made below the launcher's own. Version 2 hands controllers down only from a group without
processes: from the top, which root may ask for what it lacks, or from one that was delegated to us, whose processes
move to a leaf first. Named after the data folder, so that a later launcher knows whose they are. Moving a process takes
milliseconds after idling (an RCU grace period): so no environment is moved. Read next: cells.py.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

CONTROLLERS = ("memory", "pids", "cpu")
FREEZER = "freezer"
"""Stands for the file `cgroup.freeze` in version 2, where every group has it, no controller needed."""
MAX_PROCESSES = 1024
FULL_CPU_MB = 1769
"""Memory at which AWS gives one vCPU."""
CPU_PERIOD_US = 20_000
_VERSION_1 = frozenset((*CONTROLLERS, FREEZER))
_LEAF = "cosset-outside"
"""Of a delegated group of version 2: where what was in it goes, Cosset's own processes included."""
_DELEGATION_MARKS = ("user.delegate", "trusted.delegate")
"""What systemd marks a group with that it has given away (`Delegate=yes`)."""
_MOVES = 20
_MIN_QUOTA_US = 1_000
_MIN_SHARES = 2
_LEAST_SOCKETS_MB = 32
_SOCKETS_PART = 4
"""In version 1 sockets may hold a quarter of the memory, on top of it."""
_REMOVAL_WAIT_S = 2.0


_FREEZER_FILES = {1: "freezer.state", 2: "cgroup.freeze"}
FREEZE = {1: b"FROZEN", 2: b"1"}
THAW = {1: b"THAWED", 2: b"0"}
"""What to write to a freezer's descriptor, by version."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted hierarchy: the folder of the launcher's own group in it, and which controllers it carries."""

    version: int
    parent: Path
    controllers: frozenset[str]


def detect(root: Path = Path("/proc/self")) -> tuple[Hierarchy, ...]:
    """The hierarchies where this process may make groups that limit something."""
    found = []
    for version, controllers, mount, mounted_root in _mounts((root / "mountinfo").read_text()):
        own = _own_group((root / "cgroup").read_text(), version, controllers)
        if own is None:
            continue
        parent = mount / os.path.relpath(own, mounted_root) if own.startswith(mounted_root) else mount
        if version == 2:
            parent = _parent_of_unified(mount, parent)
            controllers = _available(parent) | {FREEZER}
        if controllers and os.access(parent, os.W_OK):
            found.append(Hierarchy(version, parent, controllers))
    return _with_one_freezer(found)


def _parent_of_unified(mount: Path, own: Path) -> Path:
    """The group that was delegated to us, be it to a unit, be it to this container as its top; else the mount's top."""
    if own.name == _LEAF:
        own = own.parent
    return own if _is_delegated(own) else mount


def _is_delegated(group: Path) -> bool:
    for name in _DELEGATION_MARKS:
        try:
            if os.getxattr(group, name) == b"1":
                return True
        except OSError:
            continue
    return False


def _is_top(group: Path) -> bool:
    """Of the host: the one group that may have processes and hand down."""
    return not (group / "cgroup.events").exists()


def _available(group: Path) -> frozenset[str]:
    """Which controllers groups below this one have, or would have if it was asked."""
    if not os.access(group / "cgroup.subtree_control", os.W_OK):
        return _handed_down(group)
    return _handed_down(group) | _words(group / "cgroup.controllers") & frozenset(CONTROLLERS)


def _handed_down(group: Path) -> frozenset[str]:
    return _words(group / "cgroup.subtree_control") & frozenset(CONTROLLERS)


def _words(path: Path) -> frozenset[str]:
    try:
        return frozenset(path.read_text().split())
    except OSError:
        return frozenset()


def _with_one_freezer(found: list[Hierarchy]) -> tuple[Hierarchy, ...]:
    """Version 2's where there are two: what it has frozen can be killed, and it costs less."""
    if any(each.version == 2 for each in found):
        found = [
            each if each.version == 2 else replace(each, controllers=each.controllers - {FREEZER}) for each in found
        ]
    return tuple(each for each in found if each.controllers)


def _mounts(text: str) -> list[tuple[int, frozenset[str], Path, str]]:
    """(version, controllers, mount point, root of the mount) of every cgroup mount in a mountinfo text."""
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, kinds = left.split(), right.split()
        if kinds and kinds[0] == "cgroup2":
            found.append((2, frozenset[str](), Path(fields[4]), fields[3]))
        elif kinds and kinds[0] == "cgroup":
            found.append((1, frozenset(kinds[2].split(",")) & _VERSION_1, Path(fields[4]), fields[3]))
    return found


def _own_group(text: str, version: int, controllers: frozenset[str]) -> str | None:
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        if (version == 2 and not names) or (version == 1 and controllers & set(names.split(","))):
            return path
    return None


class Cgroup:
    """The groups of one environment, one in each hierarchy: folders by controller. Empty when the host gives none."""

    def __init__(self, folders: Mapping[str, Path | str], versions: dict[str, int]) -> None:
        self._folders = {name: str(folder) for name, folder in folders.items()}
        self._versions = versions

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
            _write(f"{folder}/cgroup.procs", str(pid))

    def hold_back(self) -> None:
        """A tenth of the CPU's usual share, until `limit`: what is prepared for later is to disturb nobody."""
        if folder := self._folders.get("cpu"):
            if self._versions["cpu"] == 1:
                _write(f"{folder}/cpu.shares", "102")
            else:
                _write(f"{folder}/cpu.weight", "10")

    def limit(self, memory_mb: int) -> None:
        """Memory and the number of processes, hard; CPU as a share until `throttle`."""
        size = str(memory_mb * 1024 * 1024)
        if folder := self._folders.get("memory"):
            if self._versions["memory"] == 1:
                _write(f"{folder}/memory.limit_in_bytes", size)
                _write_if_there(f"{folder}/memory.memsw.limit_in_bytes", size)
                # What waits in sockets is counted apart there, and without a limit it is not counted at all.
                sockets = max(_LEAST_SOCKETS_MB, memory_mb // _SOCKETS_PART) * 1024 * 1024
                _write_if_there(f"{folder}/memory.kmem.tcp.limit_in_bytes", str(sockets))
            else:
                _write(f"{folder}/memory.max", size)
                _write_if_there(f"{folder}/memory.swap.max", "0")
        if folder := self._folders.get("pids"):
            _write(f"{folder}/pids.max", str(MAX_PROCESSES))
        if folder := self._folders.get("cpu"):
            share = max(_MIN_SHARES, 1024 * memory_mb // FULL_CPU_MB)
            if self._versions["cpu"] == 1:
                _write(f"{folder}/cpu.shares", str(share))
            else:
                _write(f"{folder}/cpu.weight", str(min(10_000, max(1, 100 * memory_mb // FULL_CPU_MB))))

    def throttle(self, memory_mb: int) -> None:
        """CPU as a quota in proportion to memory, as on AWS, which gives a full share only to Init."""
        if folder := self._folders.get("cpu"):
            quota_us = max(_MIN_QUOTA_US, CPU_PERIOD_US * memory_mb // FULL_CPU_MB)
            # Refused where a quota above ours is smaller: then that one holds.
            if self._versions["cpu"] == 1:
                _write_if_there(f"{folder}/cpu.cfs_period_us", str(CPU_PERIOD_US))
                _write_if_there(f"{folder}/cpu.cfs_quota_us", str(quota_us))
            else:
                _write_if_there(f"{folder}/cpu.max", f"{quota_us} {CPU_PERIOD_US}")

    def unthrottle(self) -> None:
        """Before a kill: a thousand processes under a quota, or with a small share, would take minutes to die."""
        if folder := self._folders.get("cpu"):
            _unthrottle(folder)
            name = "cpu.shares" if self._versions["cpu"] == 1 else "cpu.weight"
            _write_if_there(f"{folder}/{name}", "1000")

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
        begun = (_begin(hierarchy, hierarchy.parent / name) for hierarchy in hierarchies)
        made = [hierarchy for hierarchy in begun if hierarchy is not None]
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


def _begin(hierarchy: Hierarchy, folder: Path) -> Hierarchy | None:
    """With the controllers that it turns out to have. None: it is not ours to make, as without root. `doctor` says what
    that costs."""
    try:
        folder.mkdir(exist_ok=True)
        if hierarchy.version == 2:
            wanted = hierarchy.controllers - {FREEZER}
            had = _hand_down(hierarchy.parent, wanted)
            _write(folder / "cgroup.subtree_control", " ".join(f"+{name}" for name in sorted(had)))
            return replace(hierarchy, controllers=hierarchy.controllers - wanted | had)
    except OSError:
        return None
    return hierarchy


def _hand_down(group: Path, wanted: frozenset[str]) -> frozenset[str]:
    """Asks a group of version 2 to hand these down; which of them it does now."""
    if not wanted <= _handed_down(group):
        if not _is_top(group):
            _clear(group)
        for name in sorted(wanted - _handed_down(group)):
            _write_if_there(group / "cgroup.subtree_control", f"+{name}")
    return wanted & _handed_down(group)


def _clear(group: Path) -> None:
    """Moves its processes into a leaf: what is delegated is ours to divide. Several times, as they may fork."""
    try:
        (group / _LEAF).mkdir(exist_ok=True)
        for _ in range(_MOVES):
            members = (group / "cgroup.procs").read_text().split()
            if not members:
                return
            for member in members:
                _write_if_there(group / _LEAF / "cgroup.procs", member)
    except OSError:
        return  # what it hands down tells


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
            _write_if_there(f"{folder}/{name}", text)


def thaw_group(folder: Path | str) -> None:
    """Of version 1; any other folder is left alone."""
    if os.path.exists(f"{folder}/{_FREEZER_FILES[1]}"):
        _write_if_there(f"{folder}/{_FREEZER_FILES[1]}", "THAWED")


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


def _write(path: Path | str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _write_if_there(path: Path | str, text: str) -> None:
    """For what is not on every host (swap accounting), or may be refused."""
    try:
        _write(path, text)
    except OSError:
        return
