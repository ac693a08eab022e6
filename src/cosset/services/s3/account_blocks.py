"""Block public access of a whole account: the operations of S3 Control, and what it means for the account's buckets.

A bucket is shut where it says so itself or its account does. Kept among the settings of buckets, under a name that no
bucket can have. Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, Requirements, Result, operation
from cosset.services.s3.bucket_book import put_setting, read_setting, remove_setting
from cosset.services.s3.errors import access_denied
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket
from cosset.store.database import Store
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

SWITCHES = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def on_account(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"s3:{action}", "*")]

    return requirements


class AccountBlocks:
    """A part of the service s3control."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("PutPublicAccessBlock", on_account("PutAccountPublicAccessBlock"))
    async def put_public_access_block(self, ctx: Context, params: Params) -> None:
        place = _place(ctx, params)
        kept = read_switches(params["PublicAccessBlockConfiguration"])
        await self._store.write(lambda tx: put_setting(tx, place, Kind.PUBLIC_ACCESS_BLOCK, kept))

    @operation("GetPublicAccessBlock", on_account("GetAccountPublicAccessBlock"))
    async def get_public_access_block(self, ctx: Context, params: Params) -> Result:
        place = _place(ctx, params)
        found = await self._store.read(lambda tx: read_setting(tx, place, Kind.PUBLIC_ACCESS_BLOCK))
        if found is None:
            sentence = "The public access block configuration was not found"
            fields = {"AccountId": params["AccountId"]}
            raise ServiceError("NoSuchPublicAccessBlockConfiguration", sentence, status=404, fields=fields)
        return {"PublicAccessBlockConfiguration": found}

    @operation("DeletePublicAccessBlock", on_account("PutAccountPublicAccessBlock"))
    async def delete_public_access_block(self, ctx: Context, params: Params) -> None:
        place = _place(ctx, params)
        await self._store.write(lambda tx: remove_setting(tx, place, Kind.PUBLIC_ACCESS_BLOCK))


def read_switches(given: Mapping[str, Any]) -> dict[str, bool]:
    """What is not said is off. Raises ServiceError InvalidRequest."""
    if not given:
        raise ServiceError("InvalidRequest", "Must specify at least one configuration.")
    return {name: bool(given.get(name, False)) for name in SWITCHES}


def blocks_of(tx: Transaction, bucket: Bucket) -> Mapping[str, bool]:
    """Which of the switches are on for a bucket."""
    found = [read_setting(tx, place, Kind.PUBLIC_ACCESS_BLOCK) or {} for place in (bucket.name, _of(bucket.account))]
    return {name: any(each.get(name, False) for each in found) for name in SWITCHES}


def _of(account: str) -> str:
    return f"account/{account}"


def _place(ctx: Context, params: Mapping[str, Any]) -> str:
    """Raises ServiceError AccessDenied, where it is not the caller's own account."""
    if not ctx.account or params["AccountId"] != ctx.account:
        raise access_denied()
    return _of(ctx.account)
