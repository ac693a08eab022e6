"""The small files by which the kernel takes and gives words: for control groups, whatever their version."""

import os
from pathlib import Path


def write(path: Path | str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def write_if_there(path: Path | str, text: str) -> None:
    """For what is not on every host (swap accounting), or may be refused."""
    try:
        write(path, text)
    except OSError:
        return


def words(path: Path) -> frozenset[str]:
    try:
        return frozenset(path.read_text().split())
    except OSError:
        return frozenset()
