"""The operations on metric filters.

Sources: the API reference of PutMetricFilter and TestMetricFilter; recorded: test_put_metric_filter_basic.
"""

import re
from collections.abc import Mapping
from typing import Any

from cosset.clock import Clock
from cosset.identity.ports import Requirement
from cosset.observe.json_pattern import json_value
from cosset.observe.pattern import Reader, compile_reader
from cosset.observe.pattern_errors import InvalidPatternError, UnsupportedPatternError
from cosset.services.logs.errors import invalid_parameter
from cosset.services.logs.groups import need_group
from cosset.services.logs.measuring import as_number
from cosset.services.logs.metric_filter_book import (
    METRIC_FILTERS,
    MetricFilter,
    metric_filters_of,
)
from cosset.services.logs.names import on_all_groups, on_group
from cosset.services.logs.tokens import read_place, write_token
from cosset.services.operation import Context, Params, Requirements, Result, operation
from cosset.store.database import Store, Transaction
from cosset.wire.errors import OperationNotImplementedError, ServiceError

MAX_FILTERS = 100
MAX_DIMENSIONS = 3
_DEFAULT_LIMIT = 50
_NOT_HERE = ("fieldSelectionCriteria", "emitSystemFieldDimensions", "applyOnTransformedLogs")
_FIELD = re.compile(r"\$[A-Za-z0-9_]+")
_TRANSFORMATION = "Invalid metric transformation:"


def _on_one_or_all(action: str) -> Requirements:
    one, every = on_group(action), on_all_groups(action)
    return lambda ctx, params: (one if "logGroupName" in params else every)(ctx, params)


def _on_everything(action: str) -> Requirements:
    return lambda ctx, params: [Requirement(f"logs:{action}", "*")]


class LogMetricFilters:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @operation("PutMetricFilter", on_group("PutMetricFilter"))
    async def put_metric_filter(self, ctx: Context, params: Params) -> None:
        for member in _NOT_HERE:
            if params.get(member):
                raise OperationNotImplementedError("logs", f"PutMetricFilter with {member}")
        _compile(params["filterPattern"], "PutMetricFilter")
        put = _read(ctx, params, self._clock.now_ms())

        def work(tx: Transaction) -> None:
            need_group(tx, ctx, put.group)
            others = [each for each in metric_filters_of(tx, *put.place) if each.name != put.name]
            if len(others) >= MAX_FILTERS:
                raise ServiceError("LimitExceededException", "Resource limit exceeded.")
            METRIC_FILTERS.put(tx, put)

        await self._store.write(work)

    @operation("DescribeMetricFilters", _on_one_or_all("DescribeMetricFilters"))
    async def describe_metric_filters(self, ctx: Context, params: Params) -> Result:
        if ("metricName" in params) != ("metricNamespace" in params):
            raise invalid_parameter("metricName and metricNamespace must be given together.")
        group, prefix = params.get("logGroupName"), params.get("filterNamePrefix", "")
        if prefix and group is None:
            raise invalid_parameter("filterNamePrefix needs a logGroupName.")
        after = _place(params["nextToken"]) if "nextToken" in params else ("", "")

        def work(tx: Transaction) -> list[MetricFilter]:
            if group is not None:
                need_group(tx, ctx, group)
            return metric_filters_of(tx, ctx.account, ctx.region, group)

        found = [
            each
            for each in await self._store.read(work)
            if each.name.startswith(prefix)
            and (each.group, each.name) > after
            and each.metric == params.get("metricName", each.metric)
            and each.namespace == params.get("metricNamespace", each.namespace)
        ]
        shown = found[: params.get("limit", _DEFAULT_LIMIT)]
        result: Result = {"metricFilters": [_shown(each) for each in shown]}
        if len(found) > len(shown):
            result["nextToken"] = write_token([shown[-1].group, shown[-1].name])
        return result

    @operation("DeleteMetricFilter", on_group("DeleteMetricFilter"))
    async def delete_metric_filter(self, ctx: Context, params: Params) -> None:
        place = (ctx.account, ctx.region, params["logGroupName"])

        def work(tx: Transaction) -> None:
            need_group(tx, ctx, place[2])
            if not METRIC_FILTERS.delete(tx, place, params["filterName"]):
                raise ServiceError("ResourceNotFoundException", "The specified metric filter does not exist.")

        await self._store.write(work)

    @operation("TestMetricFilter", _on_everything("TestMetricFilter"))
    async def test_metric_filter(self, ctx: Context, params: Params) -> Result:
        read = _compile(params["filterPattern"], "TestMetricFilter")
        matches = [
            {"eventNumber": number, "eventMessage": message, "extractedValues": dict(fields)}
            for number, message in enumerate(params["logEventMessages"], 1)
            if (fields := read(message)) is not None
        ]
        return {"matches": matches}


def _compile(pattern: str, operation: str) -> Reader:
    """Raises ServiceError InvalidParameterException; by name for a kind that is not there."""
    try:
        return compile_reader(pattern)
    except InvalidPatternError as error:
        raise invalid_parameter(str(error)) from None
    except UnsupportedPatternError as error:
        raise OperationNotImplementedError("logs", f"{operation} with {error}") from None


def _read(ctx: Context, params: Params, now_ms: int) -> MetricFilter:
    """Raises ServiceError InvalidParameterException."""
    (given,) = params["metricTransformations"]
    pattern, value = params["filterPattern"], given["metricValue"]
    dimensions: Mapping[str, str] = given.get("dimensions") or {}
    if given["metricNamespace"].startswith("AWS/"):
        raise invalid_parameter(f"{_TRANSFORMATION} the metric namespace must not begin with AWS/.")
    if as_number(value) is None:
        _check_field(value, pattern)
    if dimensions and "defaultValue" in given:
        raise invalid_parameter(f"{_TRANSFORMATION} dimensions and default value are mutually exclusive properties.")
    if len(dimensions) > MAX_DIMENSIONS:
        raise invalid_parameter(f"{_TRANSFORMATION} there may be up to {MAX_DIMENSIONS} dimensions.")
    for field in dimensions.values():
        _check_field(field, pattern)
    return MetricFilter(
        ctx.account,
        ctx.region,
        params["logGroupName"],
        params["filterName"],
        pattern,
        given["metricName"],
        given["metricNamespace"],
        value,
        given.get("defaultValue"),
        given.get("unit"),
        tuple(sorted(dimensions.items())),
        now_ms,
    )


def _check_field(field: str, pattern: str) -> None:
    """A property for JSON patterns, a named field for space-delimited ones; terms have neither."""
    kind = pattern.strip()[:1]
    if kind == "{" and field.startswith("$"):
        try:
            json_value(field)
            return
        except (InvalidPatternError, UnsupportedPatternError):
            pass
    elif kind == "[" and _FIELD.fullmatch(field):
        return
    raise invalid_parameter(f"{_TRANSFORMATION} '{field}' is neither a number nor a field of the filter pattern.")


def _place(token: str) -> tuple[str, str]:
    place: Any = read_place(token)
    if not isinstance(place, list) or len(place) != 2 or not all(isinstance(each, str) for each in place):
        raise invalid_parameter("The specified nextToken is invalid.")
    return place[0], place[1]


def _shown(kept: MetricFilter) -> dict[str, Any]:
    transformation: dict[str, Any] = {
        "metricName": kept.metric,
        "metricNamespace": kept.namespace,
        "metricValue": kept.value,
    }
    if kept.default is not None:
        transformation["defaultValue"] = kept.default
    if kept.dimensions:
        transformation["dimensions"] = dict(kept.dimensions)
    if kept.unit is not None:
        transformation["unit"] = kept.unit
    return {
        "filterName": kept.name,
        "filterPattern": kept.pattern,
        "metricTransformations": [transformation],
        "creationTime": kept.created_ms,
        "logGroupName": kept.group,
        "applyOnTransformedLogs": False,
    }
