"""PutMetricData: values on their way into the store, which holds them when the answer goes out."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cosset.clock import Clock
from cosset.observe.metrics import MINUTE_S, Cell, Distribution, MetricKey
from cosset.services.cloudwatch.errors import invalid_combination, invalid_value, missing_parameter
from cosset.services.cloudwatch.names import on_metrics_put, read_dimensions
from cosset.services.operation import Context, Params, operation
from cosset.store.metrics import MetricStore
from cosset.wire.errors import OperationNotImplementedError, ServiceError
from cosset.wire.timestamps import as_datetime

_MOST_DATA = 1_000
_MOST_VALUES = 150
_MOST_DIMENSIONS = 30
_LARGEST = 2.0**360
_MOST_TIMES = 2.0**53
_PAST_MS, _FUTURE_MS = 14 * 86_400_000, 2 * 3_600_000
_KINDS = ("Value", "Values", "StatisticValues")


class Datapoints:
    def __init__(self, metrics: MetricStore, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock

    @operation("PutMetricData", on_metrics_put())
    async def put_metric_data(self, ctx: Context, params: Params) -> None:
        if params.get("EntityMetricData"):
            raise OperationNotImplementedError("cloudwatch", "PutMetricData with EntityMetricData")
        namespace, data = params["Namespace"], params.get("MetricData") or []
        if not data:
            raise missing_parameter("MetricData")
        if namespace.startswith("AWS/"):
            raise invalid_value("The value AWS/ for parameter Namespace is invalid.")
        if len(data) > _MOST_DATA:
            raise invalid_value(f"The collection MetricData must not have a size greater than {_MOST_DATA}.")
        now_ms = self._clock.now_ms()
        cells = [
            cell
            for number, datum in enumerate(data, 1)
            for cell in _cells(ctx, namespace, datum, f"MetricData.member.{number}", now_ms)
        ]
        await self._metrics.add(cells, refuse_new=True)


def _cells(ctx: Context, namespace: str, datum: Mapping[str, Any], at: str, now_ms: int) -> Iterator[Cell]:
    dimensions = datum.get("Dimensions") or []
    if len(dimensions) > _MOST_DIMENSIONS:
        raise invalid_value(f"The collection {at}.Dimensions must not have a size greater than {_MOST_DIMENSIONS}.")
    for number, dimension in enumerate(dimensions, 1):
        for part in ("Name", "Value"):
            if not dimension[part].strip():
                raise invalid_value(f"The value {at}.Dimensions.member.{number}.{part} cannot be blank.")
    key = MetricKey(ctx.account, ctx.region, namespace, datum["MetricName"], read_dimensions(dimensions))
    width_s = 1 if datum.get("StorageResolution", MINUTE_S) < MINUTE_S else MINUTE_S
    moment_s = _moment_ms(datum, at, now_ms) // 1000
    yield Cell(key, datum.get("Unit", "None"), moment_s // width_s * width_s, width_s, _values(datum, at))


def _moment_ms(datum: Mapping[str, Any], at: str, now_ms: int) -> int:
    if "Timestamp" not in datum:
        return now_ms
    moment_ms = int(as_datetime(datum["Timestamp"]).timestamp() * 1000)
    if not now_ms - _PAST_MS <= moment_ms <= now_ms + _FUTURE_MS:
        raise invalid_value(
            f"The parameter {at}.Timestamp must specify a time no more than two weeks in the past and two hours in the "
            "future."
        )
    return moment_ms


def _values(datum: Mapping[str, Any], at: str) -> Distribution:
    """Recorded: test_put_metric_data_validation."""
    given = [kind for kind in _KINDS if kind in datum and datum[kind] is not None]
    if len(given) > 1:
        raise invalid_combination(
            f"The parameters {at}.{given[0]} and {at}.{given[1]} are mutually exclusive and you have specified both."
        )
    if not given:
        raise missing_parameter(f"{at}.Value")
    if given[0] == "StatisticValues":
        return _statistics(datum["StatisticValues"], f"{at}.StatisticValues")
    if given[0] == "Value":
        return Distribution.of(_number(datum["Value"], f"{at}.Value"))
    return _several(datum["Values"], datum.get("Counts"), at)


def _several(values: Sequence[float], counts: Sequence[float] | None, at: str) -> Distribution:
    if len(values) > _MOST_VALUES:
        raise invalid_value(f"The collection {at}.Values must not have a size greater than {_MOST_VALUES}.")
    if counts is not None and len(counts) != len(values):
        raise invalid_value(f"The parameters {at}.Values and {at}.Counts must be of the same size.")
    if not values:
        raise missing_parameter(f"{at}.Values")
    made = Distribution()
    for number, value in enumerate(values, 1):
        times = 1.0 if counts is None else _number(counts[number - 1], f"{at}.Counts.member.{number}")
        if not 0 <= times <= _MOST_TIMES:
            raise invalid_value(f"The value {times} for parameter {at}.Counts.member.{number} is invalid.")
        made.add(_number(value, f"{at}.Values.member.{number}"), times)
    return made


def _statistics(given: Mapping[str, float], at: str) -> Distribution:
    count, total = _number(given["SampleCount"], f"{at}.SampleCount"), _number(given["Sum"], f"{at}.Sum")
    lowest, highest = _number(given["Minimum"], f"{at}.Minimum"), _number(given["Maximum"], f"{at}.Maximum")
    if lowest > highest:
        raise invalid_value(f"The parameter {at}.Maximum must be greater than or equal to {at}.Minimum.")
    if not 0 <= count <= _MOST_TIMES:
        raise invalid_value(f"The value {count} for parameter {at}.SampleCount is invalid.")
    return Distribution.of_statistics(count, total, lowest, highest)


def _number(value: float, at: str) -> float:
    if not math.isfinite(value):
        raise _unfit(value, at)
    if abs(value) > _LARGEST:
        raise _unfit(value, at)
    return float(value)


def _unfit(value: float, at: str) -> ServiceError:
    return invalid_value(f"The value {value} for parameter {at} is invalid.")
