"""Tags of buckets, and whether policies may go by them (ABAC). Recorded: TestS3BucketObjectTagging.

Where they may, tags change by S3 Control's operations alone (resource_tags.py); the others' refusal is by analogy.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging-enable-abac.html
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.bucket_book import read_setting
from cosset.services.s3.bucket_settings import BucketSettings
from cosset.services.s3.errors import malformed_xml
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket
from cosset.services.s3.requirements import on_bucket
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

Tags = Sequence[Mapping[str, Any]]
_MOST = 50
_TEXT = re.compile(r"[\w\s.:/=+\-@]*")
_RESERVED = "aws:"
_MISSING = ("NoSuchTagSet", "The TagSet does not exist")


class BucketTags:
    def __init__(self, settings: BucketSettings) -> None:
        self._settings = settings

    @operation("PutBucketTagging", on_bucket("PutBucketTagging"))
    async def put_bucket_tagging(self, ctx: Context, params: Params) -> None:
        tags = params["Tagging"]["TagSet"]
        check_tags(tags)
        if len({tag["Key"] for tag in tags}) != len(tags):
            raise _repeated(tags)
        for tag in tags:
            if tag["Key"].startswith(_RESERVED):
                raise _invalid("System tags cannot be added/updated by requester", TagKey=tag["Key"])
        if tags:
            await self._settings.put(params["Bucket"], Kind.TAGS, list(tags), _check_changeable)
        else:
            await self._settings.remove(params["Bucket"], Kind.TAGS, _check_changeable)

    @operation("GetBucketTagging", on_bucket("GetBucketTagging"))
    async def get_bucket_tagging(self, ctx: Context, params: Params) -> Result:
        return {"TagSet": await self._settings.need(params["Bucket"], Kind.TAGS, _MISSING)}

    @operation("DeleteBucketTagging", on_bucket("PutBucketTagging"))
    async def delete_bucket_tagging(self, ctx: Context, params: Params) -> None:
        await self._settings.remove(params["Bucket"], Kind.TAGS, _check_changeable)

    @operation("PutBucketAbac", on_bucket("PutBucketAbac"))
    async def put_bucket_abac(self, ctx: Context, params: Params) -> None:
        status = params["AbacStatus"].get("Status")
        if status is None:
            raise malformed_xml()
        await self._settings.put(params["Bucket"], Kind.ABAC, status)

    @operation("GetBucketAbac", on_bucket("GetBucketAbac"))
    async def get_bucket_abac(self, ctx: Context, params: Params) -> Result:
        return {"AbacStatus": {"Status": await self._settings.find(params["Bucket"], Kind.ABAC) or "Disabled"}}


def deciding_tags(tx: Transaction, bucket: str) -> dict[str, str]:
    """Those that policies may ask for."""
    if read_setting(tx, bucket, Kind.ABAC) != "Enabled":
        return {}
    return {tag["Key"]: tag["Value"] for tag in read_setting(tx, bucket, Kind.TAGS) or ()}


def _check_changeable(tx: Transaction, bucket: Bucket) -> None:
    """Raises ServiceError InvalidRequest."""
    if read_setting(tx, bucket.name, Kind.ABAC) == "Enabled":
        sentence = "Attribute-based access control is enabled on this bucket: use TagResource and UntagResource."
        raise ServiceError("InvalidRequest", sentence)


def check_new_tags(tags: Tags) -> None:
    """Those that a bucket is made with. Raises ServiceError, of which one is AWS's own mistake."""
    check_tags(tags)
    if len({tag["Key"] for tag in tags}) != len(tags):
        raise ServiceError("InternalError", "We encountered an internal error. Please try again.", status=500)
    if any(tag["Key"].startswith(_RESERVED) for tag in tags):
        raise _invalid(
            'User-defined tag keys can\'t start with "aws:". This prefix is reserved for system tags. Remove '
            '"aws:" from your tag keys and try again.'
        )


def check_tags(tags: Tags) -> None:
    """Raises ServiceError MalformedXML, BadRequest, InvalidTag."""
    if len(tags) > _MOST:
        raise ServiceError("BadRequest", f"Bucket tag count cannot be greater than {_MOST}")
    for tag in tags:
        key, value = tag.get("Key"), tag.get("Value")
        if key is None or value is None:
            raise malformed_xml()
        if not 0 < len(key) <= 128 or _TEXT.fullmatch(key) is None:
            raise _invalid("The TagKey you have provided is invalid", TagKey=key)
        if len(value) > 256 or _TEXT.fullmatch(value) is None:
            raise _invalid("The TagValue you have provided is invalid", TagKey=key, TagValue=value)


def _repeated(tags: Tags) -> ServiceError:
    seen: set[str] = set()
    for tag in tags:
        if tag["Key"] in seen:
            return _invalid("Cannot provide multiple Tags with the same key", TagKey=tag["Key"])
        seen.add(tag["Key"])
    raise ValueError("no key comes twice")


def _invalid(sentence: str, **fields: str) -> ServiceError:
    return ServiceError("InvalidTag", sentence, fields=fields)
