"""The source of a copy, as `x-amz-copy-source` names it: `/bucket/key?versionId=id`, URL-encoded; a plus is a space."""

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

from cosset.services.s3.errors import invalid_argument
from cosset.wire.errors import ServiceError

_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class CopySource:
    bucket: str
    key: str
    version: str | None = None


def read_source(header: str) -> CopySource:
    """Raises: ServiceError InvalidArgument (recorded: test_s3_copy_object_wrong_format)."""
    if _BROKEN.search(header):
        raise _invalid("Invalid copy source encoding.")
    path, mark, query = header.partition("?versionId=")
    bucket, slash, key = unquote_plus(path).removeprefix("/").partition("/")
    if bucket.startswith("arn:"):
        raise ServiceError("InvalidRequest", "Copies from access points are not there: name the bucket.")
    if not bucket:
        raise _invalid("Invalid copy source bucket name")
    if not slash or not key:
        raise _invalid("Invalid copy source object key")
    return CopySource(bucket, key, unquote_plus(query) if mark else None)


def _invalid(sentence: str) -> ServiceError:
    return invalid_argument(sentence, "x-amz-copy-source", "x-amz-copy-source")
