"""What CreateBucket takes: names and regions. Source: AWS's page on bucket naming rules, and recorded answers."""

import re

from cosset.services.s3.errors import invalid_argument
from cosset.wire.errors import ServiceError

HOME = "us-east-1"
"""The region that is not named as a location constraint, and where making a bucket twice is no error."""
_NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+\Z)[a-z0-9](?:[a-z0-9]|-(?!\.)|\.(?![.-])){1,61}[a-z0-9]", re.ASCII)
_RESERVED = re.compile(r"(?:xn--|sthree-|amzn-s3-demo-).*|.*(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)", re.ASCII)
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+){1,3}-\d", re.ASCII)
OLD_NAMES = {"EU": "eu-west-1"}
"""Of regions, as location constraints."""


def check_name(name: str) -> None:
    """Raises ServiceError InvalidBucketName."""
    if _NAME.fullmatch(name) is None or _RESERVED.fullmatch(name) is not None:
        raise ServiceError("InvalidBucketName", "The specified bucket is not valid.", fields={"BucketName": name})


def check_region(name: str) -> None:
    """Raises ServiceError InvalidArgument."""
    if _REGION.fullmatch(name) is None:
        raise invalid_argument(f"Argument value {name} is not a valid AWS Region", "bucket-region", name)


def chosen_region(endpoint: str, constraint: str | None) -> str:
    """The region of a bucket that is made at the endpoint of a region. Raises ServiceError."""
    if endpoint == HOME:
        if constraint is None:
            return HOME
        region = OLD_NAMES.get(constraint, constraint)
        if region == HOME or _REGION.fullmatch(region) is None:
            sentence = "The specified location-constraint is not valid"
            raise ServiceError("InvalidLocationConstraint", sentence, fields={"LocationConstraint": constraint})
        return region
    if constraint is None or (constraint != endpoint and OLD_NAMES.get(constraint) != endpoint):
        sentence = (
            f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific endpoint "
            "this request was sent to."
        )
        raise ServiceError("IllegalLocationConstraintException", sentence)
    return endpoint
