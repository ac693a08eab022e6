"""The subscription filters of log groups, as rows.

Light on purpose, as filter_rows.py is: what is kept of them is asked at every batch of log events, and a node without
filters imports nothing that matches or delivers. Next: filters.py (the operations), following.py (what a filter does).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from cosset.services.logs.filter_rows import FilterRows, GroupPlace
from cosset.services.logs.tables import log_subscription_filters as rows
from cosset.store.database import Transaction


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
    def place(self) -> GroupPlace:
        return self.account, self.region, self.group

    @property
    def source_arn(self) -> str:
        """What the destination's policy sees."""
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.group}:*"


def filters_of(tx: Transaction, place: GroupPlace) -> list[SubscriptionFilter]:
    """In the order of their names."""
    found = tx.execute(select(rows).where(*SUBSCRIPTION_FILTERS.of_group(place)))
    # Not every database sorts as code points.
    return sorted((_filter(row) for row in found), key=lambda each: each.name)


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


def _values(kept: SubscriptionFilter) -> Mapping[str, Any]:
    return {
        "pattern": kept.pattern,
        "destination_arn": kept.destination_arn,
        "distribution": kept.distribution,
        "created_ms": kept.created_ms,
    }


SUBSCRIPTION_FILTERS = FilterRows(rows, "logs/filters", _filter, _values)
