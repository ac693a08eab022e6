"""What IAM must allow to make a bucket, and to say who may reach it: more than one action, or conditions of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from cosset.identity.evaluation.context import ContextValue
from cosset.identity.ports import Requirement, tag_request
from cosset.services.operation import Context, Params

_CONDITIONS = {
    "s3:x-amz-acl": "ACL",
    "s3:x-amz-grant-full-control": "GrantFullControl",
    "s3:x-amz-grant-read": "GrantRead",
    "s3:x-amz-grant-read-acp": "GrantReadACP",
    "s3:x-amz-grant-write": "GrantWrite",
    "s3:x-amz-grant-write-acp": "GrantWriteACP",
}
_GRANTS = tuple(_CONDITIONS.values())
_CONDITIONS_OF_NEW = _CONDITIONS | {
    "s3:x-amz-object-ownership": "ObjectOwnership",
    "s3:x-amz-bucket-namespace": "BucketNamespace",
}


def on_new_bucket(ctx: Context, params: Params) -> Sequence[Requirement]:
    """What it is made with beside its name has actions of its own, as on AWS."""
    arn, configuration = f"arn:aws:s3:::{params['Bucket']}", params.get("CreateBucketConfiguration") or {}
    context = _conditions(params, _CONDITIONS_OF_NEW)
    if configuration.get("LocationConstraint"):
        context["s3:locationconstraint"] = configuration["LocationConstraint"]
    actions = ["CreateBucket"]
    if any(params.get(name) is not None for name in _GRANTS):
        actions.append("PutBucketAcl")
    if params.get("ObjectLockEnabledForBucket"):
        actions += ["PutBucketObjectLockConfiguration", "PutBucketVersioning"]
    if params.get("ObjectOwnership") is not None:
        actions.append("PutBucketOwnershipControls")
    tags = {tag["Key"]: tag["Value"] for tag in configuration.get("Tags") or () if "Key" in tag and "Value" in tag}
    if tags:
        actions.append("TagResource")
        context |= tag_request(tags)
    return [Requirement(f"s3:{action}", arn, context) for action in actions]


def on_bucket_acl(ctx: Context, params: Params) -> Sequence[Requirement]:
    return [Requirement("s3:PutBucketAcl", f"arn:aws:s3:::{params['Bucket']}", _conditions(params, _CONDITIONS))]


def _conditions(params: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, ContextValue]:
    return {key: str(params[name]) for key, name in names.items() if params.get(name) is not None}
