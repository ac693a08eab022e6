"""Keys of objects: what S3 takes as one, and how lists write them where the caller wants them encoded."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from cosset.services.s3.errors import invalid_argument
from cosset.wire.errors import ServiceError

_LONGEST = 1024


def check_key(key: str) -> None:
    """Raises ServiceError KeyTooLongError."""
    size = len(key.encode())
    if size > _LONGEST:
        fields = {"Size": str(size), "MaxSizeAllowed": str(_LONGEST)}
        raise ServiceError("KeyTooLongError", "Your key is too long", fields=fields)


def check_encoding(params: Mapping[str, Any]) -> str | None:
    """Raises ServiceError InvalidArgument."""
    encoding: str | None = params.get("EncodingType")
    if encoding not in (None, "url"):
        raise invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", str(encoding))
    return encoding


def shown_key(key: bytes, encoding: str | None) -> str:
    """`encoding` is `url`, or None."""
    return quote(key, safe="/-_.~*") if encoding == "url" else key.decode("utf-8", "replace")
