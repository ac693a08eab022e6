"""Tags of buckets by their ARNs, some at a time: S3 Control's operations beside PutBucketTagging. Within the account.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cosset.identity.ports import Requirement, tag_request
from cosset.services.operation import Context, Params, Requirements, Result, operation
from cosset.services.s3.bucket_book import find_bucket, put_setting, read_setting, remove_setting
from cosset.services.s3.bucket_tags import check_new_tags
from cosset.services.s3.errors import access_denied
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket
from cosset.store.database import Store
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

_ARN = "arn:aws:s3:::"


def _on_resource(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags") or () if "Key" in tag and "Value" in tag}
        return [Requirement(f"s3:{action}", params["ResourceArn"], tag_request(tags) if tags else {})]

    return requirements


class ResourceTags:
    """A part of the service s3control."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("TagResource", _on_resource("TagResource"))
    async def tag_resource(self, ctx: Context, params: Params) -> None:
        given = params["Tags"]

        def work(tx: Transaction) -> None:
            bucket = _find(tx, ctx, params)
            replaced = {tag["Key"] for tag in given}
            there = read_setting(tx, bucket.name, Kind.TAGS) or []
            tags = [*(tag for tag in there if tag["Key"] not in replaced), *given]
            check_new_tags(tags)
            put_setting(tx, bucket.name, Kind.TAGS, tags)

        await self._store.write(work)

    @operation("UntagResource", _on_resource("UntagResource"))
    async def untag_resource(self, ctx: Context, params: Params) -> None:
        gone = frozenset(params["TagKeys"])

        def work(tx: Transaction) -> None:
            bucket = _find(tx, ctx, params)
            tags = [tag for tag in read_setting(tx, bucket.name, Kind.TAGS) or [] if tag["Key"] not in gone]
            if tags:
                put_setting(tx, bucket.name, Kind.TAGS, tags)
            else:
                remove_setting(tx, bucket.name, Kind.TAGS)

        await self._store.write(work)

    @operation("ListTagsForResource", _on_resource("ListTagsForResource"))
    async def list_tags_for_resource(self, ctx: Context, params: Params) -> Result:
        def read(tx: Transaction) -> Any:
            return read_setting(tx, _find(tx, ctx, params).name, Kind.TAGS) or []

        return {"Tags": await self._store.read(read)}


def _find(tx: Transaction, ctx: Context, params: Mapping[str, Any]) -> Bucket:
    """Raises ServiceError NoSuchResource, AccessDenied."""
    arn = params["ResourceArn"]
    bucket = find_bucket(tx, arn.removeprefix(_ARN)) if arn.startswith(_ARN) else None
    if bucket is None:
        raise ServiceError("NoSuchResource", "The specified resource doesn't exist.", status=404)
    if ctx.account != bucket.account or params["AccountId"] != bucket.account:
        raise access_denied()
    return bucket
