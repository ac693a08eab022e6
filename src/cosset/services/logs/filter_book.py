"""The subscription filters of log groups, as rows; and all of them in memory, for whoever takes log events in.

Light on purpose: `Filters` is asked at every batch of log events, and a node without filters imports nothing that
matches or delivers. Next: filters.py (the operations), following.py (what a filter does).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from cosset.services.logs.tables import log_subscription_filters as rows
from cosset.store.database import Store, Transaction

FILTER_CHANGES = "logs/filters"
"""The topic on which filters that are put or deleted are announced."""

GroupPlace = tuple[str, str, str]
"""Account, region and name of a log group."""


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    account: str
    region: str
    group: str
    name: str
    pattern: str
    destination_arn: str
    distribution: str
    created_ms: int

    @property
    def source_arn(self) -> str:
        """What the destination's policy sees."""
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.group}:*"


def filters_of(tx: Transaction, place: GroupPlace) -> list[SubscriptionFilter]:
    """In the order of their names."""
    query = select(rows).where(*_of_group(place)).order_by(rows.c.name)
    # Not every database sorts as code points.
    return sorted((_filter(row) for row in tx.execute(query)), key=lambda each: each.name)


def put_filter(tx: Transaction, kept: SubscriptionFilter) -> None:
    """In the place of the one with its name, if there is one."""
    place = (kept.account, kept.region, kept.group)
    delete_filter(tx, place, kept.name)
    tx.execute(
        insert(rows).values(
            account=kept.account,
            region=kept.region,
            log_group=kept.group,
            name=kept.name,
            pattern=kept.pattern,
            destination_arn=kept.destination_arn,
            distribution=kept.distribution,
            created_ms=kept.created_ms,
        )
    )


def delete_filter(tx: Transaction, place: GroupPlace, name: str) -> bool:
    """False: there was none."""
    tx.announce(FILTER_CHANGES, place[2])
    return tx.execute(delete(rows).where(*_of_group(place), rows.c.name == name)).rowcount > 0


def delete_filters(tx: Transaction, place: GroupPlace) -> None:
    """With their group."""
    if tx.execute(delete(rows).where(*_of_group(place))).rowcount:
        tx.announce(FILTER_CHANGES, place[2])


class Filters:
    """Every filter there is, read once and again after a change. As many as there are groups to have them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: Mapping[GroupPlace, Sequence[SubscriptionFilter]] | None = None
        self._generation = 0
        store.on_change(FILTER_CHANGES, self._forget)

    async def by_group(self) -> Mapping[GroupPlace, Sequence[SubscriptionFilter]]:
        """Groups without filters are not in it."""
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


def _all(tx: Transaction) -> dict[GroupPlace, list[SubscriptionFilter]]:
    found: dict[GroupPlace, list[SubscriptionFilter]] = {}
    for each in map(_filter, tx.execute(select(rows))):
        found.setdefault((each.account, each.region, each.group), []).append(each)
    return found


def _of_group(place: GroupPlace) -> tuple[Any, ...]:
    account, region, group = place
    return rows.c.account == account, rows.c.region == region, rows.c.log_group == group


def _filter(row: Any) -> SubscriptionFilter:
    return SubscriptionFilter(
        row.account,
        row.region,
        row.log_group,
        row.name,
        row.pattern,
        row.destination_arn,
        row.distribution,
        row.created_ms,
    )
