"""Buckets are made, found, listed and deleted."""

import re

from sqlalchemy import select

from cosset.clock import Clock
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.bucket_book import add_bucket, buckets_of, find_bucket, need_bucket, remove_bucket
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.requirements import on_bucket, on_everything
from cosset.services.s3.tables import s3_uploads, s3_versions
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

_NAME = re.compile(r"(?!.*\.\.)(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_HOME = "us-east-1"
"""The region that is not named as a location constraint."""


class Buckets:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @operation("CreateBucket", on_bucket("CreateBucket"))
    async def create_bucket(self, ctx: Context, params: Params) -> Result:
        name = params["Bucket"]
        if not _NAME.fullmatch(name):
            raise ServiceError("InvalidBucketName", "The specified bucket is not valid.", fields={"BucketName": name})
        region = _region(ctx, params)
        locked = bool(params.get("ObjectLockEnabledForBucket"))
        versioning = Versioning.ENABLED if locked else Versioning.NEVER
        bucket = Bucket(name, ctx.account, region, self._clock.now_ms(), versioning, locked)

        def work(tx: Transaction) -> None:
            there = find_bucket(tx, name)
            if there is None:
                add_bucket(tx, bucket)
            elif there.account != ctx.account:
                raise ServiceError(
                    "BucketAlreadyExists",
                    "The requested bucket name is not available. The bucket namespace is shared by all users of the "
                    "system. Please select a different name and try again.",
                    status=409,
                    fields={"BucketName": name},
                )
            elif ctx.region != _HOME or there.region != _HOME:
                raise ServiceError(
                    "BucketAlreadyOwnedByYou",
                    "Your previous request to create the named bucket succeeded and you already own it.",
                    status=409,
                    fields={"BucketName": name},
                )

        await self._store.write(work)
        return {"Location": f"/{name}" if region == _HOME else f"{ctx.scheme}://{ctx.host}/{name}/"}

    @operation("HeadBucket", on_bucket("ListBucket"))
    async def head_bucket(self, ctx: Context, params: Params) -> Result:
        bucket = await self._store.read(lambda tx: need_bucket(tx, params["Bucket"]))
        return {"BucketRegion": bucket.region, "AccessPointAlias": False}

    @operation("GetBucketLocation", on_bucket("GetBucketLocation"))
    async def get_bucket_location(self, ctx: Context, params: Params) -> Result:
        bucket = await self._store.read(lambda tx: need_bucket(tx, params["Bucket"]))
        return {} if bucket.region == _HOME else {"LocationConstraint": bucket.region}

    @operation("ListBuckets", on_everything("ListAllMyBuckets"))
    async def list_buckets(self, ctx: Context, params: Params) -> Result:
        found = await self._store.read(lambda tx: buckets_of(tx, ctx.account))
        return {
            "Buckets": [{"Name": each.name, "CreationDate": each.created_ms // 1000} for each in found],
            "Owner": {"ID": ctx.account},
        }

    @operation("DeleteBucket", on_bucket("DeleteBucket"))
    async def delete_bucket(self, ctx: Context, params: Params) -> None:
        name = params["Bucket"]

        def work(tx: Transaction) -> None:
            need_bucket(tx, name)
            for table in (s3_versions, s3_uploads):
                if tx.execute(select(table.c.bucket).where(table.c.bucket == name).limit(1)).first() is not None:
                    raise ServiceError(
                        "BucketNotEmpty",
                        "The bucket you tried to delete is not empty",
                        status=409,
                        fields={"BucketName": name},
                    )
            remove_bucket(tx, name)

        await self._store.write(work)


def _region(ctx: Context, params: Params) -> str:
    wanted = (params.get("CreateBucketConfiguration") or {}).get("LocationConstraint")
    return str(wanted or ctx.region)
