"""The durable log: shards of records in order, kept until their retention is over, read by any number of readers.

What streams stand on (Kinesis, DynamoDB Streams), beside the durable queue: nothing that a reader does changes it.
A record has its number from the transaction that appends it, so that readers see a shard's records in the order of
their numbers, on one node and on several. A closed shard takes no more; its children come after it.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from cosset.clock import Clock
from cosset.store.database import Store
from cosset.store.log_tables import records as record_table
from cosset.store.log_tables import shards as shard_table
from cosset.store.transaction import Transaction
from cosset.waiting import first_of

MAX_READ_BYTES = 10 * 1024 * 1024
"""What one read answers at most, but for a record that is larger alone."""
_SOME = 100
TRIM_ROWS = 10_000
"""Most records that one trim takes away, so that writers need not wait for it."""


class NoSuchShardError(LookupError):
    """The log has no such shard."""


class ShardClosedError(Exception):
    """The shard takes no more records."""


@dataclass(frozen=True, slots=True)
class LogShard:
    """A shard of a log. `parents` are those whose records come before its own."""

    id: str
    parents: tuple[str, ...] = ()
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class LogRecord:
    """`seq` counts from 1 in each shard, without gaps."""

    seq: int
    partition_key: str
    body: bytes
    arrived_ms: int


class DurableLog:
    """One named log. Any number may be made for one name, on any number of nodes."""

    def __init__(self, store: Store, name: str, clock: Clock) -> None:
        self._store = store
        self._name = name
        self._clock = clock
        self._waiters: set[asyncio.Event] = set()
        self._topic = f"log/{name}"
        store.on_change(self._topic, self._changed)

    def open_shard(self, tx: Transaction, shard: str, parents: Sequence[str] = ()) -> None:
        """A new shard, which is empty."""
        values = {"next_seq": 1, "is_closed": False, "parents": json.dumps(list(parents))}
        tx.execute(insert(shard_table).values(log=self._name, shard=shard, **values))
        tx.announce(self._topic, shard)

    def close_shard(self, tx: Transaction, shard: str) -> None:
        """Takes no more records. Raises: NoSuchShardError."""
        closed = tx.execute(update(shard_table).where(self._shard(shard)).values(is_closed=True))
        if closed.rowcount == 0:
            raise NoSuchShardError(shard)
        tx.announce(self._topic, shard)

    def append(self, tx: Transaction, shard: str, records: Sequence[tuple[str, bytes]]) -> list[int]:
        """Each (partition key, body); the numbers that they have. Raises: NoSuchShardError, ShardClosedError."""
        # The row of the shard is taken first: whoever appends next waits, and its numbers come behind.
        counted = update(shard_table).where(self._shard(shard), shard_table.c.is_closed.is_(False))
        if tx.execute(counted.values(next_seq=shard_table.c.next_seq + len(records))).rowcount == 0:
            self._refuse(tx, shard)
        behind = tx.execute(select(shard_table.c.next_seq).where(self._shard(shard))).scalar_one()
        first, now_ms = behind - len(records), self._clock.now_ms()
        rows = [
            {
                "log": self._name,
                "shard": shard,
                "seq": first + at,
                "partition_key": key,
                "arrived_ms": now_ms,
                "body": body,
            }
            for at, (key, body) in enumerate(records)
        ]
        if rows:
            tx.execute(insert(record_table), rows)
            tx.announce(self._topic, shard)
        return [row["seq"] for row in rows]

    async def shards(self) -> list[LogShard]:
        """By name."""
        query = select(shard_table).where(shard_table.c.log == self._name).order_by(shard_table.c.shard)

        def find(tx: Transaction) -> list[LogShard]:
            return [LogShard(row.shard, tuple(json.loads(row.parents)), row.is_closed) for row in tx.execute(query)]

        return await self._store.read(find)

    async def read(self, shard: str, *, after: int, limit: int) -> tuple[list[LogRecord], bool]:
        """Up to `limit` records with numbers above `after`, in order; and whether the shard ends behind them.

        Raises: NoSuchShardError.
        """

        def find(tx: Transaction) -> tuple[list[LogRecord], bool]:
            head = self._head(tx, shard)
            found: list[LogRecord] = []
            size = 0
            while len(found) < limit and size <= MAX_READ_BYTES:
                last = found[-1].seq if found else after
                some = self._page(tx, shard, last, min(_SOME, limit - len(found)))
                for row in some:
                    size += len(row.body)
                    if found and size > MAX_READ_BYTES:
                        break
                    found.append(LogRecord(row.seq, row.partition_key, bytes(row.body), row.arrived_ms))
                if len(some) < _SOME:
                    break
            last = found[-1].seq if found else after
            return found, bool(head.is_closed) and last >= head.next_seq - 1

        return await self._store.read(find)

    async def begin(self, shard: str) -> int:
        """The number behind which the oldest record is that is kept. Raises: NoSuchShardError."""
        oldest = select(func.min(record_table.c.seq)).where(self._records(shard))

        def find(tx: Transaction) -> int:
            head = self._head(tx, shard)
            first: int | None = tx.execute(oldest).scalar()
            return int(head.next_seq if first is None else first) - 1

        return await self._store.read(find)

    async def end(self, shard: str) -> int:
        """The number of the newest record. Raises: NoSuchShardError."""
        return await self._store.read(lambda tx: int(self._head(tx, shard).next_seq) - 1)

    async def at(self, shard: str, moment_ms: int) -> int:
        """The number behind which the first record is that arrived then or later. Raises: NoSuchShardError."""
        later = select(func.min(record_table.c.seq)).where(self._records(shard), record_table.c.arrived_ms >= moment_ms)

        def find(tx: Transaction) -> int:
            head = self._head(tx, shard)
            first: int | None = tx.execute(later).scalar()
            return int(head.next_seq if first is None else first) - 1

        return await self._store.read(find)

    def trim(self, tx: Transaction, before_ms: int) -> int:
        """Takes away records that arrived before then, some at a time; how many."""
        gone = 0
        for row in tx.execute(select(shard_table.c.shard).where(shard_table.c.log == self._name)).all():
            old = (record_table.c.arrived_ms < before_ms) & self._records(row.shard)
            some = select(record_table.c.seq).where(old).order_by(record_table.c.seq).limit(TRIM_ROWS - gone)
            last: int | None = tx.execute(select(func.max(some.subquery().c.seq))).scalar()
            if last is not None:
                gone += tx.execute(delete(record_table).where(old, record_table.c.seq <= last)).rowcount
            if gone >= TRIM_ROWS:
                break
        return gone

    def delete(self, tx: Transaction) -> None:
        """The log with all that is in it."""
        tx.execute(delete(record_table).where(record_table.c.log == self._name))
        tx.execute(delete(shard_table).where(shard_table.c.log == self._name))
        tx.announce(self._topic, self._name)

    async def wait(self, shard: str, *, after: int, timeout_s: float) -> bool:
        """Returns when there is a record above `after`, or the shard is closed; at the timeout: then False.

        Raises: NoSuchShardError.
        """
        changed = asyncio.Event()
        self._waiters.add(changed)
        try:
            head = await self._store.read(lambda tx: self._head(tx, shard))
            if head.is_closed or head.next_seq - 1 > after:
                return True
            await first_of(changed.wait(), self._clock.sleep(timeout_s))
            return changed.is_set()
        finally:
            self._waiters.discard(changed)

    def _page(self, tx: Transaction, shard: str, after: int, limit: int) -> Sequence[Row[tuple[int, str, int, bytes]]]:
        columns = (
            record_table.c.seq,
            record_table.c.partition_key,
            record_table.c.arrived_ms,
            record_table.c.body,
        )
        query = select(*columns).where(self._records(shard), record_table.c.seq > after)
        return tx.execute(query.order_by(record_table.c.seq).limit(limit)).all()

    def _head(self, tx: Transaction, shard: str) -> Row[tuple[int, bool]]:
        query = select(shard_table.c.next_seq, shard_table.c.is_closed).where(self._shard(shard))
        row = tx.execute(query).first()
        if row is None:
            raise NoSuchShardError(shard)
        return row

    def _refuse(self, tx: Transaction, shard: str) -> None:
        self._head(tx, shard)
        raise ShardClosedError(shard)

    def _shard(self, shard: str) -> ColumnElement[bool]:
        return (shard_table.c.log == self._name) & (shard_table.c.shard == shard)

    def _records(self, shard: str) -> ColumnElement[bool]:
        return (record_table.c.log == self._name) & (record_table.c.shard == shard)

    def _changed(self, _key: str) -> None:
        for waiter in self._waiters:
            waiter.set()
