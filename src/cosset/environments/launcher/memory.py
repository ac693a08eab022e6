"""How much memory an environment has used, as AWS reports it: what it has itself, and what it shares with the host.

The cgroup counts only what the environment was the first to touch; an interpreter that others use too is paid for by
them. So what is shared is measured once, when it is Ready, and added to the group's peak. Without a cgroup the peak is
that of the runtime's own process. The limit is on the group's figure alone.
"""

import contextlib
import os
from collections.abc import Iterator

_MIB = 1024 * 1024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def is_beyond(init_pid: int, limit_bytes: int) -> bool:
    """Whether the processes of an environment hold more than this, pages that they share counted once. For hosts
    without cgroups, where somebody must look; what no process maps (memfd) is not seen."""
    pids = list(_tree(init_pid))
    if sum(_resident_bytes(pid) for pid in pids) <= limit_bytes:
        return False
    return sum(_proportional_bytes(pid) for pid in pids) > limit_bytes


class MemoryGauge:
    """Owner of `peak_fd`, from which the group's peak can be read; None where there is no group.

    Args:
        pid: of the environment's first process, whose children are the runtime and the extensions; with
            `is_runtime`, of the runtime, which is all there is.
    """

    def __init__(self, pid: int, peak_fd: int | None, *, is_runtime: bool = False) -> None:
        self._pid = pid
        self._is_runtime = is_runtime
        self._peak_fd = peak_fd
        self._runtime_pid: int | None = None
        self._shared_bytes = 0
        self._peak_mb = 0

    def settle(self) -> None:
        """To be called when the environment is Ready."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            measured = [self._pid] if self._is_runtime else _children(self._pid)
            self._runtime_pid = measured[0]
            if self._peak_fd is not None:
                resident_bytes = sum(map(_resident_bytes, measured))
                self._shared_bytes = max(0, resident_bytes - self._group_peak_bytes(self._peak_fd))
        self.peak_mb()

    def peak_mb(self) -> int:
        """Rounded up. The last figure stands when the environment has gone."""
        try:
            if self._peak_fd is not None:
                peak_bytes = int(os.pread(self._peak_fd, 32, 0)) + self._shared_bytes
            else:
                peak_bytes = self._process_peak_bytes()
        except (OSError, ValueError):
            return self._peak_mb
        self._keep(peak_bytes)
        return self._peak_mb

    def close(self, group_peak_bytes: int | None) -> None:
        """The environment has ended, with this peak of its group."""
        if group_peak_bytes is not None:
            self._keep(group_peak_bytes + self._shared_bytes)
        if self._peak_fd is not None:
            os.close(self._peak_fd)
            self._peak_fd = None
        self._runtime_pid = None

    def _keep(self, peak_bytes: int) -> None:
        self._peak_mb = max(self._peak_mb, -(-peak_bytes // _MIB))

    def _group_peak_bytes(self, fd: int) -> int:
        return int(os.pread(fd, 32, 0))

    def _process_peak_bytes(self) -> int:
        if self._runtime_pid is None:
            return 0
        with open(f"/proc/{self._runtime_pid}/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return 0


def _read(path: str) -> bytes:
    """Without a file object of Python's, which would cost more than all else: every start reads twice."""
    fd = os.open(path, os.O_RDONLY)
    try:
        content = b""
        while part := os.read(fd, _PAGE_BYTES):
            content += part
        return content
    finally:
        os.close(fd)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for child in _children(pid):
        yield from _tree(child)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()]
    except OSError:
        return []


def _resident_bytes(pid: int) -> int:
    try:
        return int(_read(f"/proc/{pid}/statm").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def _proportional_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:")), 0)
    except OSError:
        return 0
