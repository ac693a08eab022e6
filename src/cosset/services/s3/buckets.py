"""Buckets are made, found, listed and deleted. Recorded: TestS3 create_bucket*, TestS3ListBuckets, TestS3BucketCRUD."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from cosset.clock import Clock
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.acl import Grant, grants_of, is_private
from cosset.services.s3.acl import is_public as is_public_acl
from cosset.services.s3.bucket_access import ALL_BLOCKED, ENFORCED, OWNERSHIPS
from cosset.services.s3.bucket_book import (
    add_bucket,
    buckets_of,
    find_bucket,
    need_bucket,
    put_setting,
    read_setting,
    remove_bucket,
    remove_setting,
)
from cosset.services.s3.bucket_requirements import on_new_bucket
from cosset.services.s3.bucket_rules import (
    HOME,
    OLD_NAMES,
    check_kind,
    check_name,
    check_namespace,
    check_region,
    chosen_region,
)
from cosset.services.s3.bucket_tags import check_new_tags
from cosset.services.s3.errors import access_denied, invalid_argument
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.object_files import ObjectFiles
from cosset.services.s3.owners import shown_owner
from cosset.services.s3.requirements import on_bucket, on_everything
from cosset.services.s3.tables import s3_uploads, s3_versions
from cosset.services.s3.uploads import end_upload, read_upload
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

_MOST_LISTED = 10_000
_MOST_OWNED = 10_000


class Buckets:
    def __init__(self, store: Store, files: ObjectFiles, clock: Clock) -> None:
        self._store = store
        self._files = files
        self._clock = clock

    @operation("CreateBucket", on_new_bucket)
    async def create_bucket(self, ctx: Context, params: Params) -> Result:
        """Objects are the bucket's owner's and nobody else gets in, unless it says otherwise: as on AWS since 2023."""
        if not ctx.account:
            raise access_denied()
        name = params["Bucket"]
        check_name(name)
        configuration = params.get("CreateBucketConfiguration") or {}
        check_kind(configuration)
        region = chosen_region(ctx.region, configuration.get("LocationConstraint"))
        check_namespace(name, params.get("BucketNamespace"), ctx.account, region)
        tags = configuration.get("Tags") or ()
        check_new_tags(tags)
        ownership, grants = _ownership(params), grants_of(params, ctx.account, ctx.account)
        _check_grants(grants, ownership, ctx.account)
        locked = bool(params.get("ObjectLockEnabledForBucket"))
        versioning = Versioning.ENABLED if locked else Versioning.NEVER
        bucket = Bucket(name, ctx.account, region, self._clock.now_ms(), versioning, locked)

        def work(tx: Transaction) -> None:
            there = find_bucket(tx, name)
            if there is not None:
                _check_again(there, bucket, ctx.region, has_tags=bool(tags))
                # Its ACL is what the call says, or nothing, as AWS documents it.
                remove_setting(tx, name, Kind.ACL)
                if grants is not None:
                    put_setting(tx, name, Kind.ACL, grants)
                return
            if len(buckets_of(tx, ctx.account)) >= _MOST_OWNED:
                sentence = "You have attempted to create more buckets than allowed"
                raise ServiceError("TooManyBuckets", sentence)
            add_bucket(tx, bucket)
            put_setting(tx, name, Kind.OWNERSHIP, ownership)
            put_setting(tx, name, Kind.PUBLIC_ACCESS_BLOCK, ALL_BLOCKED)
            if grants is not None:
                put_setting(tx, name, Kind.ACL, grants)
            if tags:
                put_setting(tx, name, Kind.TAGS, list(tags))
            if configuration.get("LocationConstraint") in OLD_NAMES:
                put_setting(tx, name, Kind.LOCATION, configuration["LocationConstraint"])

        await self._store.write(work)
        location = f"/{name}" if ctx.region == HOME and region == HOME else f"{ctx.scheme}://{ctx.host}/{name}/"
        return {"Location": location, "BucketArn": bucket.arn}

    @operation("HeadBucket", on_bucket("ListBucket"))
    async def head_bucket(self, ctx: Context, params: Params) -> Result:
        bucket = await self._store.read(lambda tx: need_bucket(tx, params["Bucket"]))
        return {"BucketArn": bucket.arn, "BucketRegion": bucket.region, "AccessPointAlias": False}

    @operation("GetBucketLocation", on_bucket("GetBucketLocation"))
    async def get_bucket_location(self, ctx: Context, params: Params) -> Result:
        def read(tx: Transaction) -> str | None:
            bucket = need_bucket(tx, params["Bucket"])
            return read_setting(tx, bucket.name, Kind.LOCATION) or (None if bucket.region == HOME else bucket.region)

        return {"LocationConstraint": await self._store.read(read)}

    @operation("ListBuckets", on_everything("ListAllMyBuckets"))
    async def list_buckets(self, ctx: Context, params: Params) -> Result:
        if not ctx.account:
            raise access_denied()
        limit = params.get("MaxBuckets")
        if limit is not None and not 1 <= limit <= _MOST_LISTED:
            sentence = f"Argument maxBuckets must be an integer between 1 and {_MOST_LISTED}"
            raise invalid_argument(sentence, "max-buckets", str(limit))
        token, prefix = _read_token(params.get("ContinuationToken") or ""), params.get("Prefix") or ""
        region = params.get("BucketRegion")
        if region is not None:
            check_region(region, ctx.region)
        found = [
            each
            for each in await self._store.read(lambda tx: buckets_of(tx, ctx.account))
            if each.name > token and each.name.startswith(prefix) and region in (None, each.region)
        ]
        page = found[: limit or _MOST_LISTED]
        is_asked = bool(params.keys() & {"MaxBuckets", "Prefix", "BucketRegion", "ContinuationToken"})
        result: Result = {
            "Owner": shown_owner(ctx.account),
            "Buckets": [_shown(each, with_region=is_asked) for each in page],
        }
        if prefix:
            result["Prefix"] = prefix
        if len(found) > len(page):
            result["ContinuationToken"] = urlsafe_b64encode(b"b" + page[-1].name.encode()).decode()
        return result

    @operation("DeleteBucket", on_bucket("DeleteBucket"))
    async def delete_bucket(self, ctx: Context, params: Params) -> None:
        """Uploads that have not come to an end keep no bucket: they go with it."""
        name = params["Bucket"]

        def work(tx: Transaction) -> list[str]:
            bucket = need_bucket(tx, name)
            columns = s3_versions.c
            if tx.execute(select(columns.bucket).where(columns.bucket == name).limit(1)).first() is not None:
                raise _not_empty(bucket)
            uploads = [read_upload(row) for row in tx.execute(select(s3_uploads).where(s3_uploads.c.bucket == name))]
            remove_bucket(tx, name)
            return [file for upload in uploads for file in end_upload(tx, upload)]

        await self._files.remove(await self._store.write(work, frees=True))


def _read_token(token: str) -> str:
    try:
        read = urlsafe_b64decode(token.encode()) if token else b"b"
    except ValueError:
        read = b""
    if not read.startswith(b"b"):
        error = invalid_argument("The continuation token provided is incorrect", "continuation-token", "")
        del error.fields["ArgumentValue"]
        raise error
    return read[1:].decode(errors="replace")


def _shown(bucket: Bucket, *, with_region: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"Name": bucket.name, "CreationDate": bucket.created_ms // 1000, "BucketArn": bucket.arn}
    return {**shown, "BucketRegion": bucket.region} if with_region else shown


def _ownership(params: Mapping[str, Any]) -> str:
    given = params.get("ObjectOwnership")
    if given is None:
        return ENFORCED
    if given not in OWNERSHIPS:
        error = invalid_argument(f"Invalid x-amz-object-ownership header: {given}", "x-amz-object-ownership", given)
        del error.fields["ArgumentValue"]
        raise error
    return str(given)


def _check_grants(grants: Sequence[Grant] | None, ownership: str, account: str) -> None:
    """A new bucket blocks public access, and so public ACLs."""
    if grants is None or is_private(grants, account):
        return
    if ownership == ENFORCED:
        sentence = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
        raise ServiceError("InvalidBucketAclWithObjectOwnership", sentence)
    if is_public_acl(grants):
        sentence = "Bucket cannot have public ACLs set with BlockPublicAccess enabled"
        raise ServiceError("InvalidBucketAclWithBlockPublicAccessError", sentence)


def _check_again(there: Bucket, wanted: Bucket, endpoint: str, *, has_tags: bool) -> None:
    """What was made is made again: no error in us-east-1, where nothing new is asked. Raises ServiceError."""
    if there.account != wanted.account:
        raise ServiceError(
            "BucketAlreadyExists",
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
            "Please select a different name and try again.",
            status=409,
            fields={"BucketName": there.name},
        )
    if endpoint != HOME or (there.region, wanted.region) != (HOME, HOME) or has_tags:
        raise ServiceError(
            "BucketAlreadyOwnedByYou",
            "Your previous request to create the named bucket succeeded and you already own it.",
            status=409,
            fields={"BucketName": there.name},
        )


def _not_empty(bucket: Bucket) -> ServiceError:
    sentence = "The bucket you tried to delete is not empty"
    if bucket.versioning is not Versioning.NEVER:
        sentence += ". You must delete all versions in the bucket."
    return ServiceError("BucketNotEmpty", sentence, status=409, fields={"BucketName": bucket.name})
