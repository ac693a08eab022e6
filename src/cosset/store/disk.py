"""Watches the space left on the disk, so that a full disk is a refused write and never a broken file."""

import os
from collections.abc import Callable
from pathlib import Path

from cosset.store.errors import DiskFullError


def free_bytes(folder: Path) -> int:
    """Bytes that an ordinary user may still write where `folder` lies. Costs about a microsecond."""
    answer = os.statvfs(folder)
    return answer.f_bavail * answer.f_frsize


def sync_folder(folder: Path) -> None:
    """Make names made, changed or removed in `folder` outlast a power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DiskWatch:
    """Refuses writes below the mark. What is left below it is for finishing and for the owner to move in."""

    def __init__(self, folder: Path, min_free_mb: int, free: Callable[[Path], int] = free_bytes) -> None:
        self._folder = folder
        self._min_free = min_free_mb * 1024 * 1024
        self._free = free

    def check(self, wanted: int = 0) -> None:
        """Raises DiskFullError where writing `wanted` bytes would leave less free than the mark."""
        if self._min_free and self._free(self._folder) - wanted < self._min_free:
            raise DiskFullError(self._folder)
