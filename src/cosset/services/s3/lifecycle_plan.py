"""What lifecycle rules want done with the versions of one key now. Decides, and does nothing: lifecycle.py does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cosset.services.s3.lifecycle_rules import Rule, Subject, applies, due_ms, prefix_of, sizes_named
from cosset.services.s3.locks import check_deletable
from cosset.services.s3.versions import ObjectVersion
from cosset.wire.errors import ServiceError

_SMALL = 128 * 1024
"""What is smaller changes its storage class only by a rule that says sizes."""
_ORDER = ("STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")


class Act(Enum):
    EXPIRE = "expire"
    """The current version: a delete marker where there are versions."""
    DELETE = "delete"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Step:
    act: Act
    version: ObjectVersion
    storage_class: str = ""


def plan(versions: Sequence[ObjectVersion], rules: Sequence[Rule], now_ms: int) -> list[Step]:
    """What is due for one key. `versions` are all there are of it, the newest first."""
    if not versions:
        return []
    latest = versions[0]
    steps: list[Step] = []
    for place, version in enumerate(versions):
        if place:
            step = _of_noncurrent(version, versions[place - 1].modified_ms, place - 1, rules, now_ms)
        elif latest.is_marker:
            step = _of_marker(latest, rules, now_ms) if len(versions) == 1 else None
        else:
            step = _of_current(latest, rules, now_ms)
        if step is not None and not (step.act is Act.DELETE and _is_locked(version, now_ms)):
            steps.append(step)
    return steps


def _of_current(version: ObjectVersion, rules: Sequence[Rule], now_ms: int) -> Step | None:
    subject = _subject(version)
    found = [rule for rule in rules if applies(rule, subject)]
    if any(_is_due(rule.get("Expiration"), version.modified_ms, now_ms) for rule in found):
        return Step(Act.EXPIRE, version)
    moves = [(rule, move) for rule in found for move in rule.get("Transitions") or ()]
    return _moved(version, [pair for pair in moves if _is_due(pair[1], version.modified_ms, now_ms)])


def _of_marker(version: ObjectVersion, rules: Sequence[Rule], now_ms: int) -> Step | None:
    """One that nothing is behind any more."""
    for rule in rules:
        expiration: Mapping[str, Any] = rule.get("Expiration") or {}
        if not applies(rule, _subject(version)):
            continue
        if expiration.get("ExpiredObjectDeleteMarker") or _is_due(expiration, version.modified_ms, now_ms):
            return Step(Act.DELETE, version)
    return None


def _of_noncurrent(
    version: ObjectVersion, since_ms: int, newer: int, rules: Sequence[Rule], now_ms: int
) -> Step | None:
    """`since_ms`: when it was replaced; `newer`: how many noncurrent ones are newer."""
    found = [rule for rule in rules if applies(rule, _subject(version))]
    for rule in found:
        expiration = rule.get("NoncurrentVersionExpiration") or {}
        keeps = expiration.get("NewerNoncurrentVersions") or 0
        if newer >= keeps and _is_due(expiration, since_ms, now_ms, "NoncurrentDays"):
            return Step(Act.DELETE, version)
    if version.is_marker:
        return None
    moves = [
        (rule, move)
        for rule in found
        for move in rule.get("NoncurrentVersionTransitions") or ()
        if newer >= (move.get("NewerNoncurrentVersions") or 0) and _is_due(move, since_ms, now_ms, "NoncurrentDays")
    ]
    return _moved(version, moves)


def _moved(version: ObjectVersion, moves: Sequence[tuple[Rule, Mapping[str, Any]]]) -> Step | None:
    """To the coldest of the classes that are due, if it is colder than its own."""
    wanted = [move["StorageClass"] for rule, move in moves if version.size >= _SMALL or sizes_named(rule)]
    coldest = max(wanted, key=_coldness, default="STANDARD")
    if _coldness(coldest) <= _coldness(version.facts.get("storage_class", "STANDARD")):
        return None
    return Step(Act.MOVE, version, coldest)


def _coldness(storage_class: str) -> int:
    return _ORDER.index(storage_class) if storage_class in _ORDER else 0


def _subject(version: ObjectVersion) -> Subject:
    return Subject(version.key, version.size, version.facts.get("tags") or {})


def _is_due(action: Mapping[str, Any] | None, since_ms: int, now_ms: int, days: str = "Days") -> bool:
    at_ms = due_ms(action or {}, since_ms, days)
    return at_ms is not None and at_ms <= now_ms


def is_stale(rules: Sequence[Rule], key: str, initiated_ms: int, now_ms: int) -> bool:
    return any(
        rule["Status"] == "Enabled"
        and key.startswith(prefix_of(rule))
        and _is_due(rule.get("AbortIncompleteMultipartUpload"), initiated_ms, now_ms, "DaysAfterInitiation")
        for rule in rules
    )


def _is_locked(version: ObjectVersion, now_ms: int) -> bool:
    try:
        check_deletable(version.facts, now_ms, bypasses=False)
    except ServiceError:
        return True
    return False
