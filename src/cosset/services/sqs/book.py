"""The records of queues: read through a cache, changed in short transactions, announced to every node.

A cached record may be old, so whoever writes by one proves in the same transaction that it still holds (`confirm`) and
begins again where it does not: nothing is ever sent to a queue that is gone, or judged by attributes that were changed.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import Row, bindparam, delete, insert, select, update

from cosset.clock import Clock
from cosset.services.sqs.attributes import Settings, read_settings
from cosset.services.sqs.errors import no_such_queue
from cosset.services.sqs.model import QueueKey
from cosset.services.sqs.tables import CHANGES, DISCARDED, deleted_queues, discarded, queues
from cosset.store.changes import EVERYTHING
from cosset.store.database import Store, Transaction
from cosset.store.prepared import Found, Prepared
from cosset.wire.errors import ServiceError

T = TypeVar("T")

REST_MS = 60_000
"""How long a name rests after its queue was deleted, and a queue after it was purged."""

_MAX_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class QueueRecord:
    """One queue as its row says it. `settings` is what its attributes mean."""

    key: QueueKey
    uid: str
    revision: int
    secret: bytes = field(repr=False)
    created_ms: int
    modified_ms: int
    purged_ms: int
    attributes: Mapping[str, str]
    tags: Mapping[str, str]
    settings: Settings


class StaleRecordError(Exception):
    """The queue has changed since its record was read: read it again."""


class QueueBook:
    """Any number may be made over one store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._cached: dict[QueueKey, QueueRecord] = {}
        self._generation = 0
        store.on_change(CHANGES, self._forget)

    async def find(self, key: QueueKey) -> QueueRecord | None:
        """From memory where it is there: then prove it (`confirm`) before relying on it."""
        record = self._cached.get(key)
        return record if record is not None else await self.read(key)

    async def get(self, key: QueueKey) -> QueueRecord:
        """Raises ServiceError QueueDoesNotExist."""
        record = await self.find(key)
        if record is None:
            raise no_such_queue()
        return record

    async def read(self, key: QueueKey) -> QueueRecord | None:
        """From the store."""
        generation = self._generation
        record = await self._store.read(lambda tx: read_queue(tx, key))
        if record is None:
            self._cached.pop(key, None)
        elif generation == self._generation:
            if len(self._cached) >= _MAX_CACHED:
                self._cached.clear()
            self._cached[key] = record
        return record

    def mistrust(self, key: QueueKey) -> None:
        """The record was found to be stale."""
        self._cached.pop(key, None)

    async def create(self, key: QueueKey, attributes: Mapping[str, str], tags: Mapping[str, str]) -> QueueRecord | None:
        """None where there is one of that name already. Raises ServiceError QueueDeletedRecently."""
        now = self._clock.now_ms()

        def work(tx: Transaction) -> QueueRecord | None:
            if tx.run(_IDENTITY, _named(key)).first() is not None:
                return None
            _refuse_rest(tx, key, now)
            row = {
                **_place(key),
                "uid": uuid4().hex,
                "revision": 1,
                "secret": secrets.token_bytes(32),
                "created_ms": now,
                "modified_ms": now,
                "purged_ms": 0,
                "attributes": _dump(attributes),
                "tags": _dump(tags),
            }
            tx.execute(insert(queues), row)
            tx.announce(CHANGES, key.arn)
            return read_queue(tx, key)

        return await self._store.write(work)

    async def change(self, key: QueueKey, change: Callable[[Transaction, QueueRecord], Mapping[str, Any]]) -> None:
        """`change` says the new values of columns; `attributes` and `tags` as mappings. It may raise ServiceError."""
        now = self._clock.now_ms()

        def work(tx: Transaction) -> None:
            record = read_queue(tx, key)
            if record is None:
                raise no_such_queue()
            values = dict(change(tx, record))
            if "attributes" in values:
                values["modified_ms"] = now
            for name in ("attributes", "tags"):
                if name in values:
                    values[name] = _dump(values[name])
            write_queue(tx, record, values)

        await self._store.write(work)

    async def delete(self, key: QueueKey) -> None:
        """Its messages are discarded. Raises ServiceError QueueDoesNotExist."""
        now = self._clock.now_ms()

        def work(tx: Transaction) -> None:
            found = tx.run(_IDENTITY, _named(key)).first()
            if found is None:
                raise no_such_queue()
            tx.execute(delete(queues).where(*_at(queues, key)))
            tx.execute(delete(deleted_queues).where(*_at(deleted_queues, key)))
            tx.execute(insert(deleted_queues), {**_place(key), "deleted_ms": now})
            discard(tx, found.uid)
            tx.announce(CHANGES, key.arn)

        await self._store.write(work)

    async def list_names(self, account: str, region: str, *, prefix: str, after: str, limit: int) -> list[str]:
        """Names in order, those after `after`."""
        statement = (
            select(queues.c.name)
            .where(queues.c.account == account, queues.c.region == region, queues.c.name > after)
            .order_by(queues.c.name)
            .limit(limit)
        )
        if prefix:
            statement = statement.where(queues.c.name.startswith(prefix, autoescape=True))
        return await self._store.read(lambda tx: [row.name for row in tx.execute(statement)])

    async def sources_of(self, target: QueueKey) -> list[str]:
        """The names of the queues whose dead-letter queue it is, in order."""
        mark = json.dumps(target.arn)[1:-1]
        statement = select(queues).where(
            queues.c.account == target.account,
            queues.c.region == target.region,
            queues.c.attributes.contains(mark, autoescape=True),
        )

        def work(tx: Transaction) -> list[str]:
            records = [_record(row) for row in tx.execute(statement)]
            return sorted(each.key.name for each in records if _sends_to(each, target))

        return await self._store.read(work)

    def _forget(self, key: str) -> None:
        self._generation += 1
        found = None if key == EVERYTHING else QueueKey.of_arn(key)
        if found is None:
            self._cached.clear()
        else:
            self._cached.pop(found, None)


def read_queue(tx: Transaction, key: QueueKey) -> QueueRecord | None:
    row = tx.execute(_WHOLE, _named(key)).first()
    return None if row is None else _record(row)


def read_queues(tx: Transaction) -> list[QueueRecord]:
    return [_record(row) for row in tx.execute(select(queues))]


def confirm(tx: Transaction, record: QueueRecord) -> None:
    """Raises StaleRecordError unless the queue stands as this record says."""
    _compare(tx.run(_IDENTITY, _named(record.key)), record)


def confirmed(tx: Transaction, record: QueueRecord, work: Callable[[Transaction, QueueRecord], T]) -> T:
    """What `work` comes to with this record. Raises StaleRecordError, whatever it came to, unless the record holds.

    The record is proven when the work is done: so both can go to the database together.
    """
    found = tx.run(_IDENTITY, _named(record.key))
    try:
        return work(tx, record)
    finally:
        _compare(found, record)


def _compare(found: Found, record: QueueRecord) -> None:
    row = found.first()
    if row is None or (row.uid, row.revision) != (record.uid, record.revision):
        raise StaleRecordError(record.key)


def write_queue(tx: Transaction, record: QueueRecord, values: Mapping[str, Any]) -> None:
    statement = update(queues).where(*_at(queues, record.key))
    tx.execute(statement.values(**values, revision=record.revision + 1))
    tx.announce(CHANGES, record.key.arn)


def discard(tx: Transaction, uid: str) -> None:
    """The messages of this uid belong to no queue any more."""
    tx.execute(insert(discarded), {"uid": uid})
    tx.announce(DISCARDED, uid)
    tx.announce(f"queue/{uid}", uid)  # whoever waits there looks again, and finds it gone


_WHOLE = select(queues).where(
    queues.c.account == bindparam("of_account"),
    queues.c.region == bindparam("of_region"),
    queues.c.name == bindparam("of_name"),
)
_IDENTITY = Prepared(
    select(queues.c.uid, queues.c.revision).where(
        queues.c.account == bindparam("of_account"),
        queues.c.region == bindparam("of_region"),
        queues.c.name == bindparam("of_name"),
    )
)


def _named(key: QueueKey) -> dict[str, str]:
    return {"of_account": key.account, "of_region": key.region, "of_name": key.name}


def _place(key: QueueKey) -> dict[str, str]:
    return {"account": key.account, "region": key.region, "name": key.name}


def _at(table: Any, key: QueueKey) -> tuple[Any, ...]:
    return table.c.account == key.account, table.c.region == key.region, table.c.name == key.name


def _record(row: Row[Any]) -> QueueRecord:
    key = QueueKey(row.account, row.region, row.name)
    attributes = json.loads(row.attributes)
    return QueueRecord(
        key=key,
        uid=row.uid,
        revision=row.revision,
        secret=bytes(row.secret),
        created_ms=row.created_ms,
        modified_ms=row.modified_ms,
        purged_ms=row.purged_ms,
        attributes=attributes,
        tags=json.loads(row.tags),
        settings=read_settings(attributes, key),
    )


def _sends_to(record: QueueRecord, target: QueueKey) -> bool:
    return record.settings.redrive is not None and record.settings.redrive.target == target


def _refuse_rest(tx: Transaction, key: QueueKey, now: int) -> None:
    found = tx.execute(select(deleted_queues.c.deleted_ms).where(*_at(deleted_queues, key))).scalar()
    if found is not None and now - found < REST_MS:
        raise ServiceError(
            "QueueDeletedRecently",
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
        )
    tx.execute(delete(deleted_queues).where(*_at(deleted_queues, key)))


def _dump(texts: Mapping[str, str]) -> str:
    return json.dumps(dict(texts), separators=(",", ":"))
