"""Every lifecycle rule that S3 refuses, with its sentence."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cosset.services.s3.lifecycle_checks import check_minimum, check_rules
from cosset.wire.errors import ServiceError

RULE = {"ID": "a", "Filter": {"Prefix": ""}, "Status": "Enabled"}
SOON = {"Expiration": {"Days": 1}}
TAG = {"Tag": {"Key": "a", "Value": "b"}}
LARGE = {"ObjectSizeGreaterThan": 5}
MARKER = {"Expiration": {"ExpiredObjectDeleteMarker": True}}
ABORT = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
JANUARY, FEBRUARY = datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 2, 1, tzinfo=UTC)
XML = "MalformedXML"
POSITIVE = "must be a positive integer"


def old(name: str, prefix: str) -> dict[str, Any]:
    return {"ID": name, "Prefix": prefix, "Status": "Enabled", **SOON}


def moves(*moves: tuple[int | datetime, str], **more: Any) -> dict[str, Any]:
    named = [{"Days" if isinstance(when, int) else "Date": when, "StorageClass": where} for when, where in moves]
    return {**RULE, "Transitions": named, **more}


def moves_old(days: int, where: str, **more: Any) -> dict[str, Any]:
    return {**RULE, "NoncurrentVersionTransitions": [{"NoncurrentDays": days, "StorageClass": where}], **more}


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ([], XML),
        ([{**RULE, **SOON, "ID": str(number)} for number in range(1_001)], XML),
        ([{**RULE, **SOON, "Prefix": "x"}], XML),
        ([{"Status": "Enabled", **SOON}], XML),
        ([RULE], "InvalidRequest: At least one action needs to be specified in a rule"),
        ([{**RULE, **SOON, "ID": "a" * 256}], "InvalidArgument: ID length should not exceed allowed limit of 255"),
        (
            [{**RULE, **SOON}, {**RULE, **SOON, "Filter": {"Prefix": "x"}}],
            "InvalidArgument: Rule ID must be unique. Found same ID for more than one rule",
        ),
        ([{**RULE, "Expiration": {}, **ABORT}], XML),
        ([{**RULE, "Expiration": {"Days": 1, "Date": JANUARY}}], XML),
        ([{**RULE, "Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}], XML),
        (
            [{**RULE, "Expiration": {"Days": 0}}],
            f"InvalidArgument: 'Days' for Expiration action {POSITIVE}",
        ),
        (
            [{**RULE, "Expiration": {"Days": -1}}],
            f"InvalidArgument: 'Days' for Expiration action {POSITIVE}",
        ),
        ([{**RULE, "Expiration": {"Date": NOON}}], "InvalidArgument: 'Date' must be at midnight GMT"),
        (
            [{**RULE, **MARKER, "Filter": TAG}],
            "InvalidRequest: ExpiredObjectDeleteMarker cannot be specified with Tags.",
        ),
        (
            [{**RULE, **MARKER, "Filter": LARGE}],
            "InvalidRequest: ExpiredObjectDeleteMarker cannot be specified with Object Size.",
        ),
        (
            [{**RULE, **ABORT, "Filter": TAG}],
            "InvalidRequest: AbortIncompleteMultipartUpload cannot be specified with Tags.",
        ),
        (
            [{**RULE, **ABORT, "Filter": {"And": {"Prefix": "a", **LARGE}}}],
            "InvalidRequest: AbortIncompleteMultipartUpload cannot be specified with Object Size.",
        ),
        (
            [{**RULE, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 0}}],
            f"InvalidArgument: 'DaysAfterInitiation' for AbortIncompleteMultipartUpload action {POSITIVE}",
        ),
        (
            [{**RULE, "NoncurrentVersionExpiration": {"NewerNoncurrentVersions": 2}}],
            "InvalidArgument: 'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer",
        ),
        (
            [{**RULE, "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 101}}],
            "InvalidArgument: 'NewerNoncurrentVersions' must be between 1 and 100",
        ),
        ([{**RULE, "Transitions": [{"StorageClass": "GLACIER"}]}], XML),
        ([{**RULE, "Transitions": [{"Days": 1}]}], XML),
        ([moves((-1, "GLACIER"))], "InvalidArgument: 'Days' for Transition action must be nonnegative"),
        ([moves((NOON, "GLACIER"))], "InvalidArgument: 'Date' must be at midnight GMT"),
        (
            [moves((29, "STANDARD_IA"))],
            "InvalidArgument: 'Days' in Transition action must be greater than or equal to 30 for storageClass "
            "'STANDARD_IA'",
        ),
        (
            [moves_old(29, "ONEZONE_IA")],
            "InvalidArgument: 'NoncurrentDays' in NoncurrentVersionTransition action must be greater than or equal to "
            "30 for storageClass 'ONEZONE_IA'",
        ),
        (
            [moves((30, "GLACIER"), Expiration={"Days": 30})],
            "InvalidArgument: 'Days' in the Expiration action for filter '(prefix=)' must be greater than 'filter "
            "'(prefix=)'' in the Transition action",
        ),
        (
            [moves((FEBRUARY, "GLACIER"), Expiration={"Date": JANUARY})],
            "InvalidArgument: 'Date' in the Expiration action for filter '(prefix=)' must be later than 'filter "
            "'(prefix=)'' in the Transition action",
        ),
        (
            [moves_old(30, "GLACIER", NoncurrentVersionExpiration={"NoncurrentDays": 10})],
            "InvalidArgument: 'NoncurrentDays' in the NoncurrentVersionExpiration action for filter '(prefix=)' must "
            "be greater than 'filter '(prefix=)'' in the NoncurrentVersionTransition action",
        ),
        (
            [moves((40, "GLACIER"), (30, "STANDARD_IA"), Filter={"Prefix": "x"})],
            "InvalidArgument: 'Days' in the 'Transition' action for StorageClass 'GLACIER' for filter '(prefix=x)' "
            "must be 30 days more than 'filter '(prefix=x)'' in the 'Transition' action for StorageClass 'STANDARD_IA'",
        ),
        (
            [moves((30, "GLACIER"), (60, "GLACIER"))],
            "InvalidRequest: 'StorageClass' must be different for 'Transition' actions in same 'Rule' with filter "
            "'(prefix=)'",
        ),
        (
            [moves((30, "GLACIER"), Expiration={"Date": JANUARY})],
            "InvalidRequest: Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule "
            "for filter '(prefix=)'",
        ),
        ([{**RULE, **SOON, "Filter": {"Prefix": "x", **TAG}}], XML),
        ([{**RULE, **SOON, "Filter": {"And": {"Prefix": "x"}}}], XML),
        (
            [{**RULE, **SOON, "Filter": {"And": {"Tags": [TAG["Tag"], TAG["Tag"]]}}}],
            "InvalidRequest: Duplicate Tag Keys are not allowed.",
        ),
        (
            [{**RULE, **SOON, "Filter": {"And": {**LARGE, "ObjectSizeLessThan": 5}}}],
            "InvalidRequest: 'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.",
        ),
        ([{**RULE, **SOON, "Filter": {"Prefix": "x" * 1025}}], "InvalidRequest: The maximum size of a prefix is 1024."),
        (
            [old("a", "x"), old("b", "x")],
            "InvalidRequest: Found two rules with same prefix 'x' for same action type 'Expiration'",
        ),
        (
            [old("a", "xy"), old("c", "z"), old("b", "x")],
            "InvalidRequest: Found overlapping prefixes 'x' and 'xy' for same action type 'Expiration'",
        ),
        (
            [old("b", "x"), {**RULE, **SOON}],
            "InvalidRequest: Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the "
            "Filter.",
        ),
    ],
)
def test_rules_that_are_none(rules: list[Any], wanted: str) -> None:
    with pytest.raises(ServiceError) as caught:
        check_rules(rules)
    error = caught.value
    assert (error.code if wanted == XML else f"{error.code}: {error.message}") == wanted


@pytest.mark.parametrize(
    "rules",
    [
        [{**RULE, **SOON}, {**RULE, **SOON, "ID": "b", "Filter": {"Prefix": "x"}}],
        [old("a", "x/"), old("b", "y/"), {"ID": "c", "Prefix": "x/z", "Status": "Enabled", **ABORT}],
        [moves((30, "STANDARD_IA"), (60, "GLACIER"), (61, "DEEP_ARCHIVE"), Expiration={"Days": 62})],
        [moves((0, "GLACIER")), {**RULE, **MARKER, "ID": "b"}],
        [moves((JANUARY, "GLACIER"), Expiration={"Date": FEBRUARY})],
        [moves_old(30, "STANDARD_IA", NoncurrentVersionExpiration={"NoncurrentDays": 31})],
        [{**RULE, **SOON, "Filter": {}}, {**RULE, **ABORT, "ID": "b", "Filter": {"Prefix": "x"}}],
    ],
)
def test_rules_that_are_some(rules: list[Any]) -> None:
    check_rules(rules)


def test_the_least_size_is_one_of_two() -> None:
    check_minimum("varies_by_storage_class")
    with pytest.raises(ServiceError, match="Invalid TransitionDefaultMinimumObjectSize found: x"):
        check_minimum("x")
