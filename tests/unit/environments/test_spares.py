"""How many environments are prepared: as many as were wanted at once, fewer with age, none under pressure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from cosset.environments.launcher import spares
from cosset.environments.launcher.cell import Cell, Stage
from cosset.environments.launcher.requests import RootKey
from cosset.environments.launcher.spares import Spares

PYTHON = RootKey("python", "/usr/bin/python3.11")
NODE = RootKey("program", "/usr/bin/node", standby=(("LANG", "C"),))


@dataclass(eq=False)
class FakeCell:
    stage: Stage = Stage.FORKING
    is_killed: bool = False
    is_gone: bool = False

    def has_ended(self) -> bool:
        return self.is_gone

    def kill(self) -> None:
        self.is_killed, self.stage = True, Stage.DEAD


@dataclass
class Launcher:
    """A loop, a clock and a fork in one: time passes by `run`."""

    now_s: float = 1000.0
    free_bytes: int = 1 << 40
    timers: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    forked: dict[RootKey, list[FakeCell]] = field(default_factory=dict)

    def after(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.timers.append((self.now_s + delay_s, callback))

    def fork(self, key: RootKey, disk_mb: int) -> Cell:
        cell = FakeCell()
        self.forked.setdefault(key, []).append(cell)
        return cast(Cell, cell)

    def run(self, seconds: float, of: Spares | None = None) -> None:
        """What is forked is prepared a moment later."""
        end_s = self.now_s + seconds
        while self.timers and min(due_s for due_s, _ in self.timers) <= end_s:
            timer = min(self.timers, key=lambda timer: timer[0])
            self.timers.remove(timer)
            self.now_s = max(self.now_s, timer[0])
            timer[1]()
            for cells in self.forked.values():
                for cell in cells:
                    if cell.stage is Stage.FORKING:
                        cell.stage = Stage.PREPARED
                        if of is not None:
                            of.prepared()
        self.now_s = end_s

    def waiting(self, key: RootKey) -> int:
        return sum(cell.stage is Stage.PREPARED for cell in self.forked.get(key, []))


def make() -> tuple[Launcher, Spares]:
    host = Launcher()
    kept = Spares(cast(Any, host), host.fork, free_bytes=lambda: host.free_bytes, now_s=lambda: host.now_s)
    return host, kept


def take(host: Launcher, kept: Spares, key: RootKey, count: int) -> int:
    """How many of so many starts at once found one."""
    found = [kept.take(key) for _ in range(count)]
    for cell in found:
        if cell is not None:
            cast(FakeCell, cell).stage = Stage.STARTED
    kept.started()
    return sum(cell is not None for cell in found)


def test_one_is_kept_from_the_beginning() -> None:
    host, kept = make()
    kept.keep(PYTHON)
    host.run(1, kept)
    assert host.waiting(PYTHON) == 1
    assert take(host, kept, PYTHON, 1) == 1
    host.run(1, kept)
    assert host.waiting(PYTHON) == 1


def test_none_is_prepared_while_another_starts() -> None:
    host, kept = make()
    take(host, kept, PYTHON, 1)
    for _ in range(10):
        host.run(spares.DELAY_S / 2, kept)
        kept.started()
        assert host.waiting(PYTHON) == 0
    host.run(spares.DELAY_S * 2, kept)
    assert host.waiting(PYTHON) == 1


def test_a_burst_leaves_as_many_as_it_wanted_until_they_have_aged() -> None:
    host, kept = make()
    assert take(host, kept, PYTHON, 5) == 0
    host.run(spares.BURST_S + 1, kept)
    assert host.waiting(PYTHON) == 5
    assert take(host, kept, PYTHON, 5) == 5
    host.run(spares.BURST_S + 1, kept)
    assert take(host, kept, PYTHON, spares.MOST + 1) == 5
    host.run(1, kept)
    assert host.waiting(PYTHON) == spares.MOST
    host.run(spares.KEPT_S + spares.REST_S + spares.LOOK_S, kept)
    assert host.waiting(PYTHON) == 1


def test_where_memory_is_tight_a_burst_leaves_few() -> None:
    host, kept = make()
    host.free_bytes = 1 << 30
    take(host, kept, PYTHON, 100)
    host.run(1, kept)
    assert host.waiting(PYTHON) == spares.MOST_WHERE_TIGHT


def test_the_last_one_of_a_whole_interpreter_goes_when_nobody_has_asked_for_long() -> None:
    host, kept = make()
    take(host, kept, NODE, 9)
    host.run(1, kept)
    assert host.waiting(NODE) == spares.MOST_PROGRAMS
    host.run(spares.FORGOTTEN_S + 2 * spares.REST_S, kept)
    assert host.waiting(NODE) == 0


def test_want_of_memory_ends_them_all_and_makes_no_new_ones() -> None:
    host, kept = make()
    take(host, kept, PYTHON, 4)
    host.run(1, kept)
    assert host.waiting(PYTHON) == 4
    host.free_bytes = spares.MIN_FREE_BYTES - 1
    host.run(spares.REST_S, kept)
    assert host.waiting(PYTHON) == 0
    take(host, kept, PYTHON, 1)
    host.run(1, kept)
    assert host.waiting(PYTHON) == 0
    host.free_bytes = spares.MIN_FREE_BYTES
    host.run(spares.REST_S, kept)
    assert host.waiting(PYTHON) == 4


def test_one_that_has_died_is_not_handed_out() -> None:
    host, kept = make()
    kept.keep(PYTHON)
    host.run(1, kept)
    host.forked[PYTHON][0].stage = Stage.DEAD
    assert kept.take(PYTHON) is None
    kept.started()
    host.run(1, kept)
    host.forked[PYTHON][1].is_gone = True  # and nobody has heard of it yet
    assert kept.take(PYTHON) is None


def test_nothing_is_prepared_after_the_end() -> None:
    host, kept = make()
    take(host, kept, PYTHON, 3)
    kept.close()
    host.run(1, kept)
    assert host.waiting(PYTHON) == 0


def test_none_is_prepared_while_somebody_waits_for_a_start() -> None:
    launcher = Launcher()
    is_starting = True
    kept = Spares(
        cast(Any, launcher),
        launcher.fork,
        is_starting=lambda: is_starting,
        free_bytes=lambda: launcher.free_bytes,
        now_s=lambda: launcher.now_s,
    )
    kept.keep(PYTHON)
    launcher.run(1.0, kept)
    assert kept.count() == 0
    is_starting = False
    launcher.run(1.0, kept)
    assert kept.count() == 1


def test_one_that_has_ended_unheard_is_not_handed_out() -> None:
    launcher = Launcher()
    kept = Spares(
        cast(Any, launcher), launcher.fork, free_bytes=lambda: launcher.free_bytes, now_s=lambda: launcher.now_s
    )
    for _ in range(3):
        kept.take(PYTHON)
    kept.started()
    launcher.run(1.0, kept)
    first, *others = launcher.forked[PYTHON]
    first.is_gone = True
    assert len(others) == 2
    taken = [kept.take(PYTHON) for _ in range(3)]
    assert [each for each in taken if each is not None] == others
