"""Every condition operator, and what AWS's page on them says of missing keys, quantifiers and several values."""

import time
from typing import Any

import pytest

from cosset.identity.evaluation.conditions import ConditionError, compile_conditions
from cosset.identity.evaluation.operators import OPERATORS

ARN = "arn:aws:s3:::home/ada"
VALUES = {
    "aws:username": ("ada",),
    "aws:principaltag/team": ("a*",),
    "aws:tagkeys": ("red", "blue"),
    "k:text": ("Hello",),
    "k:star": ("a*b",),
    "k:number": ("10",),
    "k:date": ("2026-01-02T03:04:05Z",),
    "k:epoch": ("1767323045",),
    "k:yes": ("true",),
    "k:binary": ("YQ==",),
    "k:v4": ("10.1.2.3",),
    "k:v6": ("2001:db8::7",),
    "k:mapped": ("::ffff:10.1.2.3",),
    "k:arn": (ARN,),
    "k:userid": ("AROA:s1",),
    "k:empty": ("",),
    "k:rubbish": ("no number, date, range or base64!",),
}


def holds(operator: str, key: str, *wanted: Any, variables: bool = True) -> bool:
    conditions = compile_conditions({operator: {key: list(wanted)}}, variables=variables)
    return all(condition.holds(VALUES) for condition in conditions)


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "expected"),
    [
        ("StringEquals", "k:text", "Hello", True),
        ("StringEquals", "k:text", "hello", False),
        ("StringEquals", "k:text", "Hel*", False),
        ("StringEquals", "k:star", "a*b", True),
        ("StringEquals", "K:TEXT", "Hello", True),
        ("stringequals", "k:text", "Hello", True),
        ("StringNotEquals", "k:text", "hello", True),
        ("StringNotEquals", "k:text", "Hello", False),
        ("StringEqualsIgnoreCase", "k:text", "hELLO", True),
        ("StringEqualsIgnoreCase", "k:text", "hell", False),
        ("StringNotEqualsIgnoreCase", "k:text", "hELLO", False),
        ("StringLike", "k:text", "H?ll*", True),
        ("StringLike", "k:text", "h*", False),
        ("StringLike", "k:star", "a${*}b", True),
        ("StringLike", "k:text", "H${*}", False),
        ("StringNotLike", "k:text", "x*", True),
        ("StringNotLike", "k:text", "H*", False),
        ("NumericEquals", "k:number", "10.0", True),
        ("NumericEquals", "k:number", 10, True),
        ("NumericNotEquals", "k:number", "10", False),
        ("NumericNotEquals", "k:number", "11", True),
        ("NumericLessThan", "k:number", "10", False),
        ("NumericLessThan", "k:number", "10.5", True),
        ("NumericLessThanEquals", "k:number", "10", True),
        ("NumericGreaterThan", "k:number", "9", True),
        ("NumericGreaterThan", "k:number", "-9", True),
        ("NumericGreaterThan", "k:number", "10", False),
        ("NumericGreaterThanEquals", "k:number", "10", True),
        ("NumericEquals", "k:rubbish", "10", False),
        ("NumericNotEquals", "k:rubbish", "10", True),
        ("DateEquals", "k:date", "2026-01-02T03:04:05Z", True),
        ("DateEquals", "k:date", "2026-01-02T04:04:05+01:00", True),
        ("DateEquals", "k:date", "1767323045", True),
        ("DateEquals", "k:epoch", "2026-01-02T03:04:05.000Z", True),
        ("DateNotEquals", "k:date", "2026-01-02", True),
        ("DateLessThan", "k:date", "2026-01-03", True),
        ("DateLessThan", "k:date", "2026", False),
        ("DateLessThanEquals", "k:date", "2026-01-02T03:04Z", False),
        ("DateGreaterThan", "k:date", "2026-01", True),
        ("DateGreaterThanEquals", "k:date", "2026-01-02T03:04:05.5Z", False),
        ("DateGreaterThan", "k:rubbish", "2026", False),
        ("Bool", "k:yes", "true", True),
        ("Bool", "k:yes", True, True),
        ("Bool", "k:yes", "TRUE", True),
        ("Bool", "k:yes", False, False),
        ("BinaryEquals", "k:binary", "YQ==", True),
        ("BinaryEquals", "k:binary", "Yg==", False),
        ("BinaryEquals", "k:rubbish", "YQ==", False),
        ("IpAddress", "k:v4", "10.0.0.0/8", True),
        ("IpAddress", "k:v4", "10.1.2.3", True),
        ("IpAddress", "k:v4", "10.1.2.4", False),
        ("IpAddress", "k:v4", "::/0", False),
        ("IpAddress", "k:v6", "2001:db8::/32", True),
        ("IpAddress", "k:mapped", "10.0.0.0/8", True),
        ("IpAddress", "k:rubbish", "0.0.0.0/0", False),
        ("NotIpAddress", "k:v4", "10.0.0.0/8", False),
        ("NotIpAddress", "k:v4", "192.168.0.0/16", True),
        ("ArnEquals", "k:arn", ARN, True),
        ("ArnEquals", "k:arn", "arn:aws:s3:::home/*", True),
        ("ArnLike", "k:arn", "arn:*:s3:*:*:home/?da", True),
        ("ArnLike", "k:arn", "arn:aws:s3:*", False),
        ("ArnLike", "k:arn", "arn:aws:S3:::home/ada", False),
        ("ArnLike", "k:arn", "arn:aws:s3:*:home/ada", False),
        ("ArnNotEquals", "k:arn", "arn:aws:s3:::home/*", False),
        ("ArnNotLike", "k:arn", "arn:aws:sqs:*:*:*", True),
        ("ArnLike", "k:rubbish", "arn:aws:s3:::*", False),
    ],
)
def test_operators(operator: str, key: str, wanted: Any, expected: bool) -> None:
    assert holds(operator, key, wanted) is expected


def test_the_table_above_leaves_no_operator_out() -> None:
    mark = next(mark for mark in getattr(test_operators, "pytestmark", []) if mark.name == "parametrize")
    assert {row[0].lower() for row in mark.args[1]} >= set(OPERATORS)


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_a_missing_key_fails_plain_operators_and_passes_negated_ones(operator: str) -> None:
    wanted = {"ipaddress": "10.0.0.0/8", "notipaddress": "10.0.0.0/8", "bool": "false", "binaryequals": "YQ=="}
    value = wanted.get(operator, "2026" if operator.startswith("date") else "1")
    assert holds(operator, "k:none", value) is OPERATORS[operator].negated
    assert holds(f"{operator}IfExists", "k:none", value)
    assert holds(f"ForAllValues:{operator}", "k:none", value)
    assert not holds(f"ForAnyValue:{operator}", "k:none", value)
    # AWS asks IfExists of each value, and there is none to ask it of.
    assert not holds(f"ForAnyValue:{operator}IfExists", "k:none", value)


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "expected"),
    [
        ("StringEquals", "k:text", ["x", "Hello"], True),
        ("StringNotEquals", "k:text", ["x", "Hello"], False),
        ("StringNotEquals", "k:text", ["x", "y"], True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["red", "blue", "green"], True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["red"], False),
        ("ForAllValues:StringEquals", "k:empty", ["red"], True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["red", "green"], True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["green"], False),
        ("ForAllValues:StringNotEquals", "aws:TagKeys", ["green"], True),
        ("ForAllValues:StringNotEquals", "aws:TagKeys", ["red"], False),
        ("ForAnyValue:StringNotEquals", "aws:TagKeys", ["red"], True),
        ("ForAnyValue:StringNotEquals", "aws:TagKeys", ["red", "blue"], False),
        # Without a quantifier: one value that matches is a match.
        ("StringEquals", "aws:TagKeys", ["red"], True),
        ("StringNotEquals", "aws:TagKeys", ["red"], False),
        ("StringNotEquals", "aws:TagKeys", ["green"], True),
        ("StringEqualsIfExists", "k:text", ["x"], False),
        ("Null", "k:none", ["true"], True),
        ("Null", "k:none", ["false"], False),
        ("Null", "k:text", ["true"], False),
        ("Null", "k:text", [False], True),
    ],
)
def test_several_values_and_null(operator: str, key: str, wanted: list[Any], expected: bool) -> None:
    assert holds(operator, key, *wanted) is expected


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "expected"),
    [
        ("StringEquals", "aws:username", "${aws:username}", True),
        ("StringEquals", "aws:username", "${AWS:UserName}", True),
        ("StringEquals", "aws:username", "${k:none}", False),
        ("StringNotEquals", "aws:username", "${k:none}", True),
        ("StringEquals", "aws:username", "${k:none, 'ada'}", True),
        ("StringEquals", "k:text", "${aws:TagKeys}", False),
        # A star in a tag's value is a star.
        ("StringLike", "aws:username", "${aws:PrincipalTag/team}", False),
        ("StringLike", "k:star", "${aws:PrincipalTag/team}b", True),
        ("StringLike", "k:star", "${aws:PrincipalTag/team}?", True),
        ("ArnLike", "k:arn", "arn:aws:s3:::home/${aws:username}", True),
        ("ArnLike", "k:arn", "arn:aws:s3:::home/${k:none}", False),
        ("StringEquals", "k:userid", "AROA${k:none, ':s1'}", True),
    ],
)
def test_variables(operator: str, key: str, wanted: str, expected: bool) -> None:
    assert holds(operator, key, wanted) is expected
    assert holds(operator, key, wanted, variables=False) is (operator == "StringNotEquals")


def test_all_keys_and_all_operators_must_hold() -> None:
    block = {"StringEquals": {"k:text": "Hello", "aws:username": "ada"}, "Bool": {"k:yes": "true"}}
    assert all(each.holds(VALUES) for each in compile_conditions(block, variables=True))
    block["Bool"] = {"k:yes": "false"}
    assert not all(each.holds(VALUES) for each in compile_conditions(block, variables=True))


@pytest.mark.parametrize(
    "block",
    [
        {"StringEqual": {"k": "v"}},
        {"StringEquals": "v"},
        {"StringEquals": {"k": {}}},
        {"StringEquals": {"k": [["v"]]}},
        {"StringEquals": {"k": None}},
        {"StringEquals": {"k": []}},
        {"StringEquals": {"": "v"}},
        {"ForSomeValues:StringEquals": {"k": "v"}},
        {"ForAnyValue:ForAllValues:StringEquals": {"k": "v"}},
        {"NullIfExists": {"k": "true"}},
        {"Null": {"k": "maybe"}},
        {"Bool": {"k": "yes"}},
        {"NumericEquals": {"k": "ten"}},
        {"NumericEquals": {"k": "1e999999999"}},
        {"DateEquals": {"k": "yesterday"}},
        {"DateEquals": {"k": "2026-02-30"}},
        {"IpAddress": {"k": "10.0.0.0/40"}},
        {"BinaryEquals": {"k": "!"}},
    ],
)
def test_blocks_that_are_none(block: dict[str, Any]) -> None:
    with pytest.raises(ConditionError):
        compile_conditions(block, variables=True)


def test_no_pattern_takes_long() -> None:
    """A pattern that backtracks would not end within the age of the universe; this asserts no time, only an end."""
    bomb = "*a" * 5000 + "*b"
    (condition,) = compile_conditions({"StringLike": {"k": bomb}}, variables=True)
    start = time.process_time()
    assert not condition.holds({"k": ("a" * 20_000,)})
    assert time.process_time() - start < 60
