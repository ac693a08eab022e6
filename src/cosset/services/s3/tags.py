"""Tags of objects: as a header, as a document, and what S3 takes of either.

Recorded: TestS3BucketObjectTagging::test_tagging_validation, test_put_object_with_tags.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from cosset.wire.errors import ServiceError

_MOST = 10
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")
_KEY = re.compile(r"[\w\s+\-=.:/@]{1,128}")
_VALUE = re.compile(r"[\w\s+\-=.:/@]{0,256}")


def tags_in_header(header: str | None) -> dict[str, str]:
    """Of `x-amz-tagging`: a query string. Raises: ServiceError InvalidArgument, InvalidTag, BadRequest."""
    if not header:
        return {}
    pairs = read_pairs(header)
    is_broken = _BROKEN.search(header) is not None or any(each.startswith("=") for each in header.split("&"))
    if is_broken or len({name for name, _ in pairs}) != len(pairs):
        sentence = (
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag "
            "name duplicates."
        )
        fields = {"ArgumentName": "x-amz-tagging", "ArgumentValue": header}
        raise ServiceError("InvalidArgument", sentence, fields=fields)
    return _checked(pairs)


def read_pairs(header: str) -> list[tuple[str, str]]:
    """The header as it is, unchecked: for the conditions of policies."""
    parts = (each.partition("=") for each in header.split("&"))
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in parts if name]


def tags_in_set(tag_set: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Raises: ServiceError InvalidTag, BadRequest."""
    pairs = [(each["Key"], each["Value"]) for each in tag_set]
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise _invalid("Cannot provide multiple Tags with the same key", TagKey=name)
        seen.add(name)
    return _checked(pairs)


def shown_tags(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """By name, as S3 lists them."""
    return [{"Key": name, "Value": value} for name, value in sorted((facts.get("tags") or {}).items())]


def _checked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    tags = dict(pairs)
    if len(tags) > _MOST:
        raise ServiceError("BadRequest", "Object tags cannot be greater than 10")
    for name, value in tags.items():
        if not _KEY.fullmatch(name):
            raise _invalid("The TagKey you have provided is invalid", TagKey=name)
        if name.startswith("aws:"):
            raise _invalid("Your TagKey cannot be prefixed with aws:", TagKey=name)
        if not _VALUE.fullmatch(value):
            raise _invalid("The TagValue you have provided is invalid", TagKey=name, TagValue=value)
    return tags


def _invalid(sentence: str, **fields: str) -> ServiceError:
    return ServiceError("InvalidTag", sentence, fields=fields)
