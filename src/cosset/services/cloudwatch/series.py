"""One metric, read by the period: what GetMetricData, GetMetricStatistics and alarms stand on.

Periods begin at the start of what is asked for, rounded down to the minute (to five minutes and an hour where only
those are kept). Source: CloudWatch API reference, GetMetricStatistics and GetMetricData, StartTime.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cosset.observe.metrics import MINUTE_S, Distribution, MetricKey
from cosset.services.cloudwatch.units import in_answer_order
from cosset.store.metrics import DAY_S, MetricStore


@dataclass(frozen=True, slots=True)
class Periods:
    """`by_unit`: for each unit the distributions of the periods that have values, by their start (epoch seconds), units
    in the order in which they are answered."""

    by_unit: Mapping[str, Mapping[int, Distribution]]


def round_start(start_s: int, period_s: int, now_s: int) -> int:
    if period_s < MINUTE_S:
        step = period_s
    elif now_s - start_s > 63 * DAY_S:
        step = 3600
    elif now_s - start_s > 15 * DAY_S:
        step = 300
    else:
        step = MINUTE_S
    return start_s // step * step


async def read_periods(
    metrics: MetricStore, key: MetricKey, start_s: int, end_s: int, period_s: int, unit: str | None = None
) -> Periods:
    """`start_s` is rounded already. Values of a wider period than asked for are left out: they could lie anywhere."""
    found: dict[str, dict[int, Distribution]] = {}
    for point in await metrics.points(key, start_s, end_s):
        if point.width_s > period_s or unit not in (None, point.unit):
            continue
        begin_s = start_s + (point.start_s - start_s) // period_s * period_s
        periods = found.setdefault(point.unit, {})
        if begin_s in periods:
            periods[begin_s].merge(point.values)
        else:
            periods[begin_s] = point.values
    return Periods({each: found[each] for each in in_answer_order(set(found))})
