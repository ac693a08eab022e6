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
