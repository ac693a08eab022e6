"""When access keys, users and roles were last used, for what: noted in memory on every call, kept once a minute.

A crash loses the last minute of it, and AWS's own is hours late. Bounded: what does not fit in a minute is left out.
Implements identity's `UseNotes`. Who asks: `access_keys.py`, `roles.py`, `credential_report.py`, `last_accessed.py`.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Table, insert, select, update

from cosset.clock import Clock
from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.iam.tables import entity_uses, key_uses
from cosset.store.database import Store, Transaction
from cosset.store.errors import StoreError
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

FLUSH_S = 60.0
MAX_WAITING = 20_000
_BATCH = 500
_KINDS = frozenset({PrincipalKind.USER, PrincipalKind.ROLE})


@dataclass(frozen=True, slots=True)
class Use:
    """The last one: of which service, where, when (epoch milliseconds)."""

    service: str
    region: str
    used_ms: int


class UseLog:
    def __init__(self, store: Store, clock: Clock, max_waiting: int = MAX_WAITING) -> None:
        self._store = store
        self._clock = clock
        self._max_waiting = max_waiting
        self._waiting: dict[tuple[str, str], tuple[Principal, str, int]] = {}
        self._task: asyncio.Task[None] | None = None

    def used(self, access_key_id: str, principal: Principal, service: str, region: str, now_ms: int) -> None:
        """Cheap: for every call."""
        at = (access_key_id, service)
        if at in self._waiting or len(self._waiting) < self._max_waiting:
            self._waiting[at] = (principal, region, now_ms)

    def start(self) -> None:
        self._task = asyncio.create_task(self._serve(), name="use-log")

    async def close(self) -> None:
        """Keeps the rest, if the store still can."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._try_flush()

    async def flush(self) -> None:
        """Raises: StoreError, ServiceError; what was not kept then is left out."""
        taken, self._waiting = self._waiting, {}
        rows = _rows(taken)
        for start in range(0, len(rows), _BATCH):
            await self._store.write(partial(_keep, rows[start : start + _BATCH]))

    async def _serve(self) -> None:
        while True:
            await self._clock.sleep(FLUSH_S)
            await self._try_flush()

    async def _try_flush(self) -> None:
        try:
            await self.flush()
        except (StoreError, ServiceError) as error:
            logger.warning("what was last used is not kept: %s", error)


def find_key_use(tx: Transaction, access_key_id: str) -> Use | None:
    row = tx.execute(select(key_uses).where(key_uses.c.access_key_id == access_key_id)).one_or_none()
    return None if row is None else Use(row.service, row.region, row.used_ms)


def find_entity_uses(tx: Transaction, unique_id: str) -> list[Use]:
    """By service, of the user or role with this id."""
    rows = tx.execute(select(entity_uses).where(entity_uses.c.unique_id == unique_id))
    return [Use(row.service, row.region, row.used_ms) for row in rows]


def find_last_use(tx: Transaction, unique_id: str) -> Use | None:
    return max(find_entity_uses(tx, unique_id), key=lambda use: use.used_ms, default=None)


_Row = tuple[Table, dict[str, str], dict[str, Any]]


def _rows(taken: Mapping[tuple[str, str], tuple[Principal, str, int]]) -> list[_Row]:
    """What to keep: the newest of each key, and of each entity and service. Ordered, so that nodes do not collide."""
    newest: dict[tuple[str, ...], _Row] = {}
    for (key_id, service), (principal, region, used_ms) in sorted(taken.items(), key=lambda item: item[1][2]):
        use = {"region": region, "used_ms": used_ms}
        if principal.kind not in _KINDS:
            continue
        if not principal.is_temporary:
            newest["key", key_id] = (key_uses, {"access_key_id": key_id}, {**use, "service": service})
        unique_id = principal.user_id.partition(":")[0]
        newest["entity", unique_id, service] = (entity_uses, {"unique_id": unique_id, "service": service}, use)
    return [newest[at] for at in sorted(newest)]


def _keep(rows: list[_Row], tx: Transaction) -> None:
    for table, key, values in rows:
        mine = [table.c[name] == value for name, value in key.items()]
        there = tx.execute(select(table.c.used_ms).where(*mine)).scalar()
        if there is None:
            tx.execute(insert(table).values(**key, **values))
        elif there < values["used_ms"]:
            tx.execute(update(table).where(*mine).values(**values))
