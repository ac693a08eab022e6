"""The wildcards of policy documents."""

import pytest

from cosset.identity.arn import Arn
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


def test_a_hostile_pattern_takes_no_longer_than_another() -> None:
    assert not matches("a" * 2000, "*a" * 100 + "b")


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
