"""Where on this host groups can be made that limit something: version 1 or 2, whichever carries the controllers.

Version 1: groups are made below the launcher's own. Version 2 hands controllers down only from a group without
processes: from the top, which root may ask for what it lacks, or from one that was delegated to us, whose processes
move to a leaf first. Decision 0048. Read next: cgroups.py, the groups of environments.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from cosset.environments.launcher.control_files import words, write, write_if_there

CONTROLLERS = ("memory", "pids", "cpu")
FREEZER = "freezer"
"""Stands for the file `cgroup.freeze` in version 2, where every group has it, no controller needed."""
_VERSION_1 = frozenset((*CONTROLLERS, FREEZER))
_LEAF = "cosset-outside"
"""Of a delegated group of version 2: where what was in it goes, Cosset's own processes included."""
_DELEGATION_MARKS = ("user.delegate", "trusted.delegate")
"""What systemd marks a group with that it has given away (`Delegate=yes`)."""
_MOVES = 20


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
    return _handed_down(group) | words(group / "cgroup.controllers") & frozenset(CONTROLLERS)


def _handed_down(group: Path) -> frozenset[str]:
    return words(group / "cgroup.subtree_control") & frozenset(CONTROLLERS)


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


def prepare(hierarchy: Hierarchy, folder: Path) -> Hierarchy | None:
    """Makes a folder for groups. The hierarchy with the controllers that it turns out to have; None: it is not ours to
    make groups in, as without root. `doctor` says what that costs."""
    try:
        folder.mkdir(exist_ok=True)
        if hierarchy.version == 2:
            wanted = hierarchy.controllers - {FREEZER}
            had = _hand_down(hierarchy.parent, wanted)
            write(folder / "cgroup.subtree_control", " ".join(f"+{name}" for name in sorted(had)))
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
            write_if_there(group / "cgroup.subtree_control", f"+{name}")
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
                write_if_there(group / _LEAF / "cgroup.procs", member)
    except OSError:
        return  # what it hands down tells
