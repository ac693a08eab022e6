"""Event patterns: what they match, and what is wrong with one, as AWS says it."""

import json
import random
from typing import Any

import pytest

from cosset.triggers.patterns import Dialect, InvalidPatternError, compile_pattern

MATCHES: list[tuple[Any, Any, bool]] = [
    # exact
    ({"a": ["x"]}, {"a": "x"}, True),
    ({"a": ["x"]}, {"a": "X"}, False),
    ({"a": ["x", "y"]}, {"a": "y"}, True),
    ({"a": ["x"]}, {}, False),
    ({"a": [""]}, {"a": ""}, True),
    ({"a": [""]}, {"a": None}, False),
    ({"a": [None]}, {"a": None}, True),
    ({"a": [None]}, {}, False),
    ({"a": [True]}, {"a": True}, True),
    ({"a": [True]}, {"a": 1}, False),
    ({"a": [1]}, {"a": True}, False),
    ({"a": [1]}, {"a": 1.0}, True),
    ({"a": ["1"]}, {"a": 1}, False),
    # all fields, nested, and lists looked through
    ({"a": ["x"], "b": ["y"]}, {"a": "x", "b": "n"}, False),
    ({"a": {"b": ["y"]}}, {"a": {"b": "y", "c": 1}}, True),
    ({"a": {"b": ["y"]}}, {"a": "y"}, False),
    ({"a": ["3", "2"]}, {"a": ["1", "3"]}, True),
    ({"a": {"b": ["x"], "c": ["y"]}}, {"a": [{"b": "x", "c": "n"}, {"b": "n", "c": "y"}]}, False),
    ({"a": {"b": ["x"], "c": ["y"]}}, {"a": [{"b": "x", "c": "y"}]}, True),
    # prefix, suffix, case
    ({"a": [{"prefix": "us-"}]}, {"a": "us-east"}, True),
    ({"a": [{"prefix": "us-"}]}, {"a": "eu-west"}, False),
    ({"a": [{"prefix": "1"}]}, {"a": 12}, False),
    ({"a": [{"prefix": {"equals-ignore-case": "US-"}}]}, {"a": "us-east"}, True),
    ({"a": [{"suffix": ".png"}]}, {"a": "b.png"}, True),
    ({"a": [{"suffix": ".png"}]}, {"a": "b.jpg"}, False),
    ({"a": [{"suffix": {"equals-ignore-case": ".PNG"}}]}, {"a": "b.png"}, True),
    ({"a": [{"equals-ignore-case": "ALICE"}]}, {"a": "alice"}, True),
    ({"a": [{"exactly": "x"}]}, {"a": "x"}, True),
    ({"a": [{"exactly": "x"}]}, {"a": "xy"}, False),
    # anything-but
    ({"a": [{"anything-but": "x"}]}, {"a": "y"}, True),
    ({"a": [{"anything-but": "x"}]}, {"a": "x"}, False),
    ({"a": [{"anything-but": "x"}]}, {}, False),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "y"}, False),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": ["y", "z"]}, True),
    ({"a": [{"anything-but": [1, 2]}]}, {"a": 2}, False),
    ({"a": [{"anything-but": {"prefix": "x"}}]}, {"a": "xy"}, False),
    ({"a": [{"anything-but": {"prefix": ["x", "y"]}}]}, {"a": "zy"}, True),
    ({"a": [{"anything-but": {"suffix": "y"}}]}, {"a": "xy"}, False),
    ({"a": [{"anything-but": {"suffix": [".a", ".b"]}}]}, {"a": "x.c"}, True),
    ({"a": [{"anything-but": {"wildcard": "*/lib/*"}}]}, {"a": "/lib/x"}, False),
    ({"a": [{"anything-but": {"wildcard": ["*/lib/*", "*/bin/*"]}}]}, {"a": "/etc/x"}, True),
    ({"a": [{"anything-but": {"equals-ignore-case": "X"}}]}, {"a": "x"}, False),
    ({"a": [{"anything-but": {"equals-ignore-case": ["X", "Y"]}}]}, {"a": "z"}, True),
    # numbers
    ({"a": [{"numeric": [">", 100]}]}, {"a": 105}, True),
    ({"a": [{"numeric": [">", 100]}]}, {"a": 100}, False),
    ({"a": [{"numeric": [">", 100]}]}, {"a": "105"}, False),
    ({"a": [{"numeric": [">=", 100, "<", 200]}]}, {"a": 100}, True),
    ({"a": [{"numeric": [">=", 100, "<", 200]}]}, {"a": 200}, False),
    ({"a": [{"numeric": ["<=", 3.1e2]}]}, {"a": 310}, True),
    ({"a": [{"numeric": ["=", 5]}]}, {"a": 5.0}, True),
    ({"a": [{"numeric": ["=", 0]}]}, {"a": False}, False),
    # exists: of leaves alone
    ({"a": [{"exists": True}]}, {"a": None}, True),
    ({"a": [{"exists": True}]}, {}, False),
    ({"a": [{"exists": False}]}, {"b": 1}, True),
    ({"a": [{"exists": False}]}, {"a": ""}, False),
    ({"a": [{"exists": True}]}, {"a": {"b": 1}}, False),
    ({"a": {"b": [{"exists": False}]}}, {"a": {"c": 1}}, True),
    ({"a": {"b": [{"exists": False}]}}, {}, True),
    ({"a": [{"exists": True}]}, {"a": []}, False),
    ({"a": [{"exists": False}]}, {"a": []}, True),
    ({"a": [{"exists": False}, "x"]}, {"a": "x"}, True),
    # wildcards
    ({"a": [{"wildcard": "a*c"}]}, {"a": "abbc"}, True),
    ({"a": [{"wildcard": "a*c"}]}, {"a": "abb"}, False),
    ({"a": [{"wildcard": "*.png"}]}, {"a": ".png"}, True),
    ({"a": [{"wildcard": "a*a"}]}, {"a": "a"}, False),
    ({"a": [{"wildcard": "*a*b*"}]}, {"a": "xbxaxbx"}, True),
    ({"a": [{"wildcard": "*a*b*"}]}, {"a": "xbxax"}, False),
    ({"a": [{"wildcard": "1\\*2\\\\"}]}, {"a": "1*2\\"}, True),
    ({"a": [{"wildcard": "plain"}]}, {"a": "plain"}, True),
    # networks
    ({"a.b.c": ["x"]}, {"a": {"b": {"c": "x"}}}, True),
    ({"a.b.c": ["x"]}, {"a.b.c": "x"}, True),
    ({"a.b.c": ["x"]}, {"a.b": {"c": "x"}}, True),
    ({"a.b.c": ["x"]}, {"a": {"b.c": "x"}}, True),
    ({"a.b.c": ["x"]}, {"a": {"b": "x"}}, False),
    ({"a": {"b": ["x"]}}, {"a.b": "x"}, True),
    ({"a.b": ["x"], "a": {"c": ["y"]}}, {"a": {"b": "x"}, "a.c": "y"}, True),
    ({"a.b": ["x"], "a": {"c": ["y"]}}, {"a": {"b": "x"}}, False),
    ({"a.b": ["x"]}, {"a": "y", "a.b": "x"}, True),
    ({"a.b": [{"exists": False}]}, {"a.b": "x"}, False),
    ({"a.b": [{"exists": False}]}, {"a": {"c": "x"}}, True),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.0.255"}, True),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.1.0"}, False),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "::1"}, False),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "no address"}, False),
    ({"a": [{"cidr": "2001:db8::/32"}]}, {"a": "2001:db8::1"}, True),
    # $or
    ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"b": "y"}, True),
    ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"b": "x"}, False),
    ({"c": [1], "$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"b": "y"}, False),
    ({"d": {"$or": [{"a": ["x"]}, {"b": {"c": ["y"]}}]}}, {"d": {"b": {"c": "y"}}}, True),
    ({"$or": [{"$or": [{"a": [1]}, {"a": [2]}]}, {"b": [3]}]}, {"a": 2}, True),
    ({"$or": ["x"]}, {"$or": "x"}, True),  # a field that happens to be called so
    ({"$or": [{"prefix": "x"}, {"prefix": "y"}]}, {"$or": "yy"}, True),
]


@pytest.mark.parametrize(("pattern", "event", "expected"), MATCHES, ids=json.dumps)
def test_what_matches(pattern: Any, event: Any, expected: bool) -> None:
    assert compile_pattern(json.dumps(pattern)).matches(event) is expected


TWICE = 2
# A pattern, the sentence, and the column where there is one: recorded, TestEventPattern::test_event_pattern.
REFUSALS: list[tuple[str, str, int | None, int]] = [
    ('{"resources": []}', "Empty arrays are not allowed", 17, 1),
    (
        '{"detail": {"state": [{"anything-but": {"equals-ignore-case": 123}}]}}',
        "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.",
        66,
        1,
    ),
    (
        '{"detail": {"state": [{"anything-but": {"equals-ignore-case": [123, 456]}}]}}',
        "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.",
        67,
        TWICE,
    ),
    (
        '{"detail": {"state": [{"anything-but": ["stopped", null]}]}}',
        "Inside anything but list, start|null|boolean is not supported.",
        56,
        TWICE,
    ),
    (
        '{"detail": {"state": [{"anything-but": null}]}}',
        "Value of anything-but must be an array or single string/number value.",
        44,
        1,
    ),
    ('{"detail": {"FileName": [{"anything-but": {"prefix": ""}}]}}', "Null prefix/suffix not allowed", 56, 1),
    (
        '{"detail": {"FileName": [{"anything-but": {"prefix": {"equals-ignore-case": "file"}}}]}}',
        "Value of anything-but must be an array or single string/number value.",
        55,
        1,
    ),
    (
        '{"detail": {"state": [{"anything-but": {"prefix": 123}}]}}',
        "prefix/suffix match pattern must be a string",
        54,
        1,
    ),
    (
        '{"detail": {"FileName": [{"anything-but": {"suffix": [null, ".txt"]}}]}}',
        "prefix/suffix match pattern must be a string",
        59,
        TWICE,
    ),
    (
        '{"detail": {"state": [{"anything-but": {"wildcard": [123, "*/dir/*"]}}]}}',
        "wildcard match pattern must be a string",
        57,
        TWICE,
    ),
    (
        '{"detail-type": [{"equals-ignore-case": ["ec2"]}]}',
        "equals-ignore-case match pattern must be a string",
        42,
        1,
    ),
    ('{"detail": {"ip": [{"cidr": "bad-filter"}]}}', "Malformed CIDR, one '/' required", None, 1),
    ('{"detail": {"ip": [{"cidr": "xx.11.xx/8"}]}}', "Nonstandard IP address: xx.11.xx", None, 1),
    ('{"detail": {"ip": [{"cidr": "no-address/x"}]}}', "Malformed CIDR, mask bits must be an integer", None, 1),
    ('{"detail": {"ip": [{"cidr": "10.0.0.0/x"}]}}', "Malformed CIDR, mask bits must be an integer", None, 1),
    (
        '{"detail": {"sourceIPAddress": [{"cidr": ["bad-type"]}]}}',
        "prefix match pattern must be a string",
        43,
        1,
    ),
    ('{"detail": {"c-count": [{"numeric": [">", 0, ">", 0]}]}}', "Bad numeric range operator: >", 49, 1),
    ('{"detail": {"c-count": [{"numeric": 10}]}}', "Value of numeric must be an array.", 39, 1),
    ('{"detail": {"equal": [{"NUMERIC": ["=", 5]}]}}', "Unrecognized match type NUMERIC", 36, 1),
    ('{"detail": {"c-count": [{"numeric": [">", 0, "<"]}]}}', "Value of < must be numeric", 50, 1),
    # As AWS's own library has it (aws/event-ruler, JsonRuleCompiler).
    ('{"a": [{"exactly": 5}]}', "exact match pattern must be a string", 21, 1),
    ('{"$or": [{"a": [1]}, {"b": [1], "regex": [2]}]}', "Unrecognized match type a", 17, 1),
    ('{"a": [{"numeric": ["=", 5, "<"]}]}', "Too many elements in numeric expression", 30, 1),
    ('{"a": [{"numeric": ["<", 5, ">", 0]}]}', "Too many elements in numeric expression", 30, 1),
    ('{"a": [{"numeric": [">", 0, 5]}]}', "Bad value in numeric range: 5", 30, 1),
    ('{"a": [{"numeric": [">", 0, "<", 5, 6]}]}', "Too many terms in numeric range expression", 38, 1),
    ('{"a": [{"numeric": [">", 5, "<", 5]}]}', "Bottom must be less than top", 36, 1),
    ('{"a": [{"numeric": ["<>", 5]}]}', "Unrecognized numeric range operator: <>", 28, 1),
    ('{"a": [{"numeric": ["=", 6e9]}]}', "Value must be between -5.0E9 and 5.0E9, inclusive", 30, 1),
    ('{"a": [{"numeric": [">", 6e9]}]}', "Value must be between -5.0E9 and 5.0E9, inclusive", 30, 1),
    ('{"a": [{"numeric": ["=", 5], "b": 1}]}', "Too many elements in numeric expression", 36, 1),
    (
        '{"a": [{"anything-but": [1, "x"]}]}',
        "Inside anything but list, either all values are number or string, mixed type is not supported",
        33,
        1,
    ),
    (
        '{"a": [{"anything-but": []}]}',
        "Inside anything but list, either all values are number or string, mixed type is not supported",
        27,
        1,
    ),
    ('{"time": [{"prefix": 123}]}', "prefix match pattern must be a string", 25, 1),
    ('{"FileName": [{"suffix": [".png"]}]}', "suffix match pattern must be a string", 27, 1),
    ('{"EventBusArn": [{"wildcard": 123}]}', "wildcard match pattern must be a string", 34, 1),
    (
        '{"EventBusArn": [{"wildcard": "arn:aws:events:us-east-1:**:event-bus/*"}]}',
        "Consecutive wildcard characters at pos 26",
        72,
        1,
    ),
    ('{"int": 42}', '"int" must be an object or an array', 11, 1),
    ('{"my_key": [{"EXISTS": true}]}', "Unrecognized match type EXISTS", 28, 1),
    ('{"string": "my-value"}', '"string" must be an object or an array', 13, 1),
    ('["not", "a", "dict", "but valid json"]', "Filter is not an object", 2, 1),
    (
        "this is valid json but not a dict",
        "Unrecognized token 'this': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or "
        "'false')",
        5,
        1,
    ),
    (
        '{"not": closed mark"',
        "Unrecognized token 'closed': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or "
        "'false')",
        15,
        1,
    ),
    (
        "{'bad': 'quotation'}",
        "Unexpected character (''' (code 39)): was expecting double-quote to start field name",
        2,
        1,
    ),
]


@pytest.mark.parametrize(("source", "reason", "column", "times"), REFUSALS)
def test_what_is_wrong_is_said_as_on_aws(source: str, reason: str, column: int | None, times: int) -> None:
    with pytest.raises(InvalidPatternError) as caught:
        compile_pattern(source)
    place = "" if column is None else f'\n at [Source: (String)"{source}"; line: 1, column: {column}]' * times
    assert (caught.value.reason, caught.value.sentence) == (reason, reason + place)


@pytest.mark.parametrize(
    ("source", "reason", "column"),
    [
        ('{"key":[{"exists":null}]}', "exists match pattern must be either true or false.", 23),
        ('{"key":[{"exists":"no"}]}', "exists match pattern must be either true or false.", 20),
        ('{"key":[{"anything-but":{"exists":false}}]}', "Unsupported anything-but pattern: exists", 40),
        ('{"key":[{"anything-but":{"prefix":false}}]}', "prefix match pattern must be a string", 40),
        ('{"key":[{"anything-but":{"suffix":"test"}}]}', "Unsupported anything-but pattern: suffix", 36),
        ('{"key":[{"anything-but":{"wrong-operator":null}}]}', "Unsupported anything-but pattern: wrong-operator", 47),
        ('{"key":[{"suffix":[]}]}', "suffix match pattern must be a string", 20),
        ('{"key":[{"suffix":null}]}', "suffix match pattern must be a string", 23),
        ('{"key":{"suffix":"value","prefix":"value"}}', '"suffix" must be an object or an array', 19),
        ('{"key_a":"value_one"}', '"key_a" must be an object or an array', 11),
    ],
)
def test_sns_says_some_of_it_in_other_words(source: str, reason: str, column: int) -> None:
    # recorded: TestSNSFilterPolicyConditions, TestSNSFilterPolicyCrud
    with pytest.raises(InvalidPatternError) as caught:
        compile_pattern(source, Dialect.SNS)
    assert caught.value.sentence == f'{reason}\n at [Source: (String)"{source}"; line: 1, column: {column}]'


@pytest.mark.parametrize(
    "source", ["", "{", '{"a"', '{"a":', '{"a":[', '{"a":["', '{"a" 1}', "[" * 5000, '{"a":' * 5000]
)
def test_what_breaks_off_or_has_no_end_is_refused(source: str) -> None:
    with pytest.raises(InvalidPatternError):
        compile_pattern(source)


def test_any_text_is_a_pattern_or_refused() -> None:
    random.seed(1)
    whole = [json.dumps(pattern) for pattern, _, _ in MATCHES]
    for _ in range(3000):
        text = list(random.choice(whole))
        for _ in range(random.randint(1, 3)):
            text[random.randrange(len(text))] = random.choice('{}[]",:\\*0a \x00')
        try:
            pattern = compile_pattern("".join(text))
        except InvalidPatternError:
            continue
        for _, event, _ in MATCHES[::7]:
            pattern.matches(event)


def test_names_of_many_dots_are_borne() -> None:
    with pytest.raises(InvalidPatternError):
        compile_pattern(json.dumps({".".join("a" * 300): ["x"]}))
    deep = json.loads('{"a":' * 900 + "1" + "}" * 900)
    pattern = compile_pattern(json.dumps({".".join("a" * 150): ["x"]}))
    for event in ({".".join("a" * 5000): 1, "a": deep}, {"a": deep, "a.a": deep}, deep):
        assert not pattern.matches(event)
