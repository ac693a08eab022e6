"""The log groups: what they are, found by name, and made on first use for functions that write to them.

Handlers stand on this (`groups.py`), and so does `observe.log_buffer`, whose `LogGroups` it is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from cosset.clock import Clock
from cosset.services.logs.tables import log_groups
from cosset.store.database import Store, Transaction

CHANGES = "logs"
"""The topic on which groups that are deleted are announced."""

_KNOWN_LIMIT = 10_000

GroupKey = tuple[str, str, str]
"""An account, a region, a name."""


@dataclass(frozen=True, slots=True)
class LogGroup:
    account: str
    region: str
    name: str
    log_group_class: str
    retention_days: int | None
    deletion_protection: bool
    tags: Mapping[str, str]
    created_ms: int

    @property
    def arn(self) -> str:
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.name}"


def group_of(row: Any) -> LogGroup:
    return LogGroup(
        row.account,
        row.region,
        row.name,
        row.log_group_class,
        row.retention_days,
        row.deletion_protection,
        dict(row.tags),
        row.created_ms,
    )


def own(account: str, region: str, name: str) -> tuple[Any, ...]:
    """The condition that picks one group's row."""
    return log_groups.c.account == account, log_groups.c.region == region, log_groups.c.name == name


def find_group(tx: Transaction, account: str, region: str, name: str) -> LogGroup | None:
    row = tx.execute(select(log_groups).where(*own(account, region, name))).one_or_none()
    return None if row is None else group_of(row)


def add_group(
    tx: Transaction,
    account: str,
    region: str,
    name: str,
    created_ms: int,
    *,
    log_group_class: str = "STANDARD",
    deletion_protection: bool = False,
    tags: Mapping[str, str] | None = None,
) -> bool:
    """Makes the group; False when it exists."""
    if find_group(tx, account, region, name) is not None:
        return False
    row = _row((account, region, name), created_ms)
    row |= {"log_group_class": log_group_class, "deletion_protection": deletion_protection, "tags": dict(tags or {})}
    tx.execute(insert(log_groups).values(row))
    return True


def _add_missing(tx: Transaction, groups: Sequence[GroupKey], created_ms: int) -> None:
    """A burst of functions that are new brings as many groups: one statement each would be most of what it costs."""
    for account, region in {key[:2] for key in groups}:
        names = {name for *owner, name in groups if owner == [account, region]}
        query = select(log_groups.c.name).where(
            log_groups.c.account == account, log_groups.c.region == region, log_groups.c.name.in_(names)
        )
        made = [_row((account, region, name), created_ms) for name in sorted(names - set(tx.execute(query).scalars()))]
        if made:
            tx.execute(insert(log_groups), made)


def _row(key: GroupKey, created_ms: int) -> dict[str, Any]:
    account, region, name = key
    return {
        "account": account,
        "region": region,
        "name": name,
        "log_group_class": "STANDARD",
        "deletion_protection": False,
        "tags": {},
        "created_ms": created_ms,
    }


class LogGroupBook:
    """Knows which groups exist without asking the database twice; forgets them when one is deleted anywhere."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: set[GroupKey] = set()
        self._generation = 0
        store.on_change(CHANGES, self._forget)

    async def ensure_groups(self, groups: Collection[GroupKey]) -> None:
        """Returns when they exist; makes those that do not, without retention, all in one transaction."""
        unknown = [key for key in groups if key not in self._known]
        if not unknown:
            return
        generation = self._generation
        now_ms = self._clock.now_ms()
        await self._store.write(lambda tx: _add_missing(tx, unknown, now_ms))
        if generation == self._generation:
            if len(self._known) + len(unknown) > _KNOWN_LIMIT:
                self._known.clear()
            self._known.update(unknown)

    def _forget(self, key: str) -> None:
        self._known.clear()
        self._generation += 1
