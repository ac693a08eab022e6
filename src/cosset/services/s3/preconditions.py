"""Conditional requests: If-Match and its kin, on reading and on writing.

Recorded: test_s3_get_object_preconditions, TestS3ObjectWritePrecondition, TestS3DeletePrecondition.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import formatdate
from typing import Any

from cosset.services.s3.errors import no_such_key
from cosset.services.s3.versions import ObjectVersion
from cosset.wire.errors import ServiceError

_OF_CACHES = {"CacheControl": "Cache-Control", "Expires": "Expires"}
_EXPRESS_ONLY = {"IfMatchLastModifiedTime": "x-amz-if-match-last-modified-time", "IfMatchSize": "x-amz-if-match-size"}


def check_read(found: ObjectVersion, params: Mapping[str, Any], now_ms: int, prefix: str = "") -> None:
    """`prefix` is `CopySource` for the source of a copy. Raises ServiceError PreconditionFailed (412), or 304."""
    unmodified = _time(params.get(f"{prefix}IfUnmodifiedSince"))
    modified = _time(params.get(f"{prefix}IfModifiedSince"))
    match, none_match = params.get(f"{prefix}IfMatch"), params.get(f"{prefix}IfNoneMatch")
    modified_s = found.modified_ms // 1000
    header = "x-amz-copy-source-" if prefix else ""
    if match is not None and not _matches(found.etag, match):
        raise failed(f"{header}If-Match")
    if match is None and unmodified is not None and modified_s > unmodified:
        raise failed(f"{header}If-Unmodified-Since")
    if none_match is not None:
        if _matches(found.etag, none_match):
            raise failed(f"{header}If-None-Match") if prefix else not_modified(found)
    elif modified is not None and modified_s <= modified <= now_ms // 1000:
        raise failed(f"{header}If-Modified-Since") if prefix else not_modified(found)


def has_not_changed(found: ObjectVersion, if_range: str | None) -> bool:
    """Whether a range of it goes with what the caller has: `If-Range` is an ETag, or when it was last modified."""
    if if_range is None:
        return True
    given = if_range.strip()
    return given in (f'"{found.etag}"', formatdate(found.modified_ms // 1000, usegmt=True))


def has_conditions(params: Mapping[str, Any]) -> bool:
    """Whether `check_write` has anything to ask of what is there."""
    return params.get("IfMatch") is not None or params.get("IfNoneMatch") is not None


def check_write(there: ObjectVersion | None, key: str, params: Mapping[str, Any]) -> None:
    """Before something is put in the place of `there`. Raises ServiceError."""
    match, none_match = params.get("IfMatch"), params.get("IfNoneMatch")
    current = there if there is not None and not there.is_marker else None
    if match is not None:
        if current is None:
            raise no_such_key(key)
        if not _matches(current.etag, match):
            raise failed("If-Match")
    if none_match is not None and current is not None:
        raise failed("If-None-Match")


def check_delete(there: ObjectVersion | None, key: str, params: Mapping[str, Any]) -> None:
    """Before `there` is deleted. Raises ServiceError PreconditionFailed, NoSuchKey, NotImplemented."""
    for name, header in _EXPRESS_ONLY.items():
        if params.get(name) is not None:
            raise not_implemented(header)
    match = params.get("IfMatch")
    if match is None:
        return
    if there is None or there.is_marker:
        if match == "*":
            raise failed("If-Match")
        raise no_such_key(key)
    if not _matches(there.etag, match):
        raise failed("If-Match")


def check_write_headers(params: Mapping[str, Any]) -> None:
    """What S3 takes of these headers at all: an ETag for the one, `*` for the other, never both."""
    match, none_match = params.get("IfMatch"), params.get("IfNoneMatch")
    if params.get("WriteOffsetBytes") is not None:
        raise not_implemented("x-amz-write-offset-bytes")
    if match is not None and none_match is not None:
        raise not_implemented("If-Match,If-None-Match", "Multiple conditional request headers present in the request")
    if match == "*":
        raise not_implemented("If-Match", "We don't accept the provided value of If-Match header for this API")
    if none_match is not None and none_match != "*":
        raise not_implemented(
            "If-None-Match", "We don't accept the provided value of If-None-Match header for this API"
        )


def failed(condition: str) -> ServiceError:
    sentence = "At least one of the pre-conditions you specified did not hold"
    return ServiceError("PreconditionFailed", sentence, status=412, fields={"Condition": condition})


def not_modified(found: ObjectVersion) -> ServiceError:
    """With what a cache needs to know that it is the same."""
    headers = {"ETag": f'"{found.etag}"', "Last-Modified": formatdate(found.modified_ms // 1000, usegmt=True)}
    kept = found.facts["headers"]
    headers |= {header: kept[name] for name, header in _OF_CACHES.items() if isinstance(kept.get(name), str)}
    return ServiceError("NotModified", "Not Modified", status=304, headers=headers)


def _matches(etag: str, given: str) -> bool:
    return any(each.strip().strip('"') in (etag, "*") for each in given.split(","))


def _time(given: Any) -> float | None:
    return given.timestamp() if isinstance(given, datetime) else given


def not_implemented(header: str, more: str = "") -> ServiceError:
    return ServiceError(
        "NotImplemented",
        "A header you provided implies functionality that is not implemented",
        status=501,
        fields={"Header": header, "additionalMessage": more} if more else {"Header": header},
    )
