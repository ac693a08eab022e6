"""Which environments come back after a reset, and which are forgotten."""

from dataclasses import replace
from typing import cast

from cosset.environments.pool import PoolKey
from cosset.identity.principal import Credentials
from cosset.invocation.environment_log import EnvironmentLog
from cosset.invocation.platform_log import InitLog
from cosset.invocation.resets import KEPT_S, MAX_RESETS, Resets
from cosset.invocation.starting import SESSION_S, Planned
from support.clock import ManualClock
from support.environments import spec

KEY = PoolKey("arn", "1", "r")


def planned(name: str = "e1", key: PoolKey = KEY, expires_at_ms: int | None = None) -> Planned:
    given = replace(spec(name), credentials=Credentials("ASIA", "s", "t", expires_at_ms))
    return Planned(key, given, cast(EnvironmentLog, None), cast(InitLog, None))


def test_the_latest_comes_back_first_and_each_once() -> None:
    resets = Resets(ManualClock(), lambda _: None)
    resets.add(planned("first"))
    resets.add(planned("second"))
    taken = [resets.take(KEY), resets.take(KEY), resets.take(KEY)]
    assert [each.spec.id if each else None for each in taken] == ["second", "first", None]
    assert resets.take(PoolKey("arn", "1", "other")) is None


def test_the_old_and_those_whose_credentials_end_are_forgotten() -> None:
    clock, forgotten = ManualClock(), list[str]()
    resets = Resets(clock, forgotten.append)
    resets.add(planned("old"))
    clock.advance(KEPT_S + 1)
    assert resets.take(KEY) is None
    resets.add(planned("ends", expires_at_ms=clock.now_ms() + SESSION_S * 500 - 1000))
    assert resets.take(KEY) is None
    assert forgotten == ["old", "ends"]
    resets.add(planned(expires_at_ms=clock.now_ms() + SESSION_S * 1000))
    assert resets.take(KEY) is not None


def test_they_wait_no_longer_than_idle_ones() -> None:
    clock = ManualClock()
    resets = Resets(clock, lambda _: None, kept_s=10)
    resets.add(planned())
    clock.advance(10.5)
    assert resets.take(KEY) is None


def test_there_is_a_bound() -> None:
    forgotten: list[str] = []
    resets = Resets(ManualClock(), forgotten.append)
    keys = [PoolKey("arn", str(number), "r") for number in range(MAX_RESETS + 1)]
    for key in keys:
        resets.add(planned(key.version, key))
    assert forgotten == ["0"]
    assert resets.take(keys[0]) is None
    assert resets.take(keys[1]) is not None


def test_those_of_the_function_as_it_was_before_are_forgotten() -> None:
    forgotten: list[str] = []
    resets = Resets(ManualClock(), forgotten.append)
    for name, key in {"old": KEY, "other": PoolKey("arn", "2", "r")}.items():
        resets.add(planned(name, key))
    assert resets.take(KEY._replace(revision="new")) is None
    assert forgotten == ["old"]
    assert resets.take(PoolKey("arn", "2", "r")) is not None
    assert resets.take(KEY) is None
