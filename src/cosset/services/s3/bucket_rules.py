"""What CreateBucket takes: names and regions. Source: AWS's page on bucket naming rules, and recorded answers."""

import re
from collections.abc import Mapping
from typing import Any

from cosset.services.s3.errors import invalid_argument
from cosset.wire.errors import OperationNotImplementedError, ServiceError

HOME = "us-east-1"
"""The region that is not named as a location constraint, and where making a bucket twice is no error."""
_NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+\Z)[a-z0-9](?:[a-z0-9]|-(?!\.)|\.(?![.-])){1,61}[a-z0-9]", re.ASCII)
_RESERVED = re.compile(r"(?:xn--|sthree-|amzn-s3-demo-).*|.*(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)", re.ASCII)
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+){1,3}-\d", re.ASCII)
_OF_ACCOUNT = re.compile(r"-\d{12}-[a-z]{2}(?:-[a-z]+){1,3}-\d-an\Z", re.ASCII)
_NAMESPACE = "x-amz-bucket-namespace"
OLD_NAMES = {"EU": "eu-west-1"}
"""Of regions, as location constraints."""


def check_name(name: str) -> None:
    """Raises ServiceError InvalidBucketName."""
    if _NAME.fullmatch(name) is None or _RESERVED.fullmatch(name) is not None:
        raise ServiceError("InvalidBucketName", "The specified bucket is not valid.", fields={"BucketName": name})


def check_namespace(name: str, namespace: str | None, account: str, region: str) -> None:
    """Names that end like `-111122223333-us-west-2-an` are their account's own, in that region, if it says so.

    Seen in reports of CreateBucket; the sentence for a suffix that is not the caller's is by analogy.
    Raises ServiceError MissingNamespaceHeader, InvalidNamespaceHeader, InvalidArgument.
    """
    fields = {"Header": _NAMESPACE}
    if namespace not in (None, "global", "account-regional"):
        raise invalid_argument("The bucket namespace you specified is not valid", _NAMESPACE, str(namespace))
    if namespace != "account-regional":
        if _OF_ACCOUNT.search(name) is not None:
            sentence = (
                "The requested bucket is an account-regional namespace bucket, but your request is missing the "
                f"required {_NAMESPACE} header."
            )
            raise ServiceError("MissingNamespaceHeader", sentence, fields=fields)
    elif not name.endswith(f"-{account}-{region}-an"):
        sentence = f"The requested bucket name must end with the account-regional suffix -{account}-{region}-an."
        raise ServiceError("InvalidNamespaceHeader", sentence, fields=fields)


def check_kind(configuration: Mapping[str, Any]) -> None:
    """Raises OperationNotImplementedError for a bucket in one zone."""
    if configuration.get("Location") is not None or configuration.get("Bucket") is not None:
        raise OperationNotImplementedError("s3", "CreateBucket of directory buckets")


def check_region(name: str, asked: str) -> None:
    """Of `bucket-region`, in a call to the region `asked`: of its buckets a region tells alone.

    Seen in reports of ListBuckets. Raises ServiceError InvalidArgument.
    """
    sentence = None
    if _REGION.fullmatch(name) is None:
        sentence = f"Argument value {name} is not a valid AWS Region"
    elif name != asked:
        sentence = "Requests with bucket-region specified must be made to the corresponding regional endpoint"
    if sentence is not None:
        raise ServiceError("InvalidArgument", sentence, fields={"ArgumentName": "bucket-region"})


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
