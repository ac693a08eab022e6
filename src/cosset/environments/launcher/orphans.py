"""Buries what a spawner that has died leaves: the processes of its environments become the launcher's own.

The first process of a pid namespace does not end before all others in there are buried, and who should do it may be a
container's first process that buries nobody. It kills nothing, and leaves to whoever waits for them the children that
the launcher itself has forked. Read next: spawners.py, which calls it.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from cosset.environments.launcher.cell import Cell, Stage
from cosset.environments.launcher.loop import Loop
from cosset.runtimes.sealing import kernel

_FIRST_DELAY_S = 0.01
_LONGEST_DELAY_S = 1.0


def adopt() -> None:
    """From now on what a descendant leaves comes to this process."""
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)


def bury(loop: Loop, cells: Sequence[Cell], delay_s: float = _FIRST_DELAY_S) -> None:
    """All that have ended, now and again until these environments are dead."""
    while (ended := _next_ended()) is not None and _is_of_an_environment(ended):
        os.waitpid(ended, 0)
    left = [cell for cell in cells if cell.stage is not Stage.DEAD]
    if left:
        loop.after(delay_s, lambda: bury(loop, left, min(delay_s * 2, _LONGEST_DELAY_S)))


def _next_ended() -> int | None:
    """It stays to be buried."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if found is None else found.si_pid


def _is_of_an_environment(pid: int) -> bool:
    """It has a pid of its own in a namespace below ours."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return len(line.split()) > 2
    return False
