"""What IAM must allow for an operation: the action on the bucket, or on the object in it."""

from collections.abc import Sequence

from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, Requirements


def on_bucket(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"s3:{action}", f"arn:aws:s3:::{params['Bucket']}")]

    return requirements


def on_everything(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"s3:{action}", "*")]

    return requirements


def on_object(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"s3:{action}", f"arn:aws:s3:::{params['Bucket']}/{params['Key']}")]

    return requirements


def on_version(action: str) -> Requirements:
    """Of a version that is named: `s3:GetObject` is `s3:GetObjectVersion` then."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        arn = f"arn:aws:s3:::{params['Bucket']}/{params['Key']}"
        version = params.get("VersionId")
        if version is None:
            return [Requirement(f"s3:{action}", arn)]
        name = action.replace("Object", "ObjectVersion", 1)
        return [Requirement(f"s3:{name}", arn, {"s3:VersionId": version})]

    return requirements


def on_list(action: str) -> Requirements:
    """Lists: policies may ask for the prefix, the delimiter and the length of the page."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        context = {
            key: str(params[name])
            for key, name in (("s3:prefix", "Prefix"), ("s3:delimiter", "Delimiter"), ("s3:max-keys", "MaxKeys"))
            if name in params
        }
        return [Requirement(f"s3:{action}", f"arn:aws:s3:::{params['Bucket']}", context)]

    return requirements


def listing_of(bucket: str) -> Requirement:
    """The right to know what is in a bucket, and so what is not."""
    return Requirement("s3:ListBucket", f"arn:aws:s3:::{bucket}")
