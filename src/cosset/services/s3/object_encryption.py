"""The encryption of an object that is there becomes another: bytes, ETag, checksums and dates stay what they are.

What the kinds of encryption come to here: encryption.py. Sentences: the API reference of UpdateObjectEncryption.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cosset.identity.evaluation.context import ContextValue
from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, operation
from cosset.services.s3.finding import check_version, find_named
from cosset.services.s3.keys import check_key
from cosset.services.s3.locks import check_deletable
from cosset.services.s3.object_requirements import object_arn
from cosset.services.s3.object_writes import ObjectWrites
from cosset.services.s3.versions import change_facts
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

_KEY = re.compile(r"arn:aws:kms:[a-z0-9-]+:(\d{12}):key/[A-Za-z0-9-]+", re.ASCII)
_TO = "Requests that modify an object's encryption type to SSE-KMS require a"
_FROM = (
    "The UpdateObjectEncryption operation doesn't support source objects with the encryption type DSSE-KMS or SSE-C. "
    "Only source objects encrypted with SSE-S3 or SSE-KMS are supported."
)
_LOCKED = (
    "The encryption type for the specified object can't be updated because that object is protected by S3 Object Lock. "
    "If the object has a governance-mode retention period or a legal hold, you must first remove the Object Lock "
    "status on the object before you issue your UpdateObjectEncryption request."
)
_ANOTHERS = (
    "The Amazon Web Services KMS key in the request must be owned by the same account as the bucket. Modify the "
    "request to specify a KMS key from the same account, and then try again."
)


def _on_encryption(ctx: Context, params: Params) -> Sequence[Requirement]:
    version = params.get("VersionId")
    context: dict[str, ContextValue] = {} if version is None else {"s3:VersionId": version}
    return [Requirement("s3:UpdateObjectEncryption", object_arn(params["Bucket"], params["Key"]), context)]


class ObjectEncryption:
    def __init__(self, writes: ObjectWrites) -> None:
        self._writes = writes

    @operation("UpdateObjectEncryption", _on_encryption)
    async def update_object_encryption(self, ctx: Context, params: Params) -> None:
        check_key(params["Key"])
        check_version(params.get("VersionId"))
        wanted = _wanted(params["ObjectEncryption"])

        def work(tx: Transaction) -> None:
            bucket, found = find_named(tx, params, "PUT", latest_marker_is_told=True)
            if bucket.account not in wanted["SSEKMSKeyId"].split(":"):
                raise ServiceError("AccessDenied", _ANOTHERS, status=403)
            _check_source(found.facts, self._writes.clock.now_ms())
            change_facts(tx, found, encryption=wanted)

        await self._writes.store.write(work)


def _wanted(given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises: ServiceError InvalidRequest."""
    asked = given.get("SSEKMS")
    if asked is None:
        raise ServiceError(
            "InvalidRequest",
            "Requests that modify an object encryption configuration require a valid new encryption type. Valid values "
            "are SSEKMS. Modify the request to specify SSE-KMS for the updated encryption type, and then try again.",
        )
    if _KEY.fullmatch(asked["KMSKeyArn"]) is None:
        raise ServiceError(
            "InvalidRequest",
            f"{_TO} valid Amazon Web Services KMS key Amazon Resource Name (ARN). Confirm that you have a correctly "
            "formatted KMS key ARN in your request, and then try again.",
        )
    kept = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": asked["KMSKeyArn"]}
    return {**kept, "BucketKeyEnabled": True} if asked.get("BucketKeyEnabled") else kept


def _check_source(facts: Mapping[str, Any], now_ms: int) -> None:
    """Raises: ServiceError InvalidRequest, AccessDenied."""
    there: Mapping[str, Any] = facts.get("encryption") or {}
    if "customer" in there or there.get("ServerSideEncryption") == "aws:kms:dsse":
        raise ServiceError("InvalidRequest", _FROM)
    try:
        check_deletable(facts, now_ms, bypasses=False)
    except ServiceError:
        raise ServiceError("AccessDenied", _LOCKED, status=403) from None
