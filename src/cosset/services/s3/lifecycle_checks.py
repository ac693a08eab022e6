"""What S3 refuses of lifecycle rules when they are put, in its own sentences. What rules mean: `lifecycle_rules.py`.

Sources: AWS's page on lifecycle elements, answers that users reported, and TestS3BucketLifecycle as recorded.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

from cosset.services.s3.errors import malformed_xml
from cosset.services.s3.lifecycle_rules import DAY_S, Rule, prefix_of, seconds_of, wanted_tags
from cosset.wire.errors import ServiceError

_MOST = 1_000
_LONGEST_ID = 255
_LONGEST_PREFIX = 1024
_PREDICATES = ("Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "And")
_ACTIONS = {
    "Expiration": "Expiration",
    "Transitions": "Transition",
    "NoncurrentVersionExpiration": "NoncurrentVersionExpiration",
    "NoncurrentVersionTransitions": "NoncurrentVersionTransition",
    "AbortIncompleteMultipartUpload": "AbortIncompleteMultipartUpload",
}
"""By the names of members, their names in sentences."""
_INFREQUENT = frozenset({"STANDARD_IA", "ONEZONE_IA"})
_MINIMA = frozenset({"all_storage_classes_128K", "varies_by_storage_class"})
_DAYS_THERE = 30
"""What goes to infrequent access must have been so old, and stays so long."""


def check_minimum(size: str) -> None:
    """Raises ServiceError InvalidRequest."""
    if size not in _MINIMA:
        raise _request(f"Invalid TransitionDefaultMinimumObjectSize found: {size}")


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
        if len(prefix_of(rule).encode()) > _LONGEST_PREFIX:
            raise _request("The maximum size of a prefix is 1024.")
        _check_filter(rule.get("Filter") or {})
        _check_actions(rule)
    _check_kinds(rules)


def _check_filter(given: Mapping[str, Any]) -> None:
    if len([name for name in _PREDICATES if given.get(name) is not None]) > 1:
        raise malformed_xml()
    inside = given.get("And")
    if inside is None:
        return
    tags = inside.get("Tags") or ()
    if len([each for name, each in inside.items() if name != "Tags" and each is not None]) + len(tags) < 2:
        raise malformed_xml()
    if len({tag["Key"] for tag in tags}) != len(tags):
        raise _request("Duplicate Tag Keys are not allowed.")
    least, most = inside.get("ObjectSizeGreaterThan"), inside.get("ObjectSizeLessThan")
    if least is not None and most is not None and most <= least:
        raise _request("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")


def _check_kinds(rules: Sequence[Rule]) -> None:
    """Rules of the older kind, whose prefix stands beside the actions, are alone and do not overlap."""
    old = [rule for rule in rules if rule.get("Filter") is None]
    if old and len(old) < len(rules):
        raise _request("Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.")
    for name, shown in _ACTIONS.items():
        prefixes = sorted(str(rule["Prefix"]) for rule in old if rule.get(name))
        # Whatever begins like one stands right behind it.
        for one, other in pairwise(prefixes):
            if one == other:
                raise _request(f"Found two rules with same prefix '{one}' for same action type '{shown}'")
            if other.startswith(one):
                raise _request(f"Found overlapping prefixes '{one}' and '{other}' for same action type '{shown}'")


def _check_actions(rule: Rule) -> None:
    if not any(rule.get(name) for name in _ACTIONS):
        raise _request("At least one action needs to be specified in a rule")
    expiration = rule.get("Expiration")
    if expiration is not None:
        _check_expiration(rule, expiration)
    abort = rule.get("AbortIncompleteMultipartUpload")
    if abort is not None:
        _check_unfiltered(rule, "AbortIncompleteMultipartUpload")
        _check_positive(abort, "DaysAfterInitiation", "AbortIncompleteMultipartUpload")
    noncurrent = rule.get("NoncurrentVersionExpiration")
    if noncurrent is not None:
        _check_positive(noncurrent, "NoncurrentDays", "NoncurrentVersionExpiration")
        if not 1 <= noncurrent.get("NewerNoncurrentVersions", 1) <= 100:
            raise _argument("'NewerNoncurrentVersions' must be between 1 and 100")
    for transition in rule.get("Transitions") or ():
        _check_transition(transition)
    for transition in rule.get("NoncurrentVersionTransitions") or ():
        _check_noncurrent(transition)
    _check_together(rule)


def _check_expiration(rule: Rule, given: Mapping[str, Any]) -> None:
    date, marker = given.get("Date"), given.get("ExpiredObjectDeleteMarker")
    if len([each for each in (given.get("Days"), date, marker) if each is not None]) != 1:
        raise malformed_xml()
    if given.get("Days") is not None:
        _check_positive(given, "Days", "Expiration")
    _check_midnight(date)
    if marker:
        _check_unfiltered(rule, "ExpiredObjectDeleteMarker")


def _check_transition(given: Mapping[str, Any]) -> None:
    days, storage = given.get("Days"), given.get("StorageClass")
    if storage is None or (days is None) == (given.get("Date") is None):
        raise malformed_xml()
    _check_midnight(given.get("Date"))
    if days is None:
        return
    if days < 0:
        raise _argument("'Days' for Transition action must be nonnegative")
    _check_age(days, storage, "Days", "Transition")


def _check_noncurrent(given: Mapping[str, Any]) -> None:
    days, storage = given.get("NoncurrentDays") or 0, given.get("StorageClass")
    if storage is None:
        raise malformed_xml()
    if days < 0:
        raise _argument("'NoncurrentDays' for NoncurrentVersionTransition action must be nonnegative")
    if not 1 <= given.get("NewerNoncurrentVersions", 1) <= 100:
        raise _argument("'NewerNoncurrentVersions' must be between 1 and 100")
    _check_age(days, storage, "NoncurrentDays", "NoncurrentVersionTransition")


def _check_together(rule: Rule) -> None:
    """What one rule does to an object, it does in an order."""
    expiration: Mapping[str, Any] = rule.get("Expiration") or {}
    moves: Sequence[Mapping[str, Any]] = rule.get("Transitions") or ()
    shown = f"'(prefix={prefix_of(rule)})'"
    named = [each for each in (expiration, *moves) if each.get("Days") is not None or each.get("Date") is not None]
    if len({each.get("Days") is None for each in named}) > 1:
        sentence = "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for filter"
        raise _request(f"{sentence} {shown}")
    for moves_of in (moves, rule.get("NoncurrentVersionTransitions") or ()):
        classes = [each["StorageClass"] for each in moves_of]
        if len(set(classes)) != len(classes):
            sentence = "'StorageClass' must be different for 'Transition' actions in same 'Rule' with filter"
            raise _request(f"{sentence} {shown}")
    if expiration.get("Days") is not None and any(expiration["Days"] <= move["Days"] for move in moves):
        raise _later("'Days' in the Expiration action", shown, "greater than", "Transition")
    if expiration.get("Date") is not None:
        at_s = seconds_of(expiration["Date"])
        if any(at_s <= seconds_of(move["Date"]) for move in moves):
            raise _later("'Date' in the Expiration action", shown, "later than", "Transition")
    days = (rule.get("NoncurrentVersionExpiration") or {}).get("NoncurrentDays")
    stays = rule.get("NoncurrentVersionTransitions") or ()
    if days is not None and any(days <= (move.get("NoncurrentDays") or 0) for move in stays):
        what = "'NoncurrentDays' in the NoncurrentVersionExpiration action"
        raise _later(what, shown, "greater than", "NoncurrentVersionTransition")
    for warm, cold in _pairs(moves):
        if warm["StorageClass"] in _INFREQUENT and cold["Days"] < warm["Days"] + _DAYS_THERE:
            what = f"'Days' in the 'Transition' action for StorageClass '{cold['StorageClass']}'"
            target = f"'Transition' action for StorageClass '{warm['StorageClass']}'"
            raise _argument(f"{what} for filter {shown} must be 30 days more than 'filter {shown}' in the {target}")


def _pairs(moves: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The earlier first."""
    return combinations(sorted((each for each in moves if each.get("Days") is not None), key=lambda it: it["Days"]), 2)


def _check_unfiltered(rule: Rule, name: str) -> None:
    """What is about no object with bytes cannot ask for its tags or its size."""
    given: Mapping[str, Any] = rule.get("Filter") or {}
    if wanted_tags(given):
        raise _request(f"{name} cannot be specified with Tags.")
    sizes: Mapping[str, Any] = given.get("And") or given
    if sizes.get("ObjectSizeGreaterThan") is not None or sizes.get("ObjectSizeLessThan") is not None:
        raise _request(f"{name} cannot be specified with Object Size.")


def _check_positive(action: Mapping[str, Any], name: str, shown: str) -> None:
    if (action.get(name) or 0) < 1:
        raise _argument(f"'{name}' for {shown} action must be a positive integer")


def _check_midnight(date: Any) -> None:
    if date is not None and seconds_of(date) % DAY_S:
        raise _argument("'Date' must be at midnight GMT")


def _check_age(days: int, storage: str, name: str, action: str) -> None:
    if storage in _INFREQUENT and days < _DAYS_THERE:
        what = f"'{name}' in {action} action"
        raise _argument(f"{what} must be greater than or equal to {_DAYS_THERE} for storageClass '{storage}'")


def _later(what: str, shown: str, how: str, action: str) -> ServiceError:
    return _argument(f"{what} for filter {shown} must be {how} 'filter {shown}' in the {action} action")


def _argument(sentence: str) -> ServiceError:
    return ServiceError("InvalidArgument", sentence)


def _request(sentence: str) -> ServiceError:
    return ServiceError("InvalidRequest", sentence)
