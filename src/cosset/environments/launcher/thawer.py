"""A process that outlives the launcher by a moment, where cgroups are of version 1: what is frozen there cannot die,
and a launcher that was killed thaws nothing any more. Version 2 kills what is frozen, and needs none of this.

It waits for the launcher's end of a pipe to close, and knows nothing but the groups. Read next: cgroups.py.
"""

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from cosset.environments.launcher import cgroups
from cosset.runtimes.sealing import kernel

_ROUNDS = 5
_ROUND_S = 0.1
_PIPE_FD = 3


@dataclass(frozen=True, slots=True)
class Thawer:
    """`pipe` is the launcher's end: it is for nobody else to hold."""

    pid: int
    pipe: int

    def close(self) -> None:
        os.close(self.pipe)
        os.waitpid(self.pid, 0)


def start(folders: Iterable[Path]) -> Thawer | None:
    """None where it is not needed. `folders`: the groups above those of the environments."""
    frozen_in = [folder for folder in folders if (folder / "freezer.state").exists()]
    if not frozen_in:
        return None
    theirs, ours = os.pipe()
    pid = os.fork()
    if pid == 0:
        _outlive(theirs, frozen_in)
    os.close(theirs)
    return Thawer(pid, ours)


def _outlive(pipe: int, folders: list[Path]) -> NoReturn:
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        os.dup2(pipe, _PIPE_FD)
        kernel.close_fds_from(_PIPE_FD + 1)
        os.read(_PIPE_FD, 1)
        for _ in range(_ROUNDS):
            groups = [group for folder in folders if folder.is_dir() for group in folder.iterdir() if group.is_dir()]
            for group in groups:
                cgroups.thaw_group(group)
            if not groups:
                break
            time.sleep(_ROUND_S)
    finally:
        os._exit(0)
