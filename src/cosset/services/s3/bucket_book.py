"""Buckets and their settings in the database. Runs inside the caller's transactions."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, bindparam, delete, insert, select, update

from cosset.services.s3.errors import no_such_bucket
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.places import CHANGES
from cosset.services.s3.tables import s3_bucket_settings, s3_buckets
from cosset.store.prepared import Prepared
from cosset.store.transaction import Transaction

# Nearly every call runs them.
_OF_NAME = Prepared(select(s3_buckets).where(s3_buckets.c.name == bindparam("of_name")))
_DOCUMENT = Prepared(
    select(s3_bucket_settings.c.document).where(
        s3_bucket_settings.c.bucket == bindparam("of_bucket"),
        s3_bucket_settings.c.kind == bindparam("of_kind"),
        s3_bucket_settings.c.id == bindparam("of_id"),
    )
)


def find_bucket(tx: Transaction, name: str) -> Bucket | None:
    row = tx.run(_OF_NAME, {"of_name": name}).first()
    return None if row is None else _bucket(row)


def need_bucket(tx: Transaction, name: str) -> Bucket:
    """Raises ServiceError NoSuchBucket."""
    bucket = find_bucket(tx, name)
    if bucket is None:
        raise no_such_bucket(name)
    return bucket


def buckets_of(tx: Transaction, account: str) -> list[Bucket]:
    """By name."""
    query = select(s3_buckets).where(s3_buckets.c.account == account).order_by(s3_buckets.c.name)
    return [_bucket(row) for row in tx.execute(query)]


def add_bucket(tx: Transaction, bucket: Bucket) -> None:
    tx.execute(
        insert(s3_buckets).values(
            name=bucket.name,
            account=bucket.account,
            region=bucket.region,
            created_ms=bucket.created_ms,
            versioning=bucket.versioning,
            has_object_lock=bucket.has_object_lock,
        )
    )
    tx.announce(CHANGES, bucket.name)


def change_bucket(tx: Transaction, name: str, **values: Any) -> None:
    tx.execute(update(s3_buckets).where(s3_buckets.c.name == name).values(**values))
    tx.announce(CHANGES, name)


def remove_bucket(tx: Transaction, name: str) -> None:
    """With its settings; that nothing is in it is the caller's to see."""
    tx.execute(delete(s3_bucket_settings).where(s3_bucket_settings.c.bucket == name))
    tx.execute(delete(s3_buckets).where(s3_buckets.c.name == name))
    tx.announce(CHANGES, name)


def read_setting(tx: Transaction, bucket: str, kind: str, setting_id: str = "") -> Any:
    """The document as it was put, parsed; None where there is none."""
    text = tx.run(_DOCUMENT, {"of_bucket": bucket, "of_kind": kind, "of_id": setting_id}).scalar()
    return None if text is None else json.loads(text)


def read_settings(tx: Transaction, bucket: str, kind: str) -> Mapping[str, Any]:
    """All of a kind, by their ids, in their order."""
    columns = s3_bucket_settings.c
    query = select(columns.id, columns.document).where(columns.bucket == bucket, columns.kind == kind)
    return {row.id: json.loads(row.document) for row in tx.execute(query.order_by(columns.id))}


def put_setting(tx: Transaction, bucket: str, kind: str, document: Any, setting_id: str = "") -> None:
    tx.execute(delete(s3_bucket_settings).where(_is(bucket, kind, setting_id)))
    text = json.dumps(document, separators=(",", ":"))
    tx.execute(insert(s3_bucket_settings).values(bucket=bucket, kind=kind, id=setting_id, document=text))
    tx.announce(CHANGES, bucket)


def remove_setting(tx: Transaction, bucket: str, kind: str, setting_id: str = "") -> bool:
    """Whether there was one."""
    gone = tx.execute(delete(s3_bucket_settings).where(_is(bucket, kind, setting_id))).rowcount > 0
    tx.announce(CHANGES, bucket)
    return gone


def _is(bucket: str, kind: str, setting_id: str) -> Any:
    columns = s3_bucket_settings.c
    return and_(columns.bucket == bucket, columns.kind == kind, columns.id == setting_id)


def _bucket(row: Any) -> Bucket:
    versioning, has_object_lock = Versioning(row.versioning), bool(row.has_object_lock)
    return Bucket(row.name, row.account, row.region, row.created_ms, versioning, has_object_lock)
