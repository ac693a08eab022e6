"""What nobody asks the launcher for: ends who takes the disk or the memory of others, removes what the dead leave.

It may kill environments and remove their groups, images and folders; it starts nothing, and talks to nobody. The
kernel caps memory by cgroup and /tmp by image; here is what it does not. Read next: cells.py, which calls it;
images.py, scratch.py, cgroups.py, memory.py.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping

from cosset.environments.launcher import memory
from cosset.environments.launcher.cell import Cell, Stage
from cosset.environments.launcher.images import Images
from cosset.environments.launcher.loop import Loop
from cosset.environments.launcher.scratch import Scratch

MEMORY_LOOK_S = 0.1
"""How often memory is looked at where no cgroup caps it."""
DISK_LOOK_S = 0.1
_LONGEST_DISK_LOOK_S = 30.0
DISK_BYTES_A_SECOND = 2 << 30
"""How fast a disk may fill: how long it may go unwatched."""
_REMOVAL_PATIENCE_S = 5.0
_FIRST_REMOVAL_DELAY_S = 0.001
_LONGEST_REMOVAL_DELAY_S = 0.1


class Upkeep:
    """Of all environments of one launcher.

    Args:
        cells: those that are not yet cleared away, by name: a view of what their owner keeps.
        min_free_bytes: of the data disk; when what environments write to /tmp goes beyond, the largest is ended.
        make_room: erases a disk that no environment has; False: there is none.
    """

    def __init__(
        self,
        loop: Loop,
        cells: Mapping[str, Cell],
        images: Images,
        scratch: Scratch,
        min_free_bytes: int,
        make_room: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._cells = cells
        self._images = images
        self._scratch = scratch
        self._min_free_bytes = min_free_bytes
        self._make_room = make_room
        self._erasing = 0
        self._is_watching_disk = False

    def watch_memory(self, cell: Cell) -> None:
        """For hosts without cgroups, once the environment has started and until it ends."""
        self._loop.after(MEMORY_LOOK_S, lambda: self._look_at_memory(cell))

    def watch_disk(self) -> None:
        """Until there is no environment any more. Idempotent."""
        if not self._is_watching_disk:
            self._is_watching_disk = True
            self._loop.after(DISK_LOOK_S, self._look_at_disk)

    def remove(self, cell: Cell, gone: Callable[[Cell], None]) -> None:
        """Clears away the groups and the disk of an environment that is dead, and then says that it has gone. A disk
        that is to be kept is then on no device any more, unless somebody holds it by force."""
        self._remove(cell, gone, time.monotonic() + _REMOVAL_PATIENCE_S, _FIRST_REMOVAL_DELAY_S)

    def _look_at_memory(self, cell: Cell) -> None:
        if cell.stage is not Stage.STARTED or cell.request is None:
            return
        if memory.is_beyond(cell.pid, cell.request.memory_mb * 1024 * 1024):
            cell.is_oom = True
            cell.kill()
            return
        self.watch_memory(cell)

    def _look_at_disk(self) -> None:
        """Images are sparse: together they may promise more than there is. Nobody else's writes are to fail of it."""
        spare_bytes = self._images.free_bytes() - self._min_free_bytes
        if spare_bytes < 0 and not self._make_room():
            self._end_largest()
        if not self._cells:
            self._is_watching_disk = False
            return
        delay_s = min(max(spare_bytes / DISK_BYTES_A_SECOND, DISK_LOOK_S), _LONGEST_DISK_LOOK_S)
        self._loop.after(delay_s, self._look_at_disk)

    def _end_largest(self) -> None:
        cells = [cell for cell in self._cells.values() if cell.image is not None and cell.stage is Stage.STARTED]
        if not cells:
            return
        largest = max(cells, key=Cell.disk_used_bytes)
        used_mb = largest.disk_used_bytes() // (1024 * 1024)
        if used_mb and not largest.is_killed:
            assert largest.request is not None
            sys.stderr.write(f"cosset: the disk is full: ended {largest.request.id}, with {used_mb} MB in /tmp\n")
            largest.keeps_disk = False
            largest.kill()

    def _remove(self, cell: Cell, gone: Callable[[Cell], None], patience_s: float, delay_s: float) -> None:
        def again() -> None:
            self._remove(cell, gone, patience_s, min(delay_s * 2, _LONGEST_REMOVAL_DELAY_S))

        if not cell.cgroup.remove():
            if time.monotonic() < patience_s:
                self._loop.after(delay_s, again)
                return
            sys.stderr.write(f"cosset: cgroup {cell.name} stays until the next start\n")
        if cell.image is None:
            if cell.keeps_disk:
                gone(cell)
            else:
                self.erase_folder(cell.name, lambda: gone(cell))
            return
        if cell.keeps_disk:
            cell.image.let_go_of_loop()
        else:
            cell.image.release()
        if not cell.image.is_detached() and time.monotonic() < patience_s:
            self._loop.after(delay_s, again)
        else:
            gone(cell)

    @property
    def is_erasing(self) -> bool:
        """There are folders that are not yet gone."""
        return self._erasing > 0

    def erase_folder(self, name: str, gone: Callable[[], None]) -> None:
        eraser = self._scratch.erase(name)
        if eraser is None:
            gone()
            return
        self._erasing += 1
        pidfd = os.pidfd_open(eraser)

        def erased() -> None:
            self._loop.unwatch(pidfd)
            os.close(pidfd)
            os.waitpid(eraser, 0)
            self._erasing -= 1
            gone()

        self._loop.watch(pidfd, erased)
