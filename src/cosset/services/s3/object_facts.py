"""What is kept of an object besides its bytes, and how it is shown in the headers of an answer."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cosset.services.s3.versions import NULL_VERSION, ObjectVersion

_HEADERS = (
    *("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires"),
    *("WebsiteRedirectLocation",),
)
_OVERRIDES = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")
_DEFAULT_TYPE = "binary/octet-stream"


def facts_of(params: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """What a put, a copy or an upload in parts says of its object. Times are epoch seconds."""
    headers = {name: _plain(params[name]) for name in _HEADERS if params.get(name) is not None}
    headers.setdefault("ContentType", _DEFAULT_TYPE)
    facts: dict[str, Any] = {"headers": headers, "owner": owner}
    if params.get("Metadata"):
        facts["metadata"] = {name.lower(): value for name, value in params["Metadata"].items()}
    if params.get("StorageClass", "STANDARD") != "STANDARD":
        facts["storage_class"] = params["StorageClass"]
    return facts


def shown(found: ObjectVersion, *, is_versioned: bool, with_checksum: bool) -> dict[str, Any]:
    """The members of GetObject's and HeadObject's answers that are about the object as a whole."""
    facts = found.facts
    result: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": found.modified_ms // 1000,
        "ETag": f'"{found.etag}"',
        "ServerSideEncryption": facts.get("encryption", {}).get("ServerSideEncryption", "AES256"),
        "Metadata": facts.get("metadata", {}),
        **facts["headers"],
    }
    if is_versioned:
        result["VersionId"] = found.version
    if "storage_class" in facts:
        result["StorageClass"] = facts["storage_class"]
    if facts.get("tags"):
        result["TagCount"] = len(facts["tags"])
    if with_checksum:
        result |= shown_checksum(facts)
    return result


def shown_checksum(facts: Mapping[str, Any]) -> dict[str, str]:
    checksum = facts.get("checksum")
    if checksum is None:
        return {}
    return {f"Checksum{checksum['algorithm']}": checksum["value"], "ChecksumType": checksum["type"]}


def overridden(result: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """With the headers that the caller of GetObject wants instead (`response-content-type` ...)."""
    wanted = {name: params[f"Response{name}"] for name in _OVERRIDES if params.get(f"Response{name}") is not None}
    return {**result, **wanted}


def shows_version(found: ObjectVersion, asked: str | None) -> bool:
    return found.version != NULL_VERSION or asked is not None


def is_md5(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except (ValueError, binascii.Error):
        return False


def _plain(value: Any) -> Any:
    return value.timestamp() if hasattr(value, "timestamp") else value
