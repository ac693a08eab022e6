"""ListMetrics and GetMetricStatistics: which metrics there are, and the statistics of one."""

from collections.abc import Iterator, Mapping
from typing import Any

from cosset.clock import Clock
from cosset.observe.metrics import MINUTE_S, Distribution, MetricKey
from cosset.services.cloudwatch.errors import invalid_combination, invalid_value
from cosset.services.cloudwatch.names import anywhere, read_dimensions, read_token, show_dimensions, write_token
from cosset.services.cloudwatch.series import read_periods, round_start
from cosset.services.cloudwatch.statistics import PLAIN, Statistic, statistic
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.metrics import DAY_S, HOUR_S, MetricStore
from cosset.wire.errors import OperationNotImplementedError
from cosset.wire.timestamps import as_datetime

_PAGE = 500
_LISTED_S = 14 * DAY_S
_RECENT_S = 3 * HOUR_S
_MOST_DATAPOINTS = 1_440
_SHORT_PERIODS_S = frozenset({1, 5, 10, 20, 30})


class Listing:
    def __init__(self, metrics: MetricStore, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock

    @operation("ListMetrics", anywhere("ListMetrics"))
    async def list_metrics(self, ctx: Context, params: Params) -> Result:
        if params.get("IncludeLinkedAccounts") or params.get("OwningAccount") not in (None, ctx.account):
            raise OperationNotImplementedError("cloudwatch", "ListMetrics of linked accounts")
        since_s = self._clock.now_ms() // 1000 - (_RECENT_S if "RecentlyActive" in params else _LISTED_S)
        found = await self._metrics.find(
            ctx.account,
            ctx.region,
            namespace=params.get("Namespace"),
            name=params.get("MetricName"),
            since_s=since_s,
        )
        wanted = [(each["Name"], each.get("Value")) for each in params.get("Dimensions") or ()]
        listed = [key for key in found if _has_dimensions(key, wanted)]
        begin = read_token(params.get("NextToken"))
        result: Result = {"Metrics": [show_metric(key) for key in listed[begin : begin + _PAGE]]}
        if begin + _PAGE < len(listed):
            result["NextToken"] = write_token(begin + _PAGE)
        return result

    @operation("GetMetricStatistics", anywhere("GetMetricStatistics"))
    async def get_metric_statistics(self, ctx: Context, params: Params) -> Result:
        start_s, end_s = (int(as_datetime(params[name]).timestamp()) for name in ("StartTime", "EndTime"))
        period_s = params["Period"]
        if start_s >= end_s:
            raise invalid_value("The parameter StartTime must be less than the parameter EndTime.")
        check_period(period_s)
        asked = (end_s - start_s) // period_s
        if asked > _MOST_DATAPOINTS:
            raise invalid_combination(
                f"You have requested up to {asked} datapoints, which exceeds the limit of {_MOST_DATAPOINTS}. You may "
                "reduce the datapoints requested by increasing Period, or decreasing the time range."
            )
        plain, extended = _chosen(params)
        start_s = round_start(start_s, period_s, self._clock.now_ms() // 1000)
        dimensions = read_dimensions(params.get("Dimensions"))
        key = MetricKey(ctx.account, ctx.region, params["Namespace"], params["MetricName"], dimensions)
        periods = await read_periods(self._metrics, key, start_s, end_s, period_s, params.get("Unit"))
        shown = [
            {"Timestamp": begin_s, "Unit": unit, **_statistics(values, plain, extended)}
            for unit, by_start in periods.by_unit.items()
            for begin_s, values in sorted(by_start.items())
        ]
        return {"Label": params["MetricName"], "Datapoints": shown}


def check_period(period_s: int, name: str = "Period") -> None:
    """Raises ServiceError InvalidParameterValue."""
    if period_s in _SHORT_PERIODS_S or (period_s > 0 and period_s % MINUTE_S == 0 and period_s <= DAY_S):
        return
    raise invalid_value(f"The parameter {name} must be 1, 5, 10, 20, 30, or a multiple of 60.")


def show_metric(key: MetricKey) -> dict[str, Any]:
    return {
        "Namespace": key.namespace,
        "MetricName": key.name,
        "Dimensions": show_dimensions(key.dimensions),
    }


def _has_dimensions(key: MetricKey, wanted: list[tuple[str, str | None]]) -> bool:
    """A filter without a value asks for the dimension, whatever it is."""
    had = dict(key.dimensions)
    return all(name in had and value in (None, had[name]) for name, value in wanted)


def _chosen(params: Params) -> tuple[dict[str, Statistic], dict[str, Statistic]]:
    plain = {name: PLAIN[name] for name in params.get("Statistics") or ()}
    extended = {name: statistic(name) for name in params.get("ExtendedStatistics") or ()}
    if not plain and not extended:
        raise invalid_combination("Must specify either Statistics or ExtendedStatistics.")
    return plain, extended


def _statistics(
    values: Distribution, plain: Mapping[str, Statistic], extended: Mapping[str, Statistic]
) -> dict[str, Any]:
    shown: dict[str, Any] = dict(_applied(values, plain))
    if extended:
        shown["ExtendedStatistics"] = dict(_applied(values, extended))
    return shown


def _applied(values: Distribution, statistics: Mapping[str, Statistic]) -> Iterator[tuple[str, float]]:
    for name, apply in statistics.items():
        found = apply(values)
        if found is not None:
            yield name, found
