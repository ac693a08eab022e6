"""Lifecycle rules: checked when they are put, and what they say of an object. What is done about it: `lifecycle.py`.

Sources: AWS's page on lifecycle elements, and TestS3BucketLifecycle as recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from cosset.services.s3.errors import malformed_xml
from cosset.wire.errors import ServiceError

Rule = Mapping[str, Any]
DAY_S = 86_400
_MOST = 1_000
_LONGEST_ID = 255
_PREDICATES = ("Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "And")
_ACTIONS = (
    *("Expiration", "Transitions", "NoncurrentVersionExpiration", "NoncurrentVersionTransitions"),
    "AbortIncompleteMultipartUpload",
)
_INFREQUENT = frozenset({"STANDARD_IA", "ONEZONE_IA"})


@dataclass(frozen=True, slots=True)
class Subject:
    """What rules look at in an object."""

    key: str
    size: int
    tags: Mapping[str, str]


def check_rules(rules: Sequence[Rule]) -> None:
    """Raises ServiceError MalformedXML, InvalidArgument, InvalidRequest."""
    if not 1 <= len(rules) <= _MOST:
        raise malformed_xml()
    ids = [rule["ID"] for rule in rules if rule.get("ID")]
    if len(set(ids)) != len(ids):
        raise _argument("Rule ID must be unique. Found same ID for more than one rule")
    if any(len(each) > _LONGEST_ID for each in ids):
        raise _argument("ID length should not exceed allowed limit of 255")
    for rule in rules:
        if (rule.get("Filter") is None) == (rule.get("Prefix") is None):
            raise malformed_xml()
        tags = _check_filter(rule.get("Filter") or {})
        _check_actions(rule, has_tags=bool(tags))


def _check_filter(given: Mapping[str, Any]) -> Mapping[str, str]:
    """Its tags."""
    named = [name for name in _PREDICATES if given.get(name) is not None]
    if len(named) > 1:
        raise malformed_xml()
    inside = given.get("And")
    if inside is not None:
        tags = inside.get("Tags") or ()
        if len([each for name, each in inside.items() if name != "Tags" and each is not None]) + len(tags) < 2:
            raise malformed_xml()
        if len({tag["Key"] for tag in tags}) != len(tags):
            raise ServiceError("InvalidRequest", "Duplicate Tag Keys are not allowed.")
        least, most = inside.get("ObjectSizeGreaterThan"), inside.get("ObjectSizeLessThan")
        if least is not None and most is not None and most <= least:
            sentence = "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'."
            raise ServiceError("InvalidRequest", sentence)
    return wanted_tags(given)


def _check_actions(rule: Rule, *, has_tags: bool) -> None:
    if not any(rule.get(name) for name in _ACTIONS):
        raise ServiceError("InvalidRequest", "At least one action needs to be specified in a rule")
    expiration = rule.get("Expiration")
    if expiration is not None:
        _check_expiration(expiration, has_tags=has_tags)
    abort = rule.get("AbortIncompleteMultipartUpload")
    if abort is not None:
        if has_tags:
            raise ServiceError("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags.")
        if (abort.get("DaysAfterInitiation") or 0) < 1:
            raise _argument(
                "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer"
            )
    noncurrent = rule.get("NoncurrentVersionExpiration")
    if noncurrent is not None:
        if (noncurrent.get("NoncurrentDays") or 0) < 1:
            raise _argument("'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer")
        if not 1 <= noncurrent.get("NewerNoncurrentVersions", 1) <= 100:
            raise _argument("'NewerNoncurrentVersions' must be between 1 and 100")
    for transition in rule.get("Transitions") or ():
        _check_transition(transition, expiration or {})
    for transition in rule.get("NoncurrentVersionTransitions") or ():
        if transition.get("StorageClass") is None or (transition.get("NoncurrentDays") or 0) < 0:
            raise malformed_xml()


def _check_expiration(given: Mapping[str, Any], *, has_tags: bool) -> None:
    days, date, marker = given.get("Days"), given.get("Date"), given.get("ExpiredObjectDeleteMarker")
    if len([each for each in (days, date, marker) if each is not None]) != 1:
        raise malformed_xml()
    if days is not None and days < 1:
        raise _argument("'Days' for Expiration action must be a positive integer")
    if date is not None and _seconds(date) % DAY_S:
        raise _argument("'Date' must be at midnight GMT")
    if marker and has_tags:
        raise ServiceError("InvalidRequest", "ExpiredObjectDeleteMarker cannot be specified with Tags.")


def _check_transition(given: Mapping[str, Any], expiration: Mapping[str, Any]) -> None:
    days, date, storage = given.get("Days"), given.get("Date"), given.get("StorageClass")
    if storage is None or (days is None) == (date is None):
        raise malformed_xml()
    if date is not None and _seconds(date) % DAY_S:
        raise _argument("'Date' must be at midnight GMT")
    if days is None:
        return
    if days < 0:
        raise _argument("'Days' for Transition action must be nonnegative")
    if storage in _INFREQUENT and days < 30:
        raise _argument(f"'Days' in Transition action must be greater than or equal to 30 for storageClass '{storage}'")
    if expiration.get("Days") is not None and expiration["Days"] <= days:
        raise _argument("'Days' in the Expiration action must be greater than 'Days' in the Transition action")


def wanted_tags(given: Mapping[str, Any]) -> Mapping[str, str]:
    tags = [given["Tag"]] if given.get("Tag") else (given.get("And") or {}).get("Tags") or ()
    return {tag["Key"]: tag["Value"] for tag in tags}


def applies(rule: Rule, subject: Subject) -> bool:
    if rule["Status"] != "Enabled" or not subject.key.startswith(prefix_of(rule)):
        return False
    given: Mapping[str, Any] = rule.get("Filter") or {}
    sizes: Mapping[str, Any] = given.get("And") or given
    least, most = sizes.get("ObjectSizeGreaterThan"), sizes.get("ObjectSizeLessThan")
    if (least is not None and subject.size <= least) or (most is not None and subject.size >= most):
        return False
    return all(subject.tags.get(key) == value for key, value in wanted_tags(given).items())


def sizes_named(rule: Rule) -> bool:
    """Does it say which sizes it is about?"""
    given: Mapping[str, Any] = rule.get("Filter") or {}
    sizes: Mapping[str, Any] = given.get("And") or given
    return sizes.get("ObjectSizeGreaterThan") is not None or sizes.get("ObjectSizeLessThan") is not None


def prefix_of(rule: Rule) -> str:
    given: Mapping[str, Any] = rule.get("Filter") or {}
    return str(rule.get("Prefix") or given.get("Prefix") or (given.get("And") or {}).get("Prefix") or "")


def due_ms(action: Mapping[str, Any], since_ms: int, days: str = "Days") -> int | None:
    """When an action is due for what has been so since then: at the midnight after that many days."""
    if action.get("Date") is not None:
        return _seconds(action["Date"]) * 1000
    if action.get(days) is None:
        return None
    day_ms = DAY_S * 1000
    return -(-(since_ms + int(action[days]) * day_ms) // day_ms) * day_ms


def expiration_of(rules: Sequence[Rule], subject: Subject, modified_ms: int) -> str | None:
    """The header `x-amz-expiration` of an object: the first day on which a rule would have it gone."""
    found: list[tuple[int, str]] = []
    for rule in rules:
        at_ms = due_ms(rule.get("Expiration") or {}, modified_ms) if applies(rule, subject) else None
        if at_ms is not None:
            found.append((at_ms, rule["ID"]))
    if not found:
        return None
    at_ms, rule_id = min(found, key=lambda each: each[0])
    return f'expiry-date="{formatdate(at_ms / 1000, usegmt=True)}", rule-id="{quote(rule_id, safe="-_.~ ")}"'


def _seconds(date: Any) -> int:
    found = datetime.fromisoformat(date) if isinstance(date, str) else date
    if isinstance(found, datetime):
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    return int(found)


def _argument(sentence: str) -> ServiceError:
    return ServiceError("InvalidArgument", sentence)
