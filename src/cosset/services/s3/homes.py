"""Buckets with what shapes new objects in them, kept until a bucket changes: every put asks before its body is read.

That the bucket is there, and its versioning, the transaction that makes the object reads again.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosset.services.s3.bucket_access import ownership_of
from cosset.services.s3.bucket_book import need_bucket, read_setting
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket
from cosset.services.s3.places import CHANGES
from cosset.store.database import Store
from cosset.store.transaction import Transaction

_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Home:
    """A bucket, with those of its settings that shape new objects."""

    bucket: Bucket
    ownership: str
    encryption: Mapping[str, Any] | None = None
    retention: Mapping[str, Any] | None = None


class Homes:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[str, Home] = OrderedDict()
        # Counts changes, so that what was read before a change is not kept after it.
        self._changes = 0
        store.on_change(CHANGES, self._forget)

    async def find(self, name: str) -> Home:
        """Raises: ServiceError NoSuchBucket."""
        home = self._kept.get(name)
        if home is not None:
            self._kept.move_to_end(name)
            return home
        before = self._changes
        home = await self._store.read(lambda tx: _read(tx, name))
        if before == self._changes:
            self._kept[name] = home
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return home

    def _forget(self, bucket: str) -> None:
        self._changes += 1
        self._kept.clear()


def _read(tx: Transaction, name: str) -> Home:
    bucket = need_bucket(tx, name)
    encryption = read_setting(tx, name, Kind.ENCRYPTION)
    rules = (encryption or {}).get("Rules") or [None]
    retention = None
    if bucket.has_object_lock:
        rule = (read_setting(tx, name, Kind.OBJECT_LOCK) or {}).get("Rule") or {}
        retention = rule.get("DefaultRetention")
    return Home(bucket, ownership_of(tx, name), rules[0], retention)
