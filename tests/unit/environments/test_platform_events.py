"""What extensions are told of Init and of an invocation, in an environment that is new and in one that was reset."""

from typing import Any, cast

import pytest

from cosset.environments.api import Answer, Outcome
from cosset.environments.telemetry.hub import Telemetry
from cosset.environments.telemetry.platform_events import PlatformEvents
from support.clock import ManualClock
from support.written import event_for, spec_for


class Kept:
    """In the place of a hub that somebody listens to."""

    is_wanted = True

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def emit(self, kind: str, record: Any, time_ms: int | None = None) -> None:
        self.events.append((kind, record))


def told(tmp_path: Any, outcome: Outcome, **changes: Any) -> dict[str, Any]:
    """Of an Init of 100 ms and one invocation of 7 ms: the records by their types."""
    kept = Kept()
    events = PlatformEvents(cast(Telemetry, kept), spec_for(tmp_path, **changes), ManualClock())
    events.init_started()
    events.runtime_ready()
    events.init_over(100.0)
    event = event_for()
    events.invoked(event)
    error_type = None if outcome is Outcome.SUCCESS else "Sandbox.Timedout"
    answer = Answer(outcome=outcome, payload=b"1", duration_ms=7.0, max_memory_mb=30, error_type=error_type)
    events.runtime_done(event, answer)
    events.reported(event, answer)
    return dict(kept.events)


def test_a_new_environment_has_an_init_of_its_own(tmp_path: Any) -> None:
    records = told(tmp_path, Outcome.SUCCESS, id="a", instance_id="a")
    assert [records[f"platform.{kind}"]["phase"] for kind in ("initStart", "initRuntimeDone", "initReport")] == [
        "init"
    ] * 3
    assert records["platform.initStart"]["instanceId"] == "a"
    metrics = records["platform.report"]["metrics"]
    assert (metrics["durationMs"], metrics["billedDurationMs"], metrics["initDurationMs"]) == (7.0, 107, 100.0)


def test_after_a_reset_the_init_is_part_of_the_invocation(tmp_path: Any) -> None:
    """AWS's page on the life cycle: events "with phase=invoke whenever suppressed inits occur", and a duration that
    has both."""
    records = told(tmp_path, Outcome.SUCCESS, id="b", instance_id="a", predecessor="a")
    assert [records[f"platform.{kind}"]["phase"] for kind in ("initStart", "initRuntimeDone", "initReport")] == [
        "invoke"
    ] * 3
    assert records["platform.initStart"]["instanceId"] == "a"
    assert records["platform.initReport"]["metrics"] == {"durationMs": 100.0}
    assert records["platform.runtimeDone"]["metrics"]["durationMs"] == 7.0
    metrics = records["platform.report"]["metrics"]
    assert (metrics["durationMs"], metrics["billedDurationMs"]) == (107.0, 107)
    assert "initDurationMs" not in metrics


@pytest.mark.parametrize("predecessor", [None, "a"])
def test_a_timeout_takes_the_functions_time(tmp_path: Any, predecessor: str | None) -> None:
    report = told(tmp_path, Outcome.TIMEOUT, timeout_s=3, predecessor=predecessor)["platform.report"]
    assert (report["status"], report["errorType"]) == ("timeout", "Sandbox.Timedout")
    assert report["metrics"]["durationMs"] == 3000.0
