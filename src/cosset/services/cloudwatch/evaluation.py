"""Alarms, evaluated: what the last periods hold against the threshold, missing data as the alarm says.

Looked at are the whole periods that have passed, and two more before them, so that one late value does not make an
alarm forget. Source: CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data", whose table holds.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cosset.clock import Clock
from cosset.observe.causes import CauseRecorder, Unrecorded
from cosset.observe.metrics import MINUTE_S, Distribution, MetricKey
from cosset.services.cloudwatch.alarm_checks import COMPARISONS, PERCENTILE
from cosset.services.cloudwatch.alarm_records import Alarm, Move, all_alarms, move_alarm
from cosset.services.cloudwatch.alarm_rules import read_rule
from cosset.services.cloudwatch.alarm_steps import move_step
from cosset.services.cloudwatch.names import read_dimensions
from cosset.services.cloudwatch.queries import Queries, Stretch
from cosset.services.cloudwatch.series import read_periods
from cosset.services.cloudwatch.statistics import statistic
from cosset.store.database import Store
from cosset.store.metrics import MetricStore
from cosset.store.queue import DurableQueue

logger = logging.getLogger(__name__)

SPARE_PERIODS = 2
LATE_S = 3
"""Values of a period may come this much after its end."""
_ROUNDS = 10
_FORMAT = "%Y-%m-%dT%H:%M:%S.000+0000"
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One period's value; `count` is None for expressions."""

    start_s: int
    value: float
    count: float | None = None


class Evaluator:
    def __init__(
        self,
        store: Store,
        metrics: MetricStore,
        queue: DurableQueue,
        clock: Clock,
        causes: CauseRecorder | None = None,
    ) -> None:
        self._causes = causes or Unrecorded()
        self._store = store
        self._metrics = metrics
        self._queries = Queries(metrics, clock)
        self._queue = queue
        self._clock = clock
        self._done: dict[str, tuple[int, int]] = {}

    async def evaluate_all(self) -> int:
        """Every alarm whose periods have moved on; how many alarms there are."""
        alarms = await self._store.read(all_alarms)
        self._done = {alarm.arn: self._done[alarm.arn] for alarm in alarms if alarm.arn in self._done}
        for alarm in alarms:
            if alarm.is_composite:
                continue
            try:
                await self._evaluate(alarm)
            except Exception:
                # The task boundary of one alarm: the others are evaluated all the same.
                logger.exception("alarm %s cannot be evaluated", alarm.arn)
        if any(alarm.is_composite for alarm in alarms):
            for _ in range(_ROUNDS):
                if not await self._evaluate_composites():
                    break
        return len(alarms)

    async def _evaluate(self, alarm: Alarm) -> None:
        step_s = min(MINUTE_S, alarm.period_s)
        end_s = (self._clock.now_ms() // 1000 - LATE_S) // step_s * step_s
        mark = end_s, alarm.configured_ms
        if self._done.get(alarm.arn) == mark:
            return
        readings = await self._readings(alarm, end_s)
        move = judge(alarm, readings, end_s, self._clock.now_ms())
        if move is not None and move.state != alarm.state:
            await self._move(alarm, move)
        self._done[alarm.arn] = mark

    async def _readings(self, alarm: Alarm, end_s: int) -> list[Reading]:
        """Those that there are, the newest first."""
        settings = alarm.settings
        start_s = end_s - alarm.period_s * (settings["EvaluationPeriods"] + SPARE_PERIODS)
        if "Metrics" in settings:
            stretch = Stretch(alarm.account, alarm.region, start_s, end_s)
            found = await self._queries.run(stretch, settings["Metrics"])
            points = found[0].series.points if found else {}
            return [Reading(at, value) for at, value in sorted(points.items(), reverse=True)]
        key = MetricKey(
            alarm.account,
            alarm.region,
            settings["Namespace"],
            settings["MetricName"],
            read_dimensions(settings.get("Dimensions")),
        )
        periods = await read_periods(self._metrics, key, start_s, end_s, alarm.period_s, settings.get("Unit"))
        name = settings.get("Statistic") or settings["ExtendedStatistic"]
        values = next(iter(periods.by_unit.values()), {})
        readings = [_read(name, at, each) for at, each in sorted(values.items(), reverse=True)]
        return [each for each in readings if each is not None]

    async def _evaluate_composites(self) -> bool:
        """Whether any has moved: others may rest on it."""
        alarms = await self._store.read(all_alarms)
        states = {(each.account, each.region, each.name): each for each in alarms}
        has_moved = False
        for alarm in (each for each in alarms if each.is_composite):
            rule = read_rule(alarm.settings["AlarmRule"])
            children = [states.get((alarm.account, alarm.region, name)) for name in rule.children]
            known = {each.name: each.state for each in children if each is not None}
            state = "ALARM" if rule.holds(known.get) else "OK"
            if state != alarm.state:
                there = [each for each in children if each is not None]
                move = Move(state, _composite_reason(there), _composite_data(there))
                has_moved |= await self._move(alarm, move, there)
        return has_moved

    async def _move(self, alarm: Alarm, move: Move, children: Sequence[Alarm] = ()) -> bool:
        now_ms = self._clock.now_ms()
        has_moved = await self._store.write(lambda tx: move_alarm(tx, self._queue, alarm, move, now_ms))
        if has_moved:
            self._causes.happened(move_step(alarm, move.state, now_ms, children))
        return has_moved


def _read(name: str, at: int, values: Distribution) -> Reading | None:
    value = statistic(name)(values)
    return None if value is None else Reading(at, value, values.count)


def judge(alarm: Alarm, readings: Sequence[Reading], end_s: int, now_ms: int) -> Move | None:
    """The state that the readings (newest first) call for; None: it stays as it is."""
    settings = alarm.settings
    periods = settings["EvaluationPeriods"]
    needed = settings.get("DatapointsToAlarm", periods)
    missing = settings.get("TreatMissingData", "missing")
    looked_at = list(readings[:periods])
    if _has_too_few_samples(alarm, looked_at):
        return None
    compare = _COMPARE[settings["ComparisonOperator"]]
    breaching = [each for each in looked_at if compare(each.value, settings["Threshold"])]
    absent = periods - len(looked_at)
    if len(breaching) >= needed:
        state = "ALARM"
    elif not absent:
        state = "OK"
    elif missing == "breaching":
        state = "ALARM" if len(breaching) + absent >= needed else "OK"
    elif missing == "notBreaching":
        state = "OK"
    elif not looked_at:
        state = "INSUFFICIENT_DATA" if missing == "missing" else alarm.state
    elif len(breaching) < len(looked_at):
        state = "OK"
    else:
        state = "ALARM" if missing == "missing" else alarm.state
    if missing == "ignore" and state == alarm.state:
        return None
    data = _reason_data(alarm, looked_at, end_s, now_ms)
    return Move(state, _reason(alarm, state, looked_at, len(breaching), absent), data)


def _has_too_few_samples(alarm: Alarm, readings: Sequence[Reading]) -> bool:
    """Where the alarm ignores percentiles of a few samples."""
    found = PERCENTILE.fullmatch(alarm.settings.get("ExtendedStatistic", ""))
    if found is None or alarm.settings.get("EvaluateLowSampleCountPercentile") != "ignore" or not readings:
        return False
    share = float(found[1]) / 100
    rarer = 1 - share if share >= 0.5 else share
    return rarer > 0 and any((each.count or 0) < 10 / rarer for each in readings)


def _reason(alarm: Alarm, state: str, readings: Sequence[Reading], breaching: int, absent: int) -> str:
    """Recorded: test_alarm_number_of_messages_sent; the other forms as AWS shows them."""
    settings = alarm.settings
    periods = settings["EvaluationPeriods"]
    if state == "INSUFFICIENT_DATA":
        noun = "datapoint was" if periods == 1 else "datapoints were"
        return f"Insufficient Data: {periods} {noun} unknown."
    if not readings:
        treated = settings.get("TreatMissingData", "missing")
        word = "NonBreaching" if treated == "notBreaching" else "Breaching"
        noun = "period" if periods == 1 else "periods"
        points = "datapoint was" if absent == 1 else "datapoints were"
        return (
            f"Threshold Crossed: no datapoints were received for {periods} {noun} and {absent} missing {points} "
            f"treated as [{word}]."
        )
    shown = ", ".join(
        f"{each.value} ({datetime.fromtimestamp(each.start_s, UTC):%d/%m/%y %H:%M:%S})" for each in readings
    )
    compared = COMPARISONS[settings["ComparisonOperator"]]
    limit = f"{compared} the threshold ({float(settings['Threshold'])})"
    needed = settings.get("DatapointsToAlarm")
    if needed is not None or periods > 1:
        count = breaching if state == "ALARM" else len(readings) - breaching
        verb = "were" if state == "ALARM" else "were not"
        change = "OK -> ALARM" if state == "ALARM" else "ALARM -> OK"
        least = needed or periods
        noun = "datapoint" if least == 1 else "datapoints"
        return (
            f"Threshold Crossed: {count} out of the last {len(readings)} datapoints [{shown}] {verb} {limit} "
            f"(minimum {least} {noun} for {change} transition)."
        )
    return f"Threshold Crossed: 1 datapoint [{shown}] was {'' if state == 'ALARM' else 'not '}{limit}."


def _reason_data(alarm: Alarm, readings: Sequence[Reading], end_s: int, now_ms: int) -> str:
    settings = alarm.settings
    start_s = readings[-1].start_s if readings else end_s - alarm.period_s * settings["EvaluationPeriods"]
    evaluated = [
        {"timestamp": _text(each.start_s)}
        | ({"sampleCount": each.count} if each.count is not None else {})
        | {"value": each.value}
        for each in readings
    ]
    data = {
        "version": "1.0",
        "queryDate": _text(now_ms // 1000),
        "startDate": _text(start_s),
        "unit": settings.get("Unit"),
        "statistic": settings.get("Statistic") or settings.get("ExtendedStatistic"),
        "period": alarm.period_s,
        "recentDatapoints": [each.value for each in reversed(readings)],
        "threshold": float(settings["Threshold"]),
        "evaluatedDatapoints": evaluated,
    }
    return json.dumps({name: value for name, value in data.items() if value is not None})


def _text(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime(_FORMAT)


def _composite_reason(children: Sequence[Alarm]) -> str:
    """The child that moved last is the one that did it."""
    if not children:
        return "The alarm rule holds no alarms."
    last = max(children, key=lambda each: each.changed_ms)
    moment = datetime.fromtimestamp(last.changed_ms / 1000, UTC)
    return f"{last.arn} transitioned to {last.state} at {moment:%A %d %B, %Y %H:%M:%S} UTC"


def _composite_data(children: Sequence[Alarm]) -> str:
    shown = [
        {
            "arn": each.arn,
            "state": {"value": each.state, "timestamp": _text(each.changed_ms // 1000)},
        }
        for each in sorted(children, key=lambda each: -each.changed_ms)[:1]
    ]
    return json.dumps({"triggeringAlarms": shown})
