"""The metric filters of log groups, as rows; and all of them in memory, for whoever takes log events in.

Light on purpose, as filter_book.py is. Next: metric_filters.py (the operations), measuring.py (what a filter does).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select

from cosset.services.logs.filter_book import GroupPlace
from cosset.services.logs.tables import log_metric_filters as rows
from cosset.store.database import Store, Transaction

METRIC_FILTER_CHANGES = "logs/metric-filters"
"""The topic on which metric filters that are put or deleted are announced."""


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


def put_metric_filter(tx: Transaction, kept: MetricFilter) -> None:
    """In the place of the one with its name, if there is one."""
    delete_metric_filter(tx, kept.place, kept.name)
    tx.execute(
        insert(rows).values(
            account=kept.account,
            region=kept.region,
            log_group=kept.group,
            name=kept.name,
            pattern=kept.pattern,
            metric=kept.metric,
            namespace=kept.namespace,
            value=kept.value,
            default_value=kept.default,
            unit=kept.unit,
            dimensions=[list(each) for each in kept.dimensions],
            created_ms=kept.created_ms,
        )
    )


def delete_metric_filter(tx: Transaction, place: GroupPlace, name: str) -> bool:
    """False: there was none."""
    tx.announce(METRIC_FILTER_CHANGES, place[2])
    return tx.execute(delete(rows).where(*_of_group(place), rows.c.name == name)).rowcount > 0


def delete_metric_filters(tx: Transaction, place: GroupPlace) -> None:
    """With their group."""
    if tx.execute(delete(rows).where(*_of_group(place))).rowcount:
        tx.announce(METRIC_FILTER_CHANGES, place[2])


class MetricFilters:
    """Every metric filter there is, read once and again after a change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: Mapping[GroupPlace, Sequence[MetricFilter]] | None = None
        self._generation = 0
        store.on_change(METRIC_FILTER_CHANGES, self._forget)

    async def by_group(self) -> Mapping[GroupPlace, Sequence[MetricFilter]]:
        """Groups without metric filters are not in it."""
        if self._known is not None:
            return self._known
        generation = self._generation
        found = await self._store.read(_all)
        if generation == self._generation:
            self._known = found
        return found

    def _forget(self, _key: str) -> None:
        self._known = None
        self._generation += 1


def _all(tx: Transaction) -> dict[GroupPlace, list[MetricFilter]]:
    found: dict[GroupPlace, list[MetricFilter]] = {}
    for each in map(_filter, tx.execute(select(rows))):
        found.setdefault(each.place, []).append(each)
    return found


def _of_group(place: GroupPlace) -> tuple[Any, ...]:
    account, region, group = place
    return rows.c.account == account, rows.c.region == region, rows.c.log_group == group


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
