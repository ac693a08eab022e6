"""What the books of subscription filters and of metric filters share: rows that belong to a log group and have a name,
and all of them in memory, by group. Next: filter_book.py, metric_filter_book.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Table, delete, insert, select

from cosset.store.database import Store, Transaction
from cosset.store.kept import KeptWhole

GroupPlace = tuple[str, str, str]
"""Account, region and name of a log group."""


class Filter(Protocol):
    @property
    def place(self) -> GroupPlace: ...

    @property
    def name(self) -> str: ...


F = TypeVar("F", bound=Filter)


@dataclass(frozen=True, slots=True)
class FilterRows(Generic[F]):
    """`changes` is the topic on which rows that are put or deleted are announced. `values`: a row's columns besides
    those that name it."""

    table: Table
    changes: str
    read: Callable[[Any], F]
    values: Callable[[F], Mapping[str, Any]]

    def all(self, tx: Transaction) -> dict[GroupPlace, list[F]]:
        """Groups without filters are not in it."""
        found: dict[GroupPlace, list[F]] = {}
        for each in map(self.read, tx.execute(select(self.table))):
            found.setdefault(each.place, []).append(each)
        return found

    def put(self, tx: Transaction, kept: F) -> None:
        """In the place of the one with its name, if there is one."""
        self.delete(tx, kept.place, kept.name)
        account, region, group = kept.place
        named = {"account": account, "region": region, "log_group": group, "name": kept.name}
        tx.execute(insert(self.table), {**named, **self.values(kept)})

    def delete(self, tx: Transaction, place: GroupPlace, name: str) -> bool:
        """False: there was none."""
        tx.announce(self.changes, place[2])
        gone = delete(self.table).where(*self.of_group(place), self.table.c.name == name)
        return tx.execute(gone).rowcount > 0

    def delete_all(self, tx: Transaction, place: GroupPlace) -> None:
        """With their group."""
        if tx.execute(delete(self.table).where(*self.of_group(place))).rowcount:
            tx.announce(self.changes, place[2])

    def of_group(self, place: GroupPlace) -> tuple[Any, ...]:
        account, region, group = place
        columns = self.table.c
        return columns.account == account, columns.region == region, columns.log_group == group


def filters_by_group(store: Store, rows: FilterRows[F]) -> KeptWhole[Mapping[GroupPlace, Sequence[F]]]:
    """Every filter there is, as many as there are groups to have them. Groups without filters are not in it."""
    filters = KeptWhole[Mapping[GroupPlace, Sequence[F]]](lambda: store.read(rows.all))
    filters.follow(store, rows.changes)
    return filters
