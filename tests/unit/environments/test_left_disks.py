"""Disks that wait for the environment after a reset: whose they are, how many, how long."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

from cosset.environments.launcher import left_disks
from cosset.environments.launcher.images import Image
from cosset.environments.launcher.left_disks import LeftDisks
from cosset.environments.launcher.loop import Loop
from cosset.environments.launcher.requests import RootKey, Spawn


@dataclass
class Time:
    """A loop and a clock in one."""

    now_s: float = 1000.0
    timers: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def after(self, delay_s: float, callback: Callable[[], object]) -> None:
        self.timers.append((self.now_s + delay_s, callback))

    def pass_(self, seconds: float) -> None:
        self.now_s += seconds
        for timer in [each for each in self.timers if each[0] <= self.now_s]:
            self.timers.remove(timer)
            timer[1]()


def made(kept_s: float = 60.0) -> tuple[LeftDisks, Time, list[str]]:
    time, erased = Time(), list[str]()
    disks = LeftDisks(cast(Loop, time), lambda disk: erased.append(disk.name), kept_s=kept_s, now_s=lambda: time.now_s)
    return disks, time, erased


def request(name: str, predecessor: str | None = None, code: str = "code/a", disk_mb: int = 512) -> Spawn:
    return Spawn(name, RootKey("program"), code, ("layers/a",), 128, disk_mb, {}, ("/x",), (), predecessor=predecessor)


def keep(disks: LeftDisks, name: str, image: Image | None = None) -> None:
    disks.keep(name, request(name), 7, image, f"1-{name}")


def test_the_one_that_names_it_gets_it_once() -> None:
    disks, _, erased = made()
    keep(disks, "a")
    assert disks.take(request("b")) is None
    assert disks.take(request("b", "c")) is None
    assert disks.take(request("b", "a", code="code/other")) is None
    assert disks.take(request("b", "a", disk_mb=1024)) is None
    assert disks.take(replace(request("b", "a"), layers=())) is None
    assert disks.take(replace(request("b", "a"), environment={"AWS_LAMBDA_FUNCTION_NAME": "another"})) is None
    assert disks.has(request("b", "a"))
    taken = disks.take(request("b", "a"))
    assert taken is not None
    assert (taken.slot, taken.folder) == (7, "1-a")
    assert disks.take(request("c", "a")) is None
    assert (len(disks), erased) == (0, [])


def test_each_is_erased_when_its_time_is_up() -> None:
    disks, time, erased = made()
    keep(disks, "a")
    time.pass_(40)
    keep(disks, "b")
    time.pass_(19.5)
    assert erased == []
    time.pass_(0.5)
    assert erased == ["a"]
    time.pass_(40)
    assert erased == ["a", "b"]
    assert time.timers == []
    keep(disks, "c")
    assert disks.take(request("d", "c")) is not None
    time.pass_(100)
    assert (erased, time.timers) == (["a", "b"], [])


def test_no_server_has_them_kept_longer_than_that() -> None:
    disks, time, erased = made(kept_s=1e9)
    keep(disks, "a")
    time.pass_(left_disks.KEPT_S)
    assert erased == ["a"]


def test_there_is_a_bound() -> None:
    disks, _, erased = made()
    for number in range(left_disks.MOST + 2):
        keep(disks, str(number))
    assert (len(disks), erased) == (left_disks.MOST, ["0", "1"])


def test_who_is_kept_twice_is_kept_once() -> None:
    disks, _, erased = made()
    keep(disks, "a")
    keep(disks, "a")
    assert (len(disks), erased) == (1, ["a"])


def test_for_room_the_largest_goes_and_at_the_end_all() -> None:
    class Sized:
        def __init__(self, used: int) -> None:
            self.used = used

        def used_bytes(self) -> int:
            return self.used

    disks, _, erased = made()
    for name, used in {"a": 5, "b": 9, "c": 7}.items():
        keep(disks, name, cast(Image, Sized(used)))
    assert disks.forget_largest()
    assert disks.forget_oldest()
    disks.forget("nobody")
    disks.close()
    assert erased == ["b", "a", "c"]
    assert not disks.forget_largest()
    assert not disks.forget_oldest()
