"""How much of the host's memory all environments of a node may have together.

Counted is what each has used at most so far, not what its function might use: most never come near. What grows beyond
that is seen in the host's free memory, under whose pressure idle environments go. Read next: pool.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SHARE_OF_HOST = 0.75
"""Of what the host, or the control group that Cosset runs in, has; the rest is for Cosset and others."""
STARTING_MB = 48
"""What an environment counts for until it has answered."""
MIN_FREE_SHARE = 0.05
"""Of the host's memory: below it is pressure."""
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """`limit_mb`: for all environments. `min_free_mb`: of the host's."""

    limit_mb: int
    min_free_mb: int
    meminfo: Path = Path("/proc/meminfo")

    @classmethod
    def of_host(cls, limit_mb: int = 0, root: Path = Path("/")) -> "MemoryBudget":
        """`limit_mb` 0: SHARE_OF_HOST."""
        meminfo = root / "proc/meminfo"
        total_mb = min([_meminfo_mb(meminfo, "MemTotal"), *_group_limits_mb(root)])
        return cls(limit_mb or int(total_mb * SHARE_OF_HOST), int(total_mb * MIN_FREE_SHARE), meminfo)

    def missing_mb(self) -> int:
        """How much less than it should be is free; 0 or less: there is no pressure."""
        try:
            return self.min_free_mb - _meminfo_mb(self.meminfo, "MemAvailable")
        except OSError:  # not Linux
            return 0


def _meminfo_mb(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) // 1024
    raise OSError(f"{path} names no {name}")


def _group_limits_mb(root: Path) -> Iterator[int]:
    """Of the groups that this process is in, of either version, and those above."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            mount, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        place = mount / path.lstrip("/")
        for folder in (place, *place.parents):
            if not folder.is_relative_to(mount):
                break
            try:
                text = (folder / name).read_text().strip()
            except OSError:
                continue
            if text.isdecimal() and int(text) < 1 << 60:
                yield int(text) // _MIB
