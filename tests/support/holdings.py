"""What a running server holds of its host, so that a test can say that nothing leaked: counted from outside, by the
kernel's own tables. Linux only."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from cosset.environments.launcher import hierarchies, run_folder
from cosset.testing.server import CossetServer

SETTLE_S = 120.0
_DESCRIPTORS = 11
"""Of the launcher, for one environment that is prepared: its sockets, its pipes, its process and its disk."""


@dataclass(frozen=True)
class Holdings:
    """Counts; equal ones mean that nothing was left."""

    environments: int
    processes: int
    descriptors: int
    """Of the process that parses hostile input, but for its databases: one for each thread that has read."""
    launcher_descriptors: int
    mounts: int
    groups: int
    """Control groups of environments that have no process: prepared ones have."""
    members: int = 0
    """Control groups with processes: environments, and those that wait for a function."""
    spares: int = 0
    """By the launcher's own account: environments that wait for a function, after a burst some more, for a while."""

    def exceeds(self, before: "Holdings") -> list[str]:
        """What there is more of than `before`, by name."""
        more = max(self.spares - before.spares, 0)
        allowed = {"spares": more, "members": more, "processes": more * 3, "launcher_descriptors": more * _DESCRIPTORS}
        pairs = {name: (getattr(before, name), getattr(self, name)) for name in self.__dataclass_fields__}
        return [f"{name}: {old} -> {new}" for name, (old, new) in pairs.items() if new > old + allowed.get(name, 0)]


def holdings(server: CossetServer) -> Holdings:
    pids = server.pids()
    found = groups(server)
    members = sum(_has_members(group) for group in found)
    counts = health(server)["environments"]
    return Holdings(
        environments=counts["alive"],
        processes=len(pids),
        descriptors=len(_open(server_process(server))),
        launcher_descriptors=len(_open(server.pid)),
        mounts=len(Path(f"/proc/{server.pid}/mountinfo").read_text().splitlines()),
        groups=len(found) - members,
        members=members,
        spares=counts["spare"],
    )


def _has_members(group: Path) -> bool:
    try:
        return bool((group / "cgroup.procs").read_text())
    except OSError:
        return False


def settle(server: CossetServer, before: Holdings) -> None:
    """Waits until the server holds no more than it did; fails with what is left. Needs a short `--idle-timeout-s`."""
    until = time.monotonic() + SETTLE_S
    while left := holdings(server).exceeds(before):
        assert time.monotonic() < until, f"leaked: {left}\n{_describe(server)}"
        time.sleep(0.1)


def health(server: CossetServer) -> dict:
    """What GET /_cosset/health says, healthy or not."""
    try:
        with urllib.request.urlopen(server.endpoint + "/_cosset/health", timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as unwell:
        with unwell:
            return json.load(unwell)


def server_process(server: CossetServer) -> int:
    """The process that parses hostile input: the launcher's first child."""
    return server.pids()[1]


def resident_mb(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(fields["VmRSS"].split()[0]) / 1024


def groups(server: CossetServer) -> list[Path]:
    """The control groups of this server's environments, in one of the hierarchies that has them."""
    name = run_folder.group_name(run_folder.key_of(server.data.resolve()))
    for hierarchy in hierarchies.detect():
        folder = hierarchy.parent / name
        if folder.is_dir():
            return [entry for entry in folder.iterdir() if entry.is_dir()]
    return []


def _open(pid: int) -> list[str]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(f"{entry.name} {entry.readlink()}")
        except OSError:  # closed meanwhile
            continue
    return [each for each in found if ".db" not in each]


def _describe(server: CossetServer) -> str:
    lines = []
    for pid in server.pids():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")[:100]
            lines.append(f"{pid} {command!r}")
        except OSError:
            continue
    return "\n".join([*lines, *sorted(_open(server_process(server)))])
