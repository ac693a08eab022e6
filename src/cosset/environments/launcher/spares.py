"""One environment a spawner, prepared before anybody asks: attaching to a cgroup is slow after idling (decision 0006).

It may have environments forked and hand them out; what becomes of them is no concern of this. More of them is the pool
of a later issue. Read next: cells.py, which prepares them.
"""

from collections.abc import Callable

from cosset.environments.launcher import images
from cosset.environments.launcher.cell import Cell, Stage
from cosset.environments.launcher.requests import RootKey


class Spares:
    """`fork` begins an environment with a disk of so many MB for /tmp, or raises OSError."""

    def __init__(self, fork: Callable[[RootKey, int], Cell]) -> None:
        self._fork = fork
        self._cells: dict[RootKey, Cell] = {}

    def take(self, key: RootKey) -> Cell | None:
        """It may not be prepared to its end yet. None: there is none, or it has died."""
        cell = self._cells.pop(key, None)
        return None if cell is None or cell.stage is Stage.DEAD else cell

    def keep(self, key: RootKey) -> None:
        """Makes one, unless there is one."""
        cell = self._cells.get(key)
        if cell is not None and cell.stage is not Stage.DEAD:
            return
        try:
            self._cells[key] = self._fork(key, images.DEFAULT_MB)
        except OSError:
            return  # the next start will say why
