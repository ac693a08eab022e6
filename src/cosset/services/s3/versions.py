"""Versions of objects in the database: put, found, deleted, listed. Runs inside the caller's transactions.

In a bucket that was never versioned there is one version of a key, `null`. Where versioning is enabled every put makes
one; where it is suspended a put replaces the `null` one and leaves the others.
"""

import base64
import binascii
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Row, Text, and_, bindparam, cast, delete, insert, select, update

from cosset.services.s3.file_book import forget_files, name_files
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.object_files import Stored
from cosset.services.s3.tables import IS_LATEST, s3_versions
from cosset.store.prepared import Found, Prepared
from cosset.store.transaction import Transaction

NULL_VERSION = "null"

# Nearly every call runs them. Documents go in and out as texts: they are read here, not by the driver.
_DOCUMENTS = ("files", "facts", "parts")
_COLUMNS = [cast(each, Text).label(each.name) if each.name in _DOCUMENTS else each for each in s3_versions.c]
_OF_KEY = and_(s3_versions.c.bucket == bindparam("of_bucket"), s3_versions.c.key == bindparam("of_key"))
_IS_VERSION = s3_versions.c.version == bindparam("of_version")
_LATEST = Prepared(select(*_COLUMNS).where(_OF_KEY, IS_LATEST))
_OF_VERSION = Prepared(select(*_COLUMNS).where(_OF_KEY, _IS_VERSION))
_TAKE_AWAY = Prepared(
    delete(s3_versions).where(_OF_KEY, _IS_VERSION).returning(cast(s3_versions.c.files, Text).label("files"))
)
_NO_LATEST = Prepared(update(s3_versions).where(_OF_KEY, IS_LATEST).values(is_latest=False))
_INSERT = Prepared(insert(s3_versions))
_DELETE = Prepared(delete(s3_versions).where(s3_versions.c.seq == bindparam("of_seq")))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an object that was uploaded in parts; its checksum in base64, where it is shown."""

    number: int
    size: int
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, or a delete marker. `etag` is without quotes; `parts` of what was uploaded in parts."""

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
    parts: tuple[Part, ...] | None = None


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a put or a delete did: the version there is now (None: none), and the files that nothing names any more."""

    version: ObjectVersion | None
    orphans: tuple[str, ...] = ()


def find_latest(tx: Transaction, bucket: str, key: str) -> ObjectVersion | None:
    """The newest version, which may be a delete marker."""
    row = tx.run(_LATEST, {"of_bucket": bucket, "of_key": key.encode()}).first()
    return None if row is None else _version(row)


def find_version(tx: Transaction, bucket: str, key: str, version: str) -> ObjectVersion | None:
    asked = {"of_bucket": bucket, "of_key": key.encode(), "of_version": version}
    row = tx.run(_OF_VERSION, asked).first()
    return None if row is None else _version(row)


def put_version(
    tx: Transaction, bucket: Bucket, new: ObjectVersion, *, named: Sequence[str] = (), version_id: str | None = None
) -> Replaced:
    """Makes `new` the latest, under the version id that the bucket's versioning gives it, or (`version_id`) that of
    what it replicates.

    `named` are those of its files that the book of files has already: parts that become an object.
    """
    version = NULL_VERSION
    if bucket.versioning is Versioning.ENABLED:
        version = version_id or new_version_id(new.modified_ms)
    # Nobody looks at what went before the new one is on its way, too: on PostgreSQL they travel together.
    gone = _take_null(tx, bucket.name, new.key) if version == NULL_VERSION else None
    if bucket.versioning is not Versioning.NEVER:  # else the `null` one was all there was
        tx.run(_NO_LATEST, {"of_bucket": bucket.name, "of_key": new.key.encode()})
    parts = None if new.parts is None else [[each.number, each.size, each.checksum] for each in new.parts]
    values = {
        "bucket": bucket.name,
        "key": new.key.encode(),
        "version": version,
        "is_latest": True,
        "is_marker": new.is_marker,
        "size": new.size,
        "etag": new.etag,
        "modified_ms": new.modified_ms,
        "files": json.dumps(new.stored.files),
        "inline": new.stored.inline,
        "facts": json.dumps(dict(new.facts)),
        "parts": json.dumps(parts),
    }
    known = frozenset(named)
    name_files(tx, [name for name, _ in new.stored.files if name not in known])
    seq = tx.run(_INSERT, values).number
    assert seq is not None
    return Replaced(replace(new, version=version, is_latest=True, seq=seq), _orphans(tx, gone))


def delete_latest(tx: Transaction, bucket: Bucket, key: str, owner: str, now_ms: int) -> Replaced:
    """A delete that names no version: a delete marker where there are versions, else the object goes."""
    if bucket.versioning is Versioning.NEVER:
        return Replaced(None, _orphans(tx, _take_null(tx, bucket.name, key)))
    marker = ObjectVersion(key, "", True, True, 0, "", now_ms, Stored(), {"owner": owner})
    return put_version(tx, bucket, marker)


def delete_version(tx: Transaction, bucket: Bucket, found: ObjectVersion) -> Replaced:
    """That version, for good; the newest of those left is the latest then."""
    tx.run(_DELETE, {"of_seq": found.seq})
    orphans = forget_files(tx, found.stored)
    if found.is_latest:
        newest = select(s3_versions.c.seq).where(_of_key(bucket.name, found.key))
        seq = tx.execute(newest.order_by(s3_versions.c.seq.desc()).limit(1)).scalar()
        if seq is not None:
            tx.execute(update(s3_versions).where(s3_versions.c.seq == seq).values(is_latest=True))
    return Replaced(None, orphans)


def change_facts(tx: Transaction, found: ObjectVersion, **facts: Any) -> None:
    """Some of a version's facts; None takes one away."""
    merged = {name: value for name, value in {**found.facts, **facts}.items() if value is not None}
    tx.execute(update(s3_versions).where(s3_versions.c.seq == found.seq).values(facts=merged))


def new_version_id(now_ms: int) -> str:
    """Thirty-two characters, as AWS's; as there it shows, to us, whether and when one was given. Order is in `seq`."""
    drawn = secrets.token_bytes(12)
    hidden = bytes(one ^ other for one, other in zip(now_ms.to_bytes(6, "big"), _digest(drawn), strict=False))
    return _letters(drawn + hidden) + _letters(_digest(drawn + hidden))


def given_at_ms(version: str) -> int | None:
    """When a version was given this id, though it may be gone; None for what never was one."""
    try:
        raw = base64.urlsafe_b64decode(version[:24].replace(".", "-"))
    except (ValueError, binascii.Error):
        return None
    if len(version) != 32 or len(raw) != 18 or version[24:] != _letters(_digest(raw)):
        return None
    shown = bytes(one ^ other for one, other in zip(raw[12:], _digest(raw[:12]), strict=False))
    return int.from_bytes(shown, "big")


def was_given(version: str) -> bool:
    return version == NULL_VERSION or given_at_ms(version) is not None


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(b"version " + data).digest()[:6]


def _letters(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().replace("-", ".")


def _take_null(tx: Transaction, bucket: str, key: str) -> Found:
    return tx.run(_TAKE_AWAY, {"of_bucket": bucket, "of_key": key.encode(), "of_version": NULL_VERSION})


def _orphans(tx: Transaction, gone: Found | None) -> tuple[str, ...]:
    row = None if gone is None else gone.first()
    return () if row is None else forget_files(tx, Stored(_files_of(json.loads(row.files))))


def _of_key(bucket: str, key: str) -> Any:
    return and_(s3_versions.c.bucket == bucket, s3_versions.c.key == key.encode())


def version_of_row(row: Row[Any]) -> ObjectVersion:
    """Of a row that Core read, with its documents."""
    return _made(row, row.files, row.facts, row.parts)


def _version(row: Any) -> ObjectVersion:
    """Of a row with its documents as texts."""
    return _made(row, json.loads(row.files), json.loads(row.facts), json.loads(row.parts or "null"))


def _made(row: Any, files: Any, facts: Any, parts: Any) -> ObjectVersion:
    inline = None if row.inline is None else bytes(row.inline)
    return ObjectVersion(
        bytes(row.key).decode(),
        row.version,
        bool(row.is_latest),
        bool(row.is_marker),
        row.size,
        row.etag,
        row.modified_ms,
        Stored(_files_of(files), inline),
        dict(facts),
        row.seq,
        None if parts is None else tuple(Part(*each) for each in parts),
    )


def _files_of(document: Any) -> tuple[tuple[str, int], ...]:
    return tuple((name, size) for name, size in document)
