"""The parts of S3 that are about buckets, and what every operation on one has in common."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cosset.clock import Clock
from cosset.services.operation import Context, Handler, Params, Result, Service
from cosset.services.s3.bucket_access import BucketAccess
from cosset.services.s3.bucket_book import find_bucket, read_setting
from cosset.services.s3.bucket_defaults import BucketDefaults
from cosset.services.s3.bucket_pages import BucketPages
from cosset.services.s3.bucket_replication import BucketReplication
from cosset.services.s3.bucket_reports import BucketReports
from cosset.services.s3.bucket_settings import BucketSettings
from cosset.services.s3.bucket_tags import BucketTags
from cosset.services.s3.buckets import Buckets
from cosset.services.s3.copy_sources import read_source
from cosset.services.s3.errors import access_denied
from cosset.services.s3.expirations import TELLING, TELLING_OF_UPLOADS, Expirations
from cosset.services.s3.kinds import Kind
from cosset.services.s3.mfa_deletes import MfaDeletes
from cosset.services.s3.object_files import ObjectFiles
from cosset.store.database import Store
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

_PAYER = "requester"
_CHARGED = frozenset(
    {
        *("AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateMultipartUpload", "DeleteObject"),
        *("DeleteObjects", "GetObject", "GetObjectAcl", "GetObjectAttributes", "HeadObject", "ListMultipartUploads"),
        *("ListObjectVersions", "ListObjects", "ListObjectsV2", "ListParts", "PutObject", "PutObjectAcl"),
        *("PutObjectLegalHold", "PutObjectRetention", "RestoreObject", "UpdateObjectEncryption", "UploadPart"),
        "UploadPartCopy",
    }
)
"""Operations whose answers say that the requester pays."""


def bucket_parts(store: Store, files: ObjectFiles, clock: Clock, mfa: MfaDeletes) -> list[object]:
    settings = BucketSettings(store)
    return [
        Buckets(store, files, clock),
        BucketAccess(settings),
        BucketDefaults(settings, mfa),
        BucketPages(settings),
        BucketReplication(settings),
        BucketReports(store),
        BucketTags(settings),
    ]


def owners_checked(service: Service, store: Store) -> Service:
    """The same service; a call that says whose its bucket must be goes no further where it is another's. Answers about
    objects tell when they expire."""
    expirations = Expirations(store)
    operations = {}
    for name, each in service.operations.items():
        handler = expirations.told(each.handler) if name in TELLING else each.handler
        handler = expirations.told_of_uploads(handler) if name in TELLING_OF_UPLOADS else handler
        handler = _charged(handler, store) if name in _CHARGED else handler
        operations[name] = replace(each, handler=_checked(handler, store))
    return replace(service, operations=operations)


def _charged(handler: Handler, store: Store) -> Handler:
    """The same handler; who pays, and is not the bucket's owner, is told that it was charged."""

    async def handle(ctx: Context, params: Params) -> Result | None:
        result = await handler(ctx, params)
        if params.get("RequestPayer") != _PAYER or not await store.read(lambda tx: _is_charged(tx, ctx, params)):
            return result
        return {**(result or {}), "RequestCharged": _PAYER}

    return handle


def _is_charged(tx: Transaction, ctx: Context, params: Params) -> bool:
    bucket = find_bucket(tx, params["Bucket"])
    if bucket is None or bucket.account == ctx.account:
        return False
    return bool(read_setting(tx, bucket.name, Kind.REQUEST_PAYMENT) == "Requester")


def _checked(handler: Handler, store: Store) -> Handler:
    async def handle(ctx: Context, params: Params) -> Result | None:
        for name, bucket in _expected(params):
            await _check_owner(store, bucket, str(params[name]))
        return await handler(ctx, params)

    return handle


def _expected(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    expected = []
    if params.get("ExpectedBucketOwner") is not None and "Bucket" in params:
        expected.append(("ExpectedBucketOwner", params["Bucket"]))
    if params.get("ExpectedSourceBucketOwner") is not None and "CopySource" in params:
        expected.append(("ExpectedSourceBucketOwner", read_source(params["CopySource"]).bucket))
    return expected


async def _check_owner(store: Store, bucket: str, account: str) -> None:
    if len(account) != 12 or not (account.isascii() and account.isdecimal()):
        sentence = f"The value of the expected bucket owner parameter must be an AWS Account ID... [{account}]"
        raise ServiceError("InvalidBucketOwnerAWSAccountID", sentence)
    found = await store.read(lambda tx: find_bucket(tx, bucket))
    if found is not None and found.account != account:
        raise access_denied()
