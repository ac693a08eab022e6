"""Buckets for tests of S3: made, and emptied and deleted again."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

MALFORMED = "The XML you provided was not well-formed or did not validate against our published schema"


@contextmanager
def new_bucket(s3: Any, **params: Any) -> Iterator[str]:
    name = f"b-{uuid.uuid4().hex[:20]}"
    s3.create_bucket(Bucket=name, **params)
    try:
        yield name
    finally:
        empty(s3, name)
        s3.delete_bucket(Bucket=name)


def empty(s3: Any, bucket: str) -> None:
    while True:
        page = s3.list_object_versions(Bucket=bucket)
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if not found:
            return
        for each in found:
            s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])


def open_up(s3: Any, bucket: str, *, ownership: str = "ObjectWriter") -> None:
    """With nothing left of what shuts a new bucket."""
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": ownership}]})


def refusal(call: Callable[..., Any], **params: Any) -> dict[str, Any]:
    """The error's fields, its status among them."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    response = caught.value.response
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    return {**response["Error"], "Status": status}


def code(call: Callable[..., Any], **params: Any) -> str:
    return str(refusal(call, **params)["Code"])


def sentence(call: Callable[..., Any], **params: Any) -> str:
    found = refusal(call, **params)
    return f"{found['Code']}: {found['Message']}"
