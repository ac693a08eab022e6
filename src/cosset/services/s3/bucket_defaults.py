"""What holds for all objects of a bucket: versioning, encryption, object lock, acceleration, who pays, access logs.

Nothing is encrypted with keys here beyond what the disk does (SSE-S3 and SSE-KMS are noted, as headers tell), nothing
is faster for acceleration, and nobody pays: where the requester is to, whoever does not say that he does is kept out.
Who delivers access logs: access_logs.py.
"""

from collections.abc import Mapping
from typing import Any

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3 import mfa_deletes
from cosset.services.s3.acl import PERMISSIONS
from cosset.services.s3.bucket_book import change_bucket, find_bucket, need_bucket, put_setting, read_setting
from cosset.services.s3.bucket_settings import BucketSettings, plain
from cosset.services.s3.errors import invalid_argument, malformed_xml
from cosset.services.s3.kinds import Kind
from cosset.services.s3.mfa_deletes import MfaDeletes
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.requirements import on_bucket
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

_NO_LOCK = ("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
DEFAULT_ENCRYPTION = {
    "Rules": [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": False,
            "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
        }
    ]
}


class BucketDefaults:
    def __init__(self, settings: BucketSettings, mfa: MfaDeletes) -> None:
        self._settings = settings
        self._store = settings.store
        self._mfa = mfa

    @operation("PutBucketVersioning", on_bucket("PutBucketVersioning"))
    async def put_bucket_versioning(self, ctx: Context, params: Params) -> None:
        given = params["VersioningConfiguration"]
        is_shown = await self._mfa.is_shown(ctx, params.get("MFA"))
        status, wanted = given.get("Status"), given.get("MFADelete")
        if wanted == mfa_deletes.ON and not is_shown:
            raise mfa_deletes.needs_mfa()
        if status is None:
            sentence = "The Versioning element must be specified"
            raise ServiceError("IllegalVersioningConfigurationException", sentence)

        def work(tx: Transaction) -> None:
            bucket = need_bucket(tx, params["Bucket"])
            if bucket.has_object_lock and status != Versioning.ENABLED:
                sentence = (
                    "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
                )
                raise ServiceError("InvalidBucketState", sentence, status=409)
            if status != Versioning.ENABLED and read_setting(tx, bucket.name, Kind.REPLICATION) is not None:
                sentence = (
                    "A replication configuration is present on this bucket, so the versioning state cannot be changed."
                )
                raise ServiceError("InvalidBucketState", sentence, status=409)
            mfa_deletes.check_shown(tx, bucket, is_shown=is_shown)
            if wanted == mfa_deletes.ON and read_setting(tx, bucket.name, Kind.LIFECYCLE) is not None:
                sentence = "MFA delete cannot be enabled on a bucket with a lifecycle configuration."
                raise ServiceError("InvalidBucketState", sentence, status=409)
            if wanted is not None and is_shown:
                put_setting(tx, bucket.name, Kind.MFA_DELETE, wanted)
            change_bucket(tx, bucket.name, versioning=Versioning(status))

        await self._store.write(work)

    @operation("GetBucketVersioning", on_bucket("GetBucketVersioning"))
    async def get_bucket_versioning(self, ctx: Context, params: Params) -> Result:
        def read(tx: Transaction) -> tuple[Bucket, str | None]:
            bucket = need_bucket(tx, params["Bucket"])
            return bucket, read_setting(tx, bucket.name, Kind.MFA_DELETE)

        bucket, mfa = await self._store.read(read)
        shown: Result = {} if bucket.versioning is Versioning.NEVER else {"Status": bucket.versioning}
        return shown if mfa is None else {**shown, "MFADelete": mfa}

    @operation("PutBucketEncryption", on_bucket("PutEncryptionConfiguration"))
    async def put_bucket_encryption(self, ctx: Context, params: Params) -> None:
        rules = params["ServerSideEncryptionConfiguration"]["Rules"]
        if len(rules) != 1 or not rules[0]:
            raise malformed_xml()
        rule = {"BucketKeyEnabled": False, **rules[0]}
        applied = rule.get("ApplyServerSideEncryptionByDefault")
        if applied is not None and applied.get("KMSMasterKeyID") and applied["SSEAlgorithm"] == "AES256":
            sentence = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"
            error = invalid_argument(sentence, "ApplyServerSideEncryptionByDefault", "")
            del error.fields["ArgumentValue"]
            raise error
        await self._settings.put(params["Bucket"], Kind.ENCRYPTION, {"Rules": [rule]})

    @operation("GetBucketEncryption", on_bucket("GetEncryptionConfiguration"))
    async def get_bucket_encryption(self, ctx: Context, params: Params) -> Result:
        found = await self._settings.find(params["Bucket"], Kind.ENCRYPTION)
        return {"ServerSideEncryptionConfiguration": found or DEFAULT_ENCRYPTION}

    @operation("DeleteBucketEncryption", on_bucket("PutEncryptionConfiguration"))
    async def delete_bucket_encryption(self, ctx: Context, params: Params) -> None:
        await self._settings.remove(params["Bucket"], Kind.ENCRYPTION)

    @operation("PutObjectLockConfiguration", on_bucket("PutBucketObjectLockConfiguration"))
    async def put_object_lock_configuration(self, ctx: Context, params: Params) -> Result:
        given = params.get("ObjectLockConfiguration") or {}
        if given.get("ObjectLockEnabled") != "Enabled":
            raise malformed_xml()
        rule = given.get("Rule")
        if rule is not None:
            _check_retention(rule.get("DefaultRetention") or {})

        def work(tx: Transaction) -> None:
            bucket = need_bucket(tx, params["Bucket"])
            if bucket.versioning is not Versioning.ENABLED:
                sentence = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
                raise ServiceError("InvalidBucketState", sentence, status=409)
            put_setting(tx, bucket.name, Kind.OBJECT_LOCK, given)
            change_bucket(tx, bucket.name, has_object_lock=True)

        await self._store.write(work)
        return {}

    @operation("GetObjectLockConfiguration", on_bucket("GetBucketObjectLockConfiguration"))
    async def get_object_lock_configuration(self, ctx: Context, params: Params) -> Result:
        def read(tx: Transaction) -> Any:
            bucket = need_bucket(tx, params["Bucket"])
            return lock_of(tx, bucket)

        found = await self._store.read(read)
        if found is None:
            raise ServiceError(*_NO_LOCK, status=404, fields={"BucketName": params["Bucket"]})
        return {"ObjectLockConfiguration": found}

    @operation("PutBucketAccelerateConfiguration", on_bucket("PutAccelerateConfiguration"))
    async def put_bucket_accelerate_configuration(self, ctx: Context, params: Params) -> None:
        status = params["AccelerateConfiguration"].get("Status")
        if status is None:
            raise malformed_xml()
        if "." in params["Bucket"]:
            sentence = "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names"
            raise ServiceError("InvalidRequest", sentence)
        await self._settings.put(params["Bucket"], Kind.ACCELERATE, status)

    @operation("GetBucketAccelerateConfiguration", on_bucket("GetAccelerateConfiguration"))
    async def get_bucket_accelerate_configuration(self, ctx: Context, params: Params) -> Result:
        found = await self._settings.find(params["Bucket"], Kind.ACCELERATE)
        return {} if found is None else {"Status": found}

    @operation("PutBucketRequestPayment", on_bucket("PutBucketRequestPayment"))
    async def put_bucket_request_payment(self, ctx: Context, params: Params) -> None:
        payer = params["RequestPaymentConfiguration"]["Payer"]
        await self._settings.put(params["Bucket"], Kind.REQUEST_PAYMENT, payer)

    @operation("GetBucketRequestPayment", on_bucket("GetBucketRequestPayment"))
    async def get_bucket_request_payment(self, ctx: Context, params: Params) -> Result:
        return {"Payer": await self._settings.find(params["Bucket"], Kind.REQUEST_PAYMENT) or "BucketOwner"}

    @operation("PutBucketLogging", on_bucket("PutBucketLogging"))
    async def put_bucket_logging(self, ctx: Context, params: Params) -> None:
        enabled = params["BucketLoggingStatus"].get("LoggingEnabled")
        if enabled is None:
            await self._settings.remove(params["Bucket"], Kind.LOGGING)
            return

        def check(tx: Transaction, bucket: Bucket) -> None:
            _check_log_target(find_bucket(tx, enabled["TargetBucket"]), bucket, enabled)

        await self._settings.put(params["Bucket"], Kind.LOGGING, plain(enabled), check)

    @operation("GetBucketLogging", on_bucket("GetBucketLogging"))
    async def get_bucket_logging(self, ctx: Context, params: Params) -> Result:
        found = await self._settings.find(params["Bucket"], Kind.LOGGING)
        return {} if found is None else {"LoggingEnabled": found}


def lock_of(tx: Transaction, bucket: Bucket) -> Any:
    """The object lock configuration, None where the bucket has no object lock."""
    if not bucket.has_object_lock:
        return None
    return read_setting(tx, bucket.name, Kind.OBJECT_LOCK) or {"ObjectLockEnabled": "Enabled"}


def _check_retention(retention: Mapping[str, Any]) -> None:
    days, years = retention.get("Days"), retention.get("Years")
    if retention.get("Mode") is None or (days is None) == (years is None):
        raise malformed_xml()
    period, most = (int(days or 0), 36_500) if years is None else (int(years), 100)
    fields = {"ArgumentName": "Days" if years is None else "Years"}
    if period <= 0:
        sentence = "Default retention period must be a positive integer value."
        raise ServiceError("InvalidArgument", sentence, fields=fields)
    if period > most:
        raise ServiceError("InvalidArgument", "Default retention period is too large.", fields=fields)


def _check_log_target(target: Bucket | None, bucket: Bucket, enabled: Mapping[str, Any]) -> None:
    # More is taken than the model lists (recorded: test_put_bucket_logging_accept_wrong_grants).
    if any(grant.get("Permission") not in PERMISSIONS for grant in enabled.get("TargetGrants") or ()):
        raise malformed_xml()
    if len(enabled.get("TargetObjectKeyFormat") or {}) > 1:
        raise malformed_xml()
    if target is None or target.account != bucket.account:
        sentence = "The target bucket for logging does not exist"
        fields = {"TargetBucket": enabled["TargetBucket"]}
        raise ServiceError("InvalidTargetBucketForLogging", sentence, fields=fields)
    if target.region != bucket.region:
        sentence = "Cross S3 location logging not allowed. "
        fields = {"TargetBucketLocation": target.region}
        raise ServiceError("CrossLocationLoggingProhibitted", sentence, status=403, fields=fields)
