"""Keeps what `identity/access_book.py` notes, in batches: a crash loses at most the last few seconds of it.

Bounded by account: what goes beyond is left out, and the log says so. Every node writes what it saw itself.
"""

import hashlib
import logging
from dataclasses import dataclass
from functools import partial

from sqlalchemy import func, insert, select, update

from cosset.clock import Clock
from cosset.identity.access_book import Access, AccessBook, Tally
from cosset.services.installation.tables import access as table
from cosset.store.database import Store, Transaction
from cosset.store.errors import StoreError
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

FLUSH_S = 5.0
MAX_ROWS = 20_000
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Recorded:
    access: Access
    tally: Tally


class AccessLog:
    def __init__(self, store: Store, book: AccessBook, clock: Clock, max_rows: int = MAX_ROWS) -> None:
        self._store = store
        self._book = book
        self._clock = clock
        self._max_rows = max_rows

    async def serve(self) -> None:
        while True:
            await self._clock.sleep(FLUSH_S)
            try:
                await self.flush()
            except (StoreError, ServiceError) as error:
                logger.warning("what functions asked for is not kept yet: %s", error)

    async def close(self) -> None:
        """Keeps the rest, if the store still can."""
        try:
            await self.flush()
        except (StoreError, ServiceError) as error:
            logger.warning("what functions asked for last is not kept: %s", error)

    async def flush(self) -> None:
        """Raises: StoreError, ServiceError; what was not kept then is kept by the next."""
        taken = self._book.take()
        items = list(taken.items())
        for start in range(0, len(items), _BATCH):
            batch = items[start : start + _BATCH]
            try:
                left_out = await self._store.write(partial(self._write, batch))
            except BaseException:
                self._book.put_back(dict(items[start:]))
                raise
            if left_out:
                logger.warning("%s accesses left out: an account keeps %s", left_out, self._max_rows)

    async def of_account(self, account: str, subject: str | None = None) -> list[Recorded]:
        """By subject, action and resource; what is still in memory here comes first to the table."""
        await self.flush()
        query = select(table).where(table.c.account == account)
        if subject is not None:
            query = query.where(table.c.subject == subject)
        rows = await self._store.read(
            lambda tx: list(tx.execute(query.order_by(table.c.subject, table.c.action, table.c.resource)))
        )
        return [
            Recorded(
                Access(row.account, row.subject, row.action, row.resource),
                Tally(int(row.denied), row.reason, int(row.last_ms)),
            )
            for row in rows
        ]

    def _write(self, batch: list[tuple[Access, Tally]], tx: Transaction) -> int:
        left_out = 0
        counts: dict[str, int] = {}
        for access, tally in batch:
            digest = _digest(access)
            changed = {"denied": table.c.denied + tally.denied, "last_ms": tally.at_ms}
            if tally.reason is not None:
                changed["reason"] = tally.reason
            if tx.execute(update(table).where(table.c.digest == digest).values(**changed)).rowcount:
                continue
            if access.account not in counts:
                query = select(func.count()).select_from(table).where(table.c.account == access.account)
                counts[access.account] = int(tx.execute(query).scalar_one())
            if counts[access.account] >= self._max_rows:
                left_out += 1
                continue
            counts[access.account] += 1
            tx.execute(
                insert(table).values(
                    digest=digest,
                    account=access.account,
                    subject=access.subject,
                    action=access.action,
                    resource=access.resource,
                    denied=tally.denied,
                    reason=tally.reason,
                    first_ms=tally.at_ms,
                    last_ms=tally.at_ms,
                )
            )
        return left_out


def _digest(access: Access) -> str:
    text = "\0".join((access.account, access.subject, access.action, access.resource))
    return hashlib.sha256(text.encode()).hexdigest()
