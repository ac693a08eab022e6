"""Environments prepared before anybody asks: for each spawner as many as have lately been wanted at once.

It may have environments forked, hand them out, and end those that are too many; what becomes of the others is no
concern of this. One is prepared at a time, and none while a start is under way: it would take the CPU of those it is
meant for. Read next: cells.py, which prepares them.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cosset.environments.launcher import images
from cosset.environments.launcher.cell import Cell, Stage
from cosset.environments.launcher.loop import Loop
from cosset.environments.launcher.requests import RootKey

MOST = 128
"""Of one spawner, however many are wanted at once, where the host has memory to spare."""
MOST_WHERE_TIGHT = 8
"""Where it has not."""
SPARE_BYTES = 3 * 1024 * 1024
"""What one of them takes, at most."""
_SHARE = 50
"""Of the memory that is free one part in so many may go into those of one spawner."""
MOST_PROGRAMS = 2
"""Of one whose environments have a whole interpreter of their own, of some 20 MB."""
BURST_S = 2.0
"""What is asked for within this time is wanted at once."""
DELAY_S = 0.05
"""How long after a start the next is prepared."""
KEPT_S = 300.0
"""How long after a burst there are still as many as it wanted, at most: as its own environments idle."""
LOOK_S = 2.0
REST_S = 10.0
"""How often age and pressure are looked at: where a burst has left more than one, and otherwise."""
FORGOTTEN_S = 600.0
"""How long after the last start the last one is kept; a plain Python's always."""
FREE_LOOK_S = 0.2
"""How old what is known of the free memory may be: a burst asks a hundred times."""
MIN_FREE_BYTES = 256 * 1024 * 1024
"""Of the host's memory: below it nothing is kept that nobody has asked for."""


@dataclass(slots=True)
class _Shelf:
    """Of one spawner: its environments, when they were asked for lately, and how many were wanted at once and when."""

    cells: list[Cell] = field(default_factory=list)
    asked_s: deque[float] = field(default_factory=lambda: deque(maxlen=MOST))
    wanted: int = 1
    wanted_s: float = 0.0


class Spares:
    """`fork` begins an environment with a disk of so many MB for /tmp, or raises OSError. `kept_s`: how long those
    of a burst are kept, at most KEPT_S. `is_starting`: whether somebody waits for an environment. `free_bytes`: how
    much memory the host has left."""

    def __init__(
        self,
        loop: Loop,
        fork: Callable[[RootKey, int], Cell],
        *,
        kept_s: float = KEPT_S,
        is_starting: Callable[[], bool] = lambda: False,
        free_bytes: Callable[[], int] = lambda: free_memory_bytes(),
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._fork = fork
        self._kept_s = min(kept_s, KEPT_S)
        self._is_starting = is_starting
        self._free_bytes = free_bytes
        self._seen_free: tuple[float, int] | None = None
        """When, and how much."""
        self._now_s = now_s
        self._shelves: dict[RootKey, _Shelf] = {}
        self._busy_until_s = 0.0
        self._is_filling = False
        self._is_looking = False
        self._is_closed = False

    def take(self, key: RootKey) -> Cell | None:
        """The one that has come farthest, perhaps not to its end yet. None: there is none."""
        shelf = self._shelf(key)
        now_s = self._now_s()
        shelf.asked_s.append(now_s)
        while now_s - shelf.asked_s[0] > BURST_S:
            shelf.asked_s.popleft()
        wanted = min(len(shelf.asked_s), self._most(key))
        if wanted >= shelf.wanted or now_s - shelf.wanted_s > self._kept_s:
            shelf.wanted, shelf.wanted_s = max(wanted, 1), now_s
        while shelf.cells:
            cell = max(shelf.cells, key=lambda each: each.stage)
            shelf.cells.remove(cell)
            if _is_alive(cell) and not cell.has_ended():  # the kernel is asked of this one alone
                return cell
        return None

    def count(self) -> int:
        """How many there are, those that are still being prepared included."""
        return sum(_is_alive(cell) for shelf in self._shelves.values() for cell in shelf.cells)

    def keep(self, key: RootKey, delay_s: float = 0.0) -> None:
        """From now on there is at least one, or soon."""
        if key not in self._shelves:
            self._loop.after(delay_s, lambda: self._begin_shelf(key))

    def _begin_shelf(self, key: RootKey) -> None:
        self._shelf(key)
        self._fill_later(0.0)

    def close(self) -> None:
        """Nothing more is prepared. What is there is for its owner to end."""
        self._is_closed = True

    def started(self) -> None:
        """An environment has just started: it needs the CPU more than those that are prepared."""
        self._fill_later(DELAY_S)

    def prepared(self) -> None:
        """One of these is ready: the next may follow."""
        self._fill_later(0.0)

    # What nobody asks for.

    def _shelf(self, key: RootKey) -> _Shelf:
        if key not in self._shelves:
            self._shelves[key] = _Shelf(wanted_s=self._now_s())
        if not self._is_looking:
            self._is_looking = True
            self._loop.after(min(LOOK_S, self._kept_s), self._look)
        return self._shelves[key]

    def _fill_later(self, delay_s: float) -> None:
        self._busy_until_s = max(self._busy_until_s, self._now_s() + delay_s)
        if not self._is_filling:
            self._is_filling = True
            self._loop.after(delay_s, self._fill)

    def _fill(self) -> None:
        self._is_filling = False
        if self._is_closed:
            return
        left_s = self._busy_until_s - self._now_s()
        if left_s > 0 or self._is_starting():
            self._fill_later(left_s if left_s > 0 else DELAY_S)
            return
        for key, shelf in self._shelves.items():
            self._forget_dead(shelf)
            if any(cell.stage < Stage.PREPARED for cell in shelf.cells):
                return  # it is followed by the next
            if len(shelf.cells) < self._enough(key, shelf) and self._free_bytes() >= MIN_FREE_BYTES:
                try:
                    shelf.cells.append(self._fork(key, images.DEFAULT_MB))
                except OSError:
                    continue  # the next start will say why
                return

    def _look(self) -> None:
        """By age and by pressure: those that are too many go."""
        is_short = self._free_bytes() < MIN_FREE_BYTES
        for key, shelf in self._shelves.items():
            self._forget_dead(shelf)
            if self._now_s() - shelf.wanted_s > self._kept_s:
                shelf.wanted = 1
            enough = 0 if is_short else self._enough(key, shelf)
            while len(shelf.cells) > enough:
                shelf.cells.pop(0).kill()
            if len(shelf.cells) < enough:
                self._fill_later(0.0)
        has_many = any(shelf.wanted > 1 or len(shelf.cells) > 1 for shelf in self._shelves.values())
        self._loop.after(min(LOOK_S if has_many else REST_S, max(LOOK_S, self._kept_s)), self._look)

    def _most(self, key: RootKey) -> int:
        if key.kind != "python":
            return MOST_PROGRAMS
        return max(MOST_WHERE_TIGHT, min(MOST, self._lately_free_bytes() // _SHARE // SPARE_BYTES))

    def _lately_free_bytes(self) -> int:
        now_s = self._now_s()
        if self._seen_free is None or now_s - self._seen_free[0] > FREE_LOOK_S:
            self._seen_free = now_s, self._free_bytes()
        return self._seen_free[1]

    def _enough(self, key: RootKey, shelf: _Shelf) -> int:
        idle_s = self._now_s() - max([shelf.wanted_s, *shelf.asked_s])
        if (key.kind != "python" or key.has_sdk) and idle_s > FORGOTTEN_S:
            return 0
        return shelf.wanted

    def _forget_dead(self, shelf: _Shelf) -> None:
        shelf.cells = [cell for cell in shelf.cells if _is_alive(cell)]


def _is_alive(cell: Cell) -> bool:
    return cell.stage is not Stage.DEAD and not cell.is_killed


def free_memory_bytes(path: Path = Path("/proc/meminfo")) -> int:
    """What the host could still give, as its kernel estimates it."""
    with path.open() as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:")), 0)
