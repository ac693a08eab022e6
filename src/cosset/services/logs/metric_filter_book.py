"""The metric filters of log groups, as rows.

Light on purpose, as filter_book.py is. Next: metric_filters.py (the operations), measuring.py (what a filter does).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from cosset.services.logs.filter_rows import FilterRows, GroupPlace
from cosset.services.logs.tables import log_metric_filters as rows
from cosset.store.database import Transaction


@dataclass(frozen=True, slots=True)
class MetricFilter:
    """`value` is a number or the name of a field, `$.size`. `dimensions` are names and names of fields, in order.

    `default` is measured where events come and none of them matches.
    """

    account: str
    region: str
    group: str
    name: str
    pattern: str
    metric: str
    namespace: str
    value: str
    default: float | None
    unit: str | None
    dimensions: tuple[tuple[str, str], ...]
    created_ms: int

    @property
    def place(self) -> GroupPlace:
        return self.account, self.region, self.group


def metric_filters_of(tx: Transaction, account: str, region: str, group: str | None = None) -> list[MetricFilter]:
    """Of one group, or of all; in the order of groups and names."""
    query = select(rows).where(rows.c.account == account, rows.c.region == region)
    if group is not None:
        query = query.where(rows.c.log_group == group)
    return sorted((_filter(row) for row in tx.execute(query)), key=lambda each: (each.group, each.name))


def count_by_group(tx: Transaction, account: str, region: str) -> dict[str, int]:
    """Groups without metric filters are not in it."""
    query = select(rows.c.log_group, func.count().label("many")).where(
        rows.c.account == account, rows.c.region == region
    )
    return {row.log_group: int(row.many) for row in tx.execute(query.group_by(rows.c.log_group))}


def _filter(row: Any) -> MetricFilter:
    return MetricFilter(
        row.account,
        row.region,
        row.log_group,
        row.name,
        row.pattern,
        row.metric,
        row.namespace,
        row.value,
        row.default_value,
        row.unit,
        tuple((name, field) for name, field in row.dimensions),
        row.created_ms,
    )


def _values(kept: MetricFilter) -> Mapping[str, Any]:
    return {
        "pattern": kept.pattern,
        "metric": kept.metric,
        "namespace": kept.namespace,
        "value": kept.value,
        "default_value": kept.default,
        "unit": kept.unit,
        "dimensions": [list(each) for each in kept.dimensions],
        "created_ms": kept.created_ms,
    }


METRIC_FILTERS = FilterRows(rows, "logs/metric-filters", _filter, _values)
