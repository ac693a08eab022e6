"""Configurations are read, put and taken away: what all of them have in common."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from cosset.services.s3.bucket_book import find_bucket, need_bucket, put_setting, read_setting, remove_setting
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

Check = Callable[[Transaction, Bucket], None]
"""Raises ServiceError where the bucket is in no state for what is put."""


class BucketSettings:
    def __init__(self, store: Store) -> None:
        self.store = store

    async def find(self, bucket: str, kind: Kind) -> Any:
        """The document, None where there is none. Raises ServiceError NoSuchBucket."""

        def read(tx: Transaction) -> Any:
            need_bucket(tx, bucket)
            return read_setting(tx, bucket, kind)

        return await self.store.read(read)

    async def region_of(self, bucket: str) -> str | None:
        """None where there is no such bucket."""
        found = await self.store.read(lambda tx: find_bucket(tx, bucket))
        return None if found is None else found.region

    async def need(self, bucket: str, kind: Kind, missing: tuple[str, str]) -> Any:
        """Raises ServiceError NoSuchBucket, or what is `missing`: a code and its sentence."""
        found = await self.find(bucket, kind)
        if found is None:
            raise ServiceError(*missing, status=404, fields={"BucketName": bucket})
        return found

    async def put(self, bucket: str, kind: Kind, document: Any, check: Check | None = None) -> None:
        def work(tx: Transaction) -> None:
            found = need_bucket(tx, bucket)
            if check is not None:
                check(tx, found)
            put_setting(tx, bucket, kind, document)

        await self.store.write(work)

    async def remove(self, bucket: str, kind: Kind, check: Check | None = None) -> None:
        def work(tx: Transaction) -> None:
            found = need_bucket(tx, bucket)
            if check is not None:
                check(tx, found)
            remove_setting(tx, bucket, kind)

        await self.store.write(work)


def plain(value: Any) -> Any:
    """As JSON keeps it: times are texts."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value
