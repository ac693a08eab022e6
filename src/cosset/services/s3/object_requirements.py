"""What IAM must allow for the operations on objects that need more than one action, or one that depends on the call."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cosset.identity.evaluation.context import ContextValue
from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, Requirements
from cosset.services.s3.copy_sources import read_source
from cosset.services.s3.tags import read_pairs

_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP", "GrantWrite")
_IN_CONDITIONS = {
    "s3:x-amz-acl": "ACL",
    "s3:x-amz-copy-source": "CopySource",
    "s3:x-amz-metadata-directive": "MetadataDirective",
    "s3:x-amz-server-side-encryption": "ServerSideEncryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "s3:x-amz-server-side-encryption-customer-algorithm": "SSECustomerAlgorithm",
    "s3:x-amz-storage-class": "StorageClass",
    "s3:x-amz-website-redirect-location": "WebsiteRedirectLocation",
    "s3:object-lock-mode": "ObjectLockMode",
    "s3:object-lock-legal-hold": "ObjectLockLegalHoldStatus",
    "s3:x-amz-grant-full-control": "GrantFullControl",
    "s3:x-amz-grant-read": "GrantRead",
    "s3:x-amz-grant-read-acp": "GrantReadACP",
    "s3:x-amz-grant-write": "GrantWrite",
    "s3:x-amz-grant-write-acp": "GrantWriteACP",
    "s3:if-match": "IfMatch",
    "s3:if-none-match": "IfNoneMatch",
}

_MAKES_NONE = frozenset({"CreateMultipartUpload", "UploadPart", "UploadPartCopy"})

NEW_OBJECT = "cosset:newobject"
"""A condition key of our own: the ACL is that of an object which the call makes."""
UPLOAD = "cosset:upload"
"""Another: the upload that the call goes on with."""


def object_arn(bucket: str, key: str) -> str:
    return f"arn:aws:s3:::{bucket}/{key}"


def conditions(params: Mapping[str, Any]) -> dict[str, ContextValue]:
    """The condition keys that a call's headers fill."""
    found: dict[str, ContextValue] = {
        key: str(params[name]) for key, name in _IN_CONDITIONS.items() if params.get(name) is not None
    }
    return found | _tagging_conditions(params)


def _tagging_conditions(params: Mapping[str, Any]) -> dict[str, ContextValue]:
    found: dict[str, ContextValue] = {}
    if params.get("Tagging") and isinstance(params["Tagging"], str):
        tags = read_pairs(params["Tagging"])
        found |= {f"s3:RequestObjectTag/{name}": value for name, value in tags}
        found["s3:RequestObjectTagKeys"] = [name for name, _ in tags]
    return found


def lock_conditions(ctx: Context, until: datetime | None) -> dict[str, ContextValue]:
    """Until when a version is to be locked, and for how many days that is."""
    if until is None or ctx.call is None:
        return {}
    days = (until.timestamp() - ctx.call.now_ms / 1000) / 86_400
    return {
        "s3:object-lock-retain-until-date": until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "s3:object-lock-remaining-retention-days": str(int(days)),
    }


def _creation(ctx: Context) -> dict[str, ContextValue]:
    """Of the calls that upload something, those that begin or go on with an upload make no object."""
    return {"s3:ObjectCreationOperation": str(ctx.operation not in _MAKES_NONE).lower()}


def on_put(ctx: Context, params: Params) -> Sequence[Requirement]:
    """PutObject and what else makes an object: what its headers set beside the bytes has actions of its own."""
    arn = object_arn(params["Bucket"], params["Key"])
    context = conditions(params) | _creation(ctx) | lock_conditions(ctx, params.get("ObjectLockRetainUntilDate"))
    actions = ["s3:PutObject"]
    if params.get("Tagging"):
        actions.append("s3:PutObjectTagging")
    if params.get("ACL") is not None or any(params.get(name) is not None for name in _GRANTS):
        actions.append("s3:PutObjectAcl")
        context[NEW_OBJECT] = "true"
    if params.get("ObjectLockMode") is not None or params.get("ObjectLockRetainUntilDate") is not None:
        actions.append("s3:PutObjectRetention")
    if params.get("ObjectLockLegalHoldStatus") is not None:
        actions.append("s3:PutObjectLegalHold")
    return [Requirement(action, arn, context) for action in actions]


def on_copy(ctx: Context, params: Params) -> Sequence[Requirement]:
    """The source is read with the caller's own right, tags too, where they are copied."""
    needed = list(on_put(ctx, params))
    if params.get("TaggingDirective", "COPY") == "COPY" and params.get("Tagging"):
        needed = [each for each in needed if each.action != "s3:PutObjectTagging"]
    return [*_on_source(params), *needed]


def on_part(ctx: Context, params: Params) -> Sequence[Requirement]:
    """A part is encrypted as its upload is, whatever its own headers say."""
    context = conditions(params) | _creation(ctx)
    if params.get("UploadId"):
        context[UPLOAD] = params["UploadId"]
    return [Requirement("s3:PutObject", object_arn(params["Bucket"], params["Key"]), context)]


def on_part_copy(ctx: Context, params: Params) -> Sequence[Requirement]:
    return [*_on_source(params), *on_part(ctx, params)]


def on_delete(ctx: Context, params: Params) -> Sequence[Requirement]:
    arn, version = object_arn(params["Bucket"], params["Key"]), params.get("VersionId")
    found = [deletion(arn, version)]
    if params.get("BypassGovernanceRetention"):
        found.append(Requirement("s3:BypassGovernanceRetention", arn))
    return found


def deletion(arn: str, version: str | None) -> Requirement:
    if version is None:
        return Requirement("s3:DeleteObject", arn)
    return Requirement("s3:DeleteObjectVersion", arn, {"s3:VersionId": version})


def on_retention(ctx: Context, params: Params) -> Sequence[Requirement]:
    arn = object_arn(params["Bucket"], params["Key"])
    wanted = params.get("Retention") or {}
    context = lock_conditions(ctx, wanted.get("RetainUntilDate"))
    if wanted.get("Mode") is not None:
        context["s3:object-lock-mode"] = wanted["Mode"]
    needed = [Requirement("s3:PutObjectRetention", arn, context)]
    if params.get("BypassGovernanceRetention"):
        needed.append(Requirement("s3:BypassGovernanceRetention", arn))
    return needed


def on_attributes(ctx: Context, params: Params) -> Sequence[Requirement]:
    arn, version = object_arn(params["Bucket"], params["Key"]), params.get("VersionId")
    infix = "" if version is None else "Version"
    context: dict[str, ContextValue] = {} if version is None else {"s3:VersionId": version}
    return [Requirement(f"s3:GetObject{infix}{suffix}", arn, context) for suffix in ("", "Attributes")]


def on_tags(action: str) -> Requirements:
    """PutObjectTagging and its kin, which a named version makes PutObjectVersionTagging."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        arn, version = object_arn(params["Bucket"], params["Key"]), params.get("VersionId")
        given = (params.get("Tagging") or {}).get("TagSet", ())
        context: dict[str, ContextValue] = {f"s3:RequestObjectTag/{each['Key']}": each["Value"] for each in given}
        if given:
            context["s3:RequestObjectTagKeys"] = [each["Key"] for each in given]
        if version is None:
            return [Requirement(f"s3:{action}ObjectTagging", arn, context)]
        return [Requirement(f"s3:{action}ObjectVersionTagging", arn, {**context, "s3:VersionId": version})]

    return requirements


def _on_source(params: Params) -> Sequence[Requirement]:
    source = read_source(params["CopySource"])
    arn = object_arn(source.bucket, source.key)
    if source.version is None:
        return [Requirement("s3:GetObject", arn)]
    return [Requirement("s3:GetObjectVersion", arn, {"s3:VersionId": source.version})]
