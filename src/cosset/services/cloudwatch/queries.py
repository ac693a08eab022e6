"""Metric data queries: metrics and expressions over them, worked out for a stretch of time.

Stands behind GetMetricData and behind alarms on expressions. Read next: expressions.py, series.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cosset.clock import Clock
from cosset.observe.metrics import MetricKey
from cosset.services.cloudwatch.errors import invalid
from cosset.services.cloudwatch.expression_syntax import Call, Node, Text, calls_in, names_in, parse
from cosset.services.cloudwatch.expressions import Scope, Series, Value, evaluate, search_key
from cosset.services.cloudwatch.listing import check_period
from cosset.services.cloudwatch.names import read_dimensions
from cosset.services.cloudwatch.search import MOST_FOUND, read_search
from cosset.services.cloudwatch.series import read_periods, round_start
from cosset.services.cloudwatch.statistics import statistic
from cosset.store.metrics import DAY_S, MetricStore
from cosset.wire.errors import OperationNotImplementedError

MOST_QUERIES = 500
_LISTED_S = 14 * DAY_S
Query = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the answer. `units` are those that the metric has, where no unit was asked for and it has several."""

    id: str
    series: Series
    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whose metrics, and of what time (epoch seconds, the end is not in it)."""

    account: str
    region: str
    start_s: int
    end_s: int


def check_queries(queries: Sequence[Query]) -> dict[str, Node]:
    """The expressions among them, read. Raises ServiceError ValidationError."""
    if len(queries) > MOST_QUERIES:
        raise invalid(f"The collection MetricDataQueries must not have a size greater than {MOST_QUERIES}.")
    ids = [each["Id"] for each in queries]
    for name in ids:
        if ids.count(name) > 1:
            raise invalid(f"The values for parameter id in MetricDataQueries are not unique. Duplicated id: {name}.")
        if not (name[:1].islower() and name.isascii() and name.replace("_", "a").isalnum()):
            raise invalid(
                f"The value {name} for parameter MetricDataQueries.Id is invalid. It must match ^[a-z][a-zA-Z0-9_]*$."
            )
    trees = {}
    for number, each in enumerate(queries, 1):
        at = f"MetricDataQueries.member.{number}"
        if ("MetricStat" in each) == ("Expression" in each):
            raise invalid(
                f"The parameters {at}.Expression and {at}.MetricStat are mutually exclusive; give one of them."
            )
        if "MetricStat" in each:
            stat = each["MetricStat"]
            check_period(stat["Period"], f"{at}.MetricStat.Period")
            statistic(stat["Stat"])
        else:
            trees[each["Id"]] = _read(each["Expression"])
    return trees


def _read(text: str) -> Node:
    if text.lstrip()[:6].upper() == "SELECT":
        raise OperationNotImplementedError("cloudwatch", "Metrics Insights queries")
    return parse(text)


class Queries:
    def __init__(self, metrics: MetricStore, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock

    async def run(self, stretch: Stretch, queries: Sequence[Query], *, hidden: bool = False) -> list[Found]:
        """Those that return data, in order; `hidden` gives the others too.

        Raises: ServiceError ValidationError, for queries that make no sense.
        """
        trees = check_queries(queries)
        units: dict[str, tuple[str, ...]] = {}
        values: dict[str, Value] = {}
        labels = default_labels(queries)
        for each in queries:
            if "MetricStat" in each:
                label = each.get("Label") or labels[each["Id"]]
                values[each["Id"]], units[each["Id"]] = await self._metric(stretch, each["MetricStat"], label)
        period_s = min((one.period_s for one in values.values() if isinstance(one, Series)), default=60)
        scope = Scope(values, tuple(values), await self._searches(stretch, trees), *_grid(stretch, period_s), period_s)
        for name in _in_order(trees, set(values)):
            values[name] = evaluate(trees[name], scope)
        shown = [each for each in queries if hidden or each.get("ReturnData", True)]
        return [found for each in shown for found in _found(each, values[each["Id"]], units.get(each["Id"], ()))]

    async def _metric(self, stretch: Stretch, stat: Query, label: str) -> tuple[Series, tuple[str, ...]]:
        metric, period_s = stat["Metric"], stat["Period"]
        key = MetricKey(
            stretch.account,
            stretch.region,
            metric.get("Namespace", ""),
            metric.get("MetricName", ""),
            read_dimensions(metric.get("Dimensions")),
        )
        return await self._read_series(stretch, key, stat["Stat"], period_s, label, stat.get("Unit"))

    async def _read_series(
        self, stretch: Stretch, key: MetricKey, stat: str, period_s: int, label: str, unit: str | None = None
    ) -> tuple[Series, tuple[str, ...]]:
        start_s = round_start(stretch.start_s, period_s, self._clock.now_ms() // 1000)
        periods = await read_periods(self._metrics, key, start_s, stretch.end_s, period_s, unit)
        apply = statistic(stat)
        # Of several units the first is answered, with a message (recorded: test_get_metric_data_different_units_...).
        chosen = next(iter(periods.by_unit.values()), {})
        applied = {at: apply(values) for at, values in chosen.items()}
        points = {at: value for at, value in applied.items() if value is not None}
        several = tuple(periods.by_unit) if len(periods.by_unit) > 1 else ()
        return Series(label, period_s, points), several

    async def _searches(self, stretch: Stretch, trees: Mapping[str, Node]) -> dict[str, list[Series]]:
        found = {}
        for call in (call for tree in trees.values() for call in calls_in(tree) if call.name == "SEARCH"):
            found[search_key(call)] = await self._search(stretch, call)
        return found

    async def _search(self, stretch: Stretch, call: Call) -> list[Series]:
        text, stat = (each.value for each in call.arguments[:2] if isinstance(each, Text))
        period_s = int(getattr(call.arguments[2], "value", 300)) if len(call.arguments) == 3 else 300
        check_period(period_s, "period")
        search = read_search(text)
        since_s = self._clock.now_ms() // 1000 - _LISTED_S
        keys = await self._metrics.find(stretch.account, stretch.region, namespace=search.namespace, since_s=since_s)
        matching = [key for key in keys if search.finds(key)][:MOST_FOUND]
        return [(await self._read_series(stretch, key, stat, period_s, _search_label(key)))[0] for key in matching]


def _grid(stretch: Stretch, period_s: int) -> tuple[int, int]:
    return round_start(stretch.start_s, period_s, stretch.end_s), stretch.end_s


def _in_order(trees: Mapping[str, Node], known: set[str]) -> list[str]:
    """Each expression after those that it uses. Raises ServiceError ValidationError for a circle."""
    waiting = {name: names_in(tree) & set(trees) for name, tree in trees.items()}
    order: list[str] = []
    while waiting:
        ready = [name for name, needs in waiting.items() if not needs - set(order)]
        if not ready:
            raise invalid(f"The expressions {', '.join(waiting)} use each other in a circle.")
        order += ready
        for name in ready:
            del waiting[name]
    return order


def _found(query: Query, value: Value, units: tuple[str, ...]) -> list[Found]:
    name = query["Id"]
    if isinstance(value, float):
        raise invalid(f"Error in expression '{name}': the result is a number, where a time series must be.")
    if isinstance(value, Series):
        is_metric = "MetricStat" in query
        label = value.label if is_metric else query.get("Label") or name
        return [Found(name, replace(value, label=label), units)]
    return [Found(name, each) for each in value]


def _search_label(key: MetricKey) -> str:
    return " ".join([*(value for _, value in key.dimensions), key.name])


def default_labels(queries: Sequence[Query]) -> dict[str, str]:
    """The metric's name; where several have the same one, what tells them apart."""
    stats = {each["Id"]: each["MetricStat"] for each in queries if "MetricStat" in each}
    parts = {name: _label_parts(stat) for name, stat in stats.items()}
    differing = [len({each[place] for each in parts.values()}) > 1 for place in range(4)]
    names = [each[2] for each in parts.values()]
    labels = {}
    for name, each in parts.items():
        wanted = [part for part, differs in zip(each, differing, strict=True) if differs and part]
        labels[name] = each[2] if names.count(each[2]) == 1 or not wanted else " ".join(wanted)
    return labels


def _label_parts(stat: Query) -> tuple[str, str, str, str]:
    metric = stat["Metric"]
    values = " ".join(value for _, value in read_dimensions(metric.get("Dimensions")))
    return metric.get("Namespace", ""), values, metric.get("MetricName", ""), stat["Stat"]
