"""Metric math: what each operator and function makes of time series, and what is refused."""

import math
import random

import pytest

from cosset.observe.metrics import MetricKey
from cosset.services.cloudwatch.expression_syntax import parse
from cosset.services.cloudwatch.expressions import Scope, Series, Value, evaluate
from cosset.services.cloudwatch.search import read_search
from cosset.wire.errors import ServiceError

A = Series("a", 60, {0: 1.0, 60: 2.0, 180: 4.0})
B = Series("b", 60, {0: 10.0, 60: 0.0, 120: 30.0})


def work_out(text: str) -> Value:
    scope = Scope({"a": A, "b": B}, ("a", "b"), {}, 0, 240, 60)
    return evaluate(parse(text), scope)


def points(value: Value) -> dict[int, float]:
    assert isinstance(value, Series)
    return dict(value.points)


EXPECTED = {
    "a + b": {0: 11.0, 60: 2.0},
    "b / a": {0: 10.0, 60: 0.0},
    "a / b": {0: 0.1},
    "a + 2 * 3 ^ 2": {0: 19.0, 60: 20.0, 180: 22.0},
    "-a": {0: -1.0, 60: -2.0, 180: -4.0},
    "(a > 1) AND (b < 5)": {0: 0.0, 60: 1.0},
    "a >= 2 || b == 10": {0: 1.0, 60: 1.0},
    "SUM([a, b])": {0: 11.0, 60: 2.0, 120: 30.0, 180: 4.0},
    "MAX(METRICS())": {0: 10.0, 60: 2.0, 120: 30.0, 180: 4.0},
    "a - AVG(b)": {0: 1 - 40 / 3, 60: 2 - 40 / 3, 180: 4 - 40 / 3},
    "MIN([a, b])": {0: 1.0, 60: 0.0, 120: 30.0, 180: 4.0},
    "FILL(a, 0)": {0: 1.0, 60: 2.0, 120: 0.0, 180: 4.0},
    "FILL(a, REPEAT)": {0: 1.0, 60: 2.0, 120: 2.0, 180: 4.0},
    "FILL(a, LINEAR)": {0: 1.0, 60: 2.0, 120: 3.0, 180: 4.0},
    "FILL(a, b)": {0: 1.0, 60: 2.0, 120: 30.0, 180: 4.0},
    "RATE(a)": {60: 1 / 60, 180: 2 / 120},
    "DIFF(a)": {60: 1.0, 180: 2.0},
    "DIFF_TIME(a)": {60: 60.0, 180: 120.0},
    "IF(a > 1, a, b)": {0: 10.0, 60: 2.0, 180: 4.0},
    "IF(a > 1, 7)": {60: 7.0, 180: 7.0},
    "a * PERIOD(a)": {0: 60.0, 60: 120.0, 180: 240.0},
    "RUNNING_SUM(a)": {0: 1.0, 60: 3.0, 180: 7.0},
    "FIRST(METRICS('b'))": B.points,
    "a * METRIC_COUNT(METRICS())": {0: 2.0, 60: 4.0, 180: 8.0},
    "TIME_SERIES(5)": {0: 5.0, 60: 5.0, 120: 5.0, 180: 5.0},
}


@pytest.mark.parametrize(("text", "expected"), EXPECTED.items())
def test_expressions(text: str, expected: dict[int, float]) -> None:
    assert points(work_out(text)) == pytest.approx(expected)


def test_an_array_stays_one() -> None:
    value = work_out("METRICS() * 2")
    assert isinstance(value, list)
    assert [points(each)[0] for each in value] == [2.0, 20.0]


@pytest.mark.parametrize(
    "text",
    [
        *("", "a +", "a b", "(a", "[a", "'x'", "c", "a $ b", "FILL(a)", "IF(a)", "SUM()", "SUM(a, b)", "PERIOD(5)"),
        *("[1, 2]", "METRICS() + METRICS()", "IF(METRICS(), a, b)", "RATE(5)", "(" * 100 + "a" + ")" * 100),
        *("a" * 3000, "SEARCH(a)", "ABS(1)", "FILL(5, 0)", "METRICS(5)", "TIME_SERIES(a)", "LAST([])"),
    ],
)
def test_expressions_that_make_no_sense(text: str) -> None:
    with pytest.raises(ServiceError) as caught:
        work_out(text)
    assert caught.value.code == "ValidationError"


@pytest.mark.parametrize("text", ["ANOMALY_DETECTION_BAND(a)", "SERVICE_QUOTA(a)", "SORT(a)", "FOO(a)"])
def test_functions_that_are_not_there(text: str) -> None:
    with pytest.raises(ServiceError) as caught:
        work_out(text)
    assert caught.value.code == "NotImplementedException"


def test_any_text_is_worked_out_or_refused() -> None:
    rng = random.Random(22)
    parts = [
        "a",
        "b",
        "2",
        "1e308",
        "0",
        "+",
        "-",
        "*",
        "/",
        "^",
        "(",
        ")",
        "[",
        "]",
        ",",
        ">",
        "==",
        "AND",
        "SUM(",
        "MIN(",
        "IF(",
        "FILL(",
        "METRICS()",
        "RATE(",
        "REPEAT",
        "STDDEV(",
        "LOG(",
    ]
    for _ in range(3_000):
        text = " ".join(rng.choices(parts, k=rng.randint(1, 12)))
        try:
            value = work_out(text)
        except ServiceError:
            continue
        series = value if isinstance(value, list) else [value]
        assert all(math.isfinite(one) for each in series if isinstance(each, Series) for one in each.points.values())


@pytest.mark.parametrize(
    ("text", "finds"),
    [
        *(("{n,d} m", True), ("{n} m", False), ("{x,d}", False), ('MetricName="m1"', True), ('MetricName="m"', False)),
        *(("d=v", True), ('d="w"', False), ("nothing", False), ("{n,d} m AND v", True), (':aws.MetricName="m1"', True)),
    ],
)
def test_searches(text: str, finds: bool) -> None:
    key = MetricKey("111111111111", "us-east-1", "n", "m1", (("d", "value"),))
    assert read_search(text).finds(key) is finds
