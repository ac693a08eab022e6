"""The source of a copy, as `x-amz-copy-source` names it: `/bucket/key?versionId=id`, URL-encoded."""

from dataclasses import dataclass
from urllib.parse import unquote

from cosset.services.s3.errors import invalid_argument
from cosset.wire.errors import ServiceError


@dataclass(frozen=True, slots=True)
class CopySource:
    bucket: str
    key: str
    version: str | None = None


def read_source(header: str) -> CopySource:
    """Raises: ServiceError InvalidArgument (recorded: test_s3_copy_object_wrong_format)."""
    path, mark, query = header.partition("?versionId=")
    bucket, slash, key = unquote(path).removeprefix("/").partition("/")
    if bucket.startswith("arn:"):
        raise ServiceError("InvalidRequest", "Copies from access points are not there: name the bucket.")
    if not bucket or not slash or not key:
        raise invalid_argument("Invalid copy source object key", "x-amz-copy-source", "x-amz-copy-source")
    return CopySource(bucket, key, unquote(query) if mark else None)
