"""The wildcards of policy documents."""

import random
import re

import pytest

from cosset.identity.arn import Arn
from cosset.identity.evaluation.templates import make_matcher, parse_template
from cosset.identity.matching import matches, matches_any


@pytest.mark.parametrize(
    ("value", "pattern", "expected"),
    [
        ("", "", True),
        ("", "*", True),
        ("", "?", False),
        ("abc", "abc", True),
        ("abc", "ab", False),
        ("abc", "a*", True),
        ("abc", "*c", True),
        ("abc", "a?c", True),
        ("abc", "a??c", False),
        ("abcabc", "*bc", True),
        ("a.c", "a.c", True),
        ("abc", "a.c", False),
        ("a\nc", "a*c", True),
        ("mississippi", "m*iss*pi", True),
        ("mississippi", "m*issx*pi", False),
        ("[x]", "[x]", True),
    ],
)
def test_wildcards(value: str, pattern: str, expected: bool) -> None:
    assert matches(value, pattern) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 5_000 + "b",
        "*" + "a" * 200_000 + "b*",  # tried at every place it would take hours
        "*" + "a?" * 1_000 + "b*",
        "*" + "?" * 1_000 + "b*",
    ],
)
def test_no_hostile_pattern_takes_long(pattern: str) -> None:
    assert not matches("a" * 100_000, pattern)
    assert not make_matcher(tuple(parse_template(pattern, variables=False).pieces))("a" * 100_000)


def test_both_readers_of_patterns_mean_the_same() -> None:
    rng = random.Random(1)
    for _ in range(5_000):
        pattern = "".join(rng.choices("ab*?", k=rng.randrange(8)))
        value = "".join(rng.choices("ab\n", k=rng.randrange(9)))
        regex = "".join({"*": ".*", "?": "."}.get(char, char) for char in pattern)
        meant = re.fullmatch(regex, value, re.DOTALL) is not None
        assert matches(value, pattern) is meant, (value, pattern)
        assert make_matcher(tuple(parse_template(pattern, variables=False).pieces))(value) is meant, (value, pattern)


def test_case_counts_unless_told() -> None:
    assert not matches_any("sts:AssumeRole", ["STS:assume*"])
    assert matches_any("sts:AssumeRole", ["STS:assume*"], ignore_case=True)


def test_arns() -> None:
    text = "arn:aws:logs:us-east-1:111111111111:log-group:/a/b:log-stream:c"
    arn = Arn.parse(text)
    assert arn is not None
    assert (arn.service, arn.account, arn.resource) == ("logs", "111111111111", "log-group:/a/b:log-stream:c")
    assert str(arn) == text
    for wrong in ("", "arn", "arn:aws:iam::1", "arn:aws:iam::1:", "x:aws:iam::1:r", "arn::iam::1:r"):
        assert Arn.parse(wrong) is None
