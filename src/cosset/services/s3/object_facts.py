"""What is kept of an object besides its bytes, and how it is shown in the headers of an answer."""

import base64
import binascii
import contextlib
import quopri
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from cosset.services.s3.encryption import shown_encryption
from cosset.services.s3.errors import invalid_argument
from cosset.services.s3.locks import shown_lock
from cosset.services.s3.tags import tags_in_header
from cosset.services.s3.versions import ObjectVersion
from cosset.wire.errors import OperationNotImplementedError, ServiceError

STORAGE_CLASSES = frozenset(
    {
        *("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING"),
        *("GLACIER", "GLACIER_IR", "DEEP_ARCHIVE"),
    }
)
ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""What must be restored before it can be read."""

_MOST_METADATA = 2 * 1024
_WORD = re.compile(r"=\?([\w-]+)\?([BbQq])\?([^?]*)\?=", re.ASCII)

_HEADERS = (
    *("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires"),
    *("WebsiteRedirectLocation",),
)
_EVENT_HOLD = ("ObjectLockEventHold", "ObjectLockEventHoldDurationDays", "ObjectLockEventHoldDurationYears")
_OVERRIDES = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")
_DEFAULT_TYPE = "binary/octet-stream"


def facts_of(params: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """What a put, a copy or an upload in parts says of its object. Raises: ServiceError."""
    if any(params.get(name) is not None for name in _EVENT_HOLD):
        raise OperationNotImplementedError("s3", "object lock by event holds")
    facts: dict[str, Any] = {"headers": _headers(params), "owner": owner}
    if params.get("Metadata"):
        facts["metadata"] = _metadata(params["Metadata"])
    if params.get("StorageClass", "STANDARD") != "STANDARD":
        facts["storage_class"] = _storage_class(params["StorageClass"])
    if isinstance(params.get("Tagging"), str) and (tags := tags_in_header(params["Tagging"])):
        facts["tags"] = tags
    return facts


def _headers(params: Mapping[str, Any]) -> dict[str, str]:
    """Raises: ServiceError InvalidRedirectLocation. Those that are empty are as good as none."""
    _check_redirect(params.get("WebsiteRedirectLocation"))
    given = {name: _decoded(params[name]) for name in _HEADERS if params.get(name)}
    given["ContentEncoding"] = _without_chunking(given.get("ContentEncoding", ""))
    return {"ContentType": _DEFAULT_TYPE} | {name: value for name, value in given.items() if value}


def _check_redirect(location: str | None) -> None:
    """Raises: ServiceError InvalidRedirectLocation."""
    if location is not None and not location.startswith(("/", "http://", "https://")):
        sentence = "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."
        raise ServiceError("InvalidRedirectLocation", sentence)


def _without_chunking(encoding: str) -> str:
    """How the body came is no property of the object."""
    return ",".join(part for part in encoding.split(",") if part.strip().lower() != "aws-chunked").strip()


def _metadata(given: Mapping[str, str]) -> dict[str, str]:
    """Raises: ServiceError MetadataTooLarge. What is encoded as RFC 2047 says is kept decoded, as S3 does."""
    kept = {name.lower(): _decoded(value.strip(" \t")) for name, value in given.items()}
    size = sum(len(name.encode()) + len(value.encode()) for name, value in kept.items())
    if size > _MOST_METADATA:
        fields = {"Size": str(size), "MaxSizeAllowed": str(_MOST_METADATA)}
        sentence = "Your metadata headers exceed the maximum allowed metadata size"
        raise ServiceError("MetadataTooLarge", sentence, fields=fields)
    return kept


def _decoded(value: str) -> str:
    """Bytes that are UTF-8 are that; words as RFC 2047 has them are decoded, what is wrong in them replaced
    (recorded: test_user_metadata_rfc2047_bad_b64_encoded)."""
    with contextlib.suppress(ValueError):
        value = value.encode("latin-1").decode()
    return _WORD.sub(_word, value)


def _word(found: re.Match[str]) -> str:
    charset, encoding, text = found.groups()
    try:
        if encoding.upper() == "B":
            raw = base64.b64decode(text)
        else:
            raw = quopri.decodestring(text.replace("_", "=20").encode("ascii"))
        return raw.decode(charset, "replace")
    except (ValueError, LookupError, binascii.Error):
        return found[0]


def _storage_class(name: str) -> str:
    """Raises: ServiceError InvalidStorageClass."""
    if name not in STORAGE_CLASSES:
        raise ServiceError(
            "InvalidStorageClass",
            "The storage class you specified is not valid",
            fields={"StorageClassRequested": name},
        )
    return name


def check_readable(facts: Mapping[str, Any], now_ms: int) -> None:
    """Raises: ServiceError InvalidObjectState, for what lies in an archive and was not restored."""
    storage_class, restored = facts.get("storage_class"), facts.get("restore")
    if storage_class in ARCHIVED and (restored is None or restored["until_ms"] <= now_ms):
        raise ServiceError(
            "InvalidObjectState",
            "The operation is not valid for the object's storage class",
            status=403,
            fields={"StorageClass": storage_class},
        )


def shown(found: ObjectVersion, *, is_versioned: bool, with_checksum: bool) -> dict[str, Any]:
    """The members of GetObject's and HeadObject's answers that are about the object as a whole."""
    facts = found.facts
    result: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": found.modified_ms // 1000,
        "ETag": f'"{found.etag}"',
        "Metadata": facts.get("metadata", {}),
        **shown_encryption(facts),
        **shown_headers(facts),
        **shown_lock(facts),
    }
    if is_versioned:
        result["VersionId"] = found.version
    if "storage_class" in facts:
        result["StorageClass"] = facts["storage_class"]
    if facts.get("tags"):
        result["TagCount"] = len(facts["tags"])
    if facts.get("is_replica") or "replication" in facts:
        result["ReplicationStatus"] = facts.get("replication", "REPLICA")
    if "restore" in facts:
        result["Restore"] = shown_restore(facts["restore"])
    if with_checksum:
        result |= shown_checksum(facts)
    return result


def shown_headers(facts: Mapping[str, Any]) -> dict[str, str]:
    """As they came; `Expires` was once kept as a number of seconds."""
    headers: dict[str, Any] = facts["headers"]
    if isinstance(headers.get("Expires"), int | float):
        return {**headers, "Expires": format_datetime(datetime.fromtimestamp(headers["Expires"], UTC), usegmt=True)}
    return headers


def shown_restore(restore: Mapping[str, Any]) -> str:
    expiry = format_datetime(datetime.fromtimestamp(restore["until_ms"] / 1000, UTC), usegmt=True)
    return f'ongoing-request="false", expiry-date="{expiry}"'


def check_optional(params: Mapping[str, Any]) -> bool:
    """Whether a list is to show what was restored. Raises: ServiceError InvalidArgument."""
    wanted = params.get("OptionalObjectAttributes") or ()
    unknown = [name for name in wanted if name != "RestoreStatus"]
    if unknown:
        sentence = "Invalid attribute name specified."
        raise invalid_argument(sentence, "x-amz-optional-object-attributes", ",".join(unknown))
    return bool(wanted)


def restore_status(facts: Mapping[str, Any]) -> dict[str, Any]:
    """As lists show it, of what was ever restored."""
    if "restore" not in facts:
        return {}
    return {"RestoreStatus": {"IsRestoreInProgress": False, "RestoreExpiryDate": facts["restore"]["until_ms"] / 1000}}


def shown_checksum(facts: Mapping[str, Any]) -> dict[str, str]:
    checksum = facts.get("checksum")
    if checksum is None:
        return {}
    return {f"Checksum{checksum['algorithm']}": checksum["value"], "ChecksumType": checksum["type"]}


def overridden(result: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """With the headers that the caller of GetObject wants instead (`response-content-type` ...)."""
    wanted = {name: params[f"Response{name}"] for name in _OVERRIDES if params.get(f"Response{name}") is not None}
    for name, value in wanted.items():
        try:
            str(value).encode("latin-1")
        except UnicodeEncodeError:
            header = "response-" + re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
            sentence = "Header value cannot be represented using ISO-8859-1."
            raise invalid_argument(sentence, header, str(value)) from None
    return {**result, **wanted}


def is_md5(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except (ValueError, binascii.Error):
        return False
