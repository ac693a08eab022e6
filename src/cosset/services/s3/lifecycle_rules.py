"""Lifecycle rules: what they say of an object. What is refused when they are put: `lifecycle_checks.py`; what is done
about them: `lifecycle.py`.

Sources: AWS's page on lifecycle elements, and TestS3BucketLifecycle as recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

Rule = Mapping[str, Any]
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Subject:
    """What rules look at in an object."""

    key: str
    size: int
    tags: Mapping[str, str]


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
        return seconds_of(action["Date"]) * 1000
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


def abortion_of(rules: Sequence[Rule], key: str, initiated_ms: int) -> tuple[int, str] | None:
    """When an upload would be aborted that does not end, and by which rule: the first to come."""
    found: list[tuple[int, str]] = []
    for rule in rules:
        abort: Mapping[str, Any] = rule.get("AbortIncompleteMultipartUpload") or {}
        at_ms = due_ms(abort, initiated_ms, "DaysAfterInitiation")
        if at_ms is not None and rule["Status"] == "Enabled" and key.startswith(prefix_of(rule)):
            found.append((at_ms, rule["ID"]))
    return min(found, default=None)


def seconds_of(date: Any) -> int:
    """Since the epoch; `date` as it came, or as it is kept."""
    found = datetime.fromisoformat(date) if isinstance(date, str) else date
    if isinstance(found, datetime):
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    return int(found)
