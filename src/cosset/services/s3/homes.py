"""Buckets with what shapes new objects in them, kept until a bucket changes: every put asks before its body is read.

That the bucket is there, and its versioning, the transaction that makes the object reads again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosset.services.s3.bucket_access import ownership_of
from cosset.services.s3.bucket_book import need_bucket, read_setting
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket
from cosset.services.s3.places import CHANGES
from cosset.store.database import Store
from cosset.store.kept import Kept
from cosset.store.transaction import Transaction

_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Home:
    """A bucket, with those of its settings that shape new objects."""

    bucket: Bucket
    ownership: str
    encryption: Mapping[str, Any] | None = None
    retention: Mapping[str, Any] | None = None


def kept_homes(store: Store) -> Kept[str, Home]:
    """By the names of buckets. `get` raises ServiceError NoSuchBucket."""
    homes = Kept[str, Home](lambda name: store.read(lambda tx: _read(tx, name)), _KEPT)
    homes.follow(store, CHANGES)
    return homes


def _read(tx: Transaction, name: str) -> Home:
    bucket = need_bucket(tx, name)
    encryption = read_setting(tx, name, Kind.ENCRYPTION)
    rules = (encryption or {}).get("Rules") or [None]
    retention = None
    if bucket.has_object_lock:
        rule = (read_setting(tx, name, Kind.OBJECT_LOCK) or {}).get("Rule") or {}
        retention = rule.get("DefaultRetention")
    return Home(bucket, ownership_of(tx, name), rules[0], retention)
