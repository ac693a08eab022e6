"""Versions of objects in the database: put, found, deleted, listed. Runs inside the caller's transactions.

In a bucket that was never versioned there is one version of a key, `null`. Where versioning is enabled every put makes
one; where it is suspended a put replaces the `null` one and leaves the others.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, and_, delete, insert, select, update

from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.object_files import Stored
from cosset.services.s3.tables import s3_versions
from cosset.store.transaction import Transaction

NULL_VERSION = "null"


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, or a delete marker. `etag` is without quotes; `facts` is what listings do not read."""

    key: str
    version: str
    is_latest: bool
    is_marker: bool
    size: int
    etag: str
    modified_ms: int
    stored: Stored = field(repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a put or a delete did: the version there is now (None: none), and the files that nothing names any more."""

    version: ObjectVersion | None
    orphans: tuple[str, ...] = ()


def find_latest(tx: Transaction, bucket: str, key: str) -> ObjectVersion | None:
    """The newest version, which may be a delete marker."""
    row = tx.execute(select(s3_versions).where(_of_key(bucket, key), s3_versions.c.is_latest)).one_or_none()
    return None if row is None else _version(row)


def find_version(tx: Transaction, bucket: str, key: str, version: str) -> ObjectVersion | None:
    row = tx.execute(select(s3_versions).where(_of_key(bucket, key), s3_versions.c.version == version)).one_or_none()
    return None if row is None else _version(row)


def put_version(tx: Transaction, bucket: Bucket, new: ObjectVersion) -> Replaced:
    """Makes `new` the latest, under the version id that the bucket's versioning gives it."""
    version = new_version_id() if bucket.versioning is Versioning.ENABLED else NULL_VERSION
    orphans = _remove_null(tx, bucket.name, new.key) if version == NULL_VERSION else ()
    columns = s3_versions.c
    latest = and_(_of_key(bucket.name, new.key), columns.is_latest)
    tx.execute(update(s3_versions).where(latest).values(is_latest=False))
    values = {
        "bucket": bucket.name,
        "key": new.key.encode(),
        "version": version,
        "is_latest": True,
        "is_marker": new.is_marker,
        "size": new.size,
        "etag": new.etag,
        "modified_ms": new.modified_ms,
        "files": [list(each) for each in new.stored.files],
        "inline": new.stored.inline,
        "facts": dict(new.facts),
    }
    row = tx.execute(insert(s3_versions).values(**values).returning(s3_versions)).one()
    return Replaced(_version(row), orphans)


def delete_latest(tx: Transaction, bucket: Bucket, key: str, now_ms: int) -> Replaced:
    """A delete that names no version: a delete marker where there are versions, else the object goes."""
    if bucket.versioning is Versioning.NEVER:
        return Replaced(None, _remove_null(tx, bucket.name, key))
    marker = ObjectVersion(key, "", True, True, 0, "", now_ms, Stored())
    return put_version(tx, bucket, marker)


def delete_version(tx: Transaction, bucket: Bucket, found: ObjectVersion) -> Replaced:
    """That version, for good; the newest of those left is the latest then."""
    tx.execute(delete(s3_versions).where(s3_versions.c.seq == found.seq))
    if found.is_latest:
        newest = select(s3_versions.c.seq).where(_of_key(bucket.name, found.key))
        seq = tx.execute(newest.order_by(s3_versions.c.seq.desc()).limit(1)).scalar()
        if seq is not None:
            tx.execute(update(s3_versions).where(s3_versions.c.seq == seq).values(is_latest=True))
    return Replaced(None, tuple(name for name, _ in found.stored.files))


def change_facts(tx: Transaction, found: ObjectVersion, **facts: Any) -> None:
    """Some of a version's facts; None takes one away."""
    merged = {name: value for name, value in {**found.facts, **facts}.items() if value is not None}
    tx.execute(update(s3_versions).where(s3_versions.c.seq == found.seq).values(facts=merged))


def new_version_id() -> str:
    """Thirty-two characters, as AWS's. Order is in `seq`, not in these."""
    return secrets.token_urlsafe(24).replace("-", "x").replace("_", "y")


def _remove_null(tx: Transaction, bucket: str, key: str) -> tuple[str, ...]:
    there = find_version(tx, bucket, key, NULL_VERSION)
    if there is None:
        return ()
    tx.execute(delete(s3_versions).where(s3_versions.c.seq == there.seq))
    return tuple(name for name, _ in there.stored.files)


def _of_key(bucket: str, key: str) -> Any:
    return and_(s3_versions.c.bucket == bucket, s3_versions.c.key == key.encode())


def _version(row: Row[Any]) -> ObjectVersion:
    inline = None if row.inline is None else bytes(row.inline)
    stored = Stored(tuple((name, size) for name, size in row.files), inline)
    return ObjectVersion(
        bytes(row.key).decode(),
        row.version,
        row.is_latest,
        row.is_marker,
        row.size,
        row.etag,
        row.modified_ms,
        stored,
        dict(row.facts),
        row.seq,
    )
