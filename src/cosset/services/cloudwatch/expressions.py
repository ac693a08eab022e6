"""Metric math, worked out: from a tree and the time series that it names to a number, a series or an array of them.

What is not there answers by name (anomaly bands, insight rules, quotas, SQL). SEARCH is answered before: its series
come in by the text of the search (metric_data.py). Read next: expression_syntax.py.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise

from cosset.services.cloudwatch.errors import invalid
from cosset.services.cloudwatch.expression_syntax import Array, Call, Name, Node, Number, Operator, Text
from cosset.wire.errors import OperationNotImplementedError

MOST_SERIES = 500
MOST_PERIODS = 100_800


@dataclass(frozen=True, slots=True)
class Series:
    """Values by the start of their period (epoch seconds)."""

    label: str
    period_s: int
    points: Mapping[int, float] = field(default_factory=dict)


Value = float | Series | list[Series]


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression may use: the other queries by id, the searches by their text, and the time that is asked for.

    `raw` are the ids of queries that are metrics: METRICS() is all of them.
    """

    values: Mapping[str, Value]
    raw: tuple[str, ...]
    searches: Mapping[str, list[Series]]
    start_s: int
    end_s: int
    period_s: int

    def grid(self, period_s: int) -> range:
        """Every period. Raises ServiceError ValidationError, where there are too many."""
        if (self.end_s - self.start_s) // period_s > MOST_PERIODS:
            raise invalid(f"The time that is asked for has more than {MOST_PERIODS} periods.")
        return range(self.start_s, self.end_s, period_s)


def evaluate(tree: Node, scope: Scope) -> Value:
    """Raises ServiceError: ValidationError, NotImplementedException for a function that is not there."""
    if isinstance(tree, Number):
        return tree.value
    if isinstance(tree, Name):
        if tree.value not in scope.values:
            raise invalid(f"The metric or expression {tree.value} is not defined.")
        return scope.values[tree.value]
    if isinstance(tree, Array):
        return _flat(evaluate(each, scope) for each in tree.items)
    if isinstance(tree, Operator):
        return _operate(tree.sign, evaluate(tree.left, scope), evaluate(tree.right, scope))
    if isinstance(tree, Text):
        raise invalid("A text may stand only in METRICS and SEARCH.")
    return _call(tree, scope)


def _flat(values: Iterable[Value]) -> list[Series]:
    found: list[Series] = []
    for value in values:
        if isinstance(value, list):
            found += value
        elif isinstance(value, Series):
            found.append(value)
        else:
            raise invalid("An array holds time series, no numbers.")
    if len(found) > MOST_SERIES:
        raise invalid(f"An expression may use up to {MOST_SERIES} time series.")
    return found


_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else math.nan,
    "^": lambda a, b: _power(a, b),
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "<": lambda a, b: float(a < b),
    ">": lambda a, b: float(a > b),
    "<=": lambda a, b: float(a <= b),
    ">=": lambda a, b: float(a >= b),
    "AND": lambda a, b: float(bool(a) and bool(b)),
    "OR": lambda a, b: float(bool(a) or bool(b)),
}
_OPERATORS |= {"&&": _OPERATORS["AND"], "||": _OPERATORS["OR"]}


def _power(base: float, exponent: float) -> float:
    try:
        result = base**exponent
    except (OverflowError, ZeroDivisionError):
        return math.nan
    return math.nan if isinstance(result, complex) else float(result)


def _operate(sign: str, left: Value, right: Value) -> Value:
    apply = _OPERATORS[sign]
    if isinstance(left, list) and isinstance(right, list):
        raise invalid(f"The operator {sign} takes no two arrays.")
    if isinstance(left, list):
        return [_operate_series(apply, each, right) for each in left if not isinstance(right, list)]
    if isinstance(right, list):
        return [_operate_series(apply, left, each) for each in right]
    if isinstance(left, float) and isinstance(right, float):
        return apply(left, right)
    return _operate_series(apply, left, right)


def _operate_series(apply: Callable[[float, float], float], left: float | Series, right: float | Series) -> Series:
    """Where both have a value. What is no number (a division by zero) is no value."""
    if isinstance(left, Series) and isinstance(right, Series):
        both = ((at, left.points[at], right.points[at]) for at in left.points if at in right.points)
        return replace(left, points=_kept((at, apply(a, b)) for at, a, b in both))
    if isinstance(left, Series):
        assert isinstance(right, float)
        return replace(left, points=_kept((at, apply(a, right)) for at, a in left.points.items()))
    assert isinstance(right, Series)
    return replace(right, points=_kept((at, apply(left, b)) for at, b in right.points.items()))


def _kept(points: Iterable[tuple[int, float]]) -> dict[int, float]:
    return {at: value for at, value in points if math.isfinite(value)}


def _call(call: Call, scope: Scope) -> Value:
    special = _SPECIAL.get(call.name)
    if special is not None:
        return special(call, scope)
    arguments = [evaluate(each, scope) for each in call.arguments]
    if call.name in _AGGREGATES:
        return _aggregate(call.name, arguments)
    if call.name in _EACH_VALUE:
        return _map(call.name, arguments, lambda series: _each_value(_EACH_VALUE[call.name], series))
    if call.name in _EACH_SERIES:
        return _map(call.name, arguments, _EACH_SERIES[call.name])
    raise OperationNotImplementedError("cloudwatch", f"the function {call.name} of metric math")


def _one(name: str, arguments: list[Value]) -> Value:
    if len(arguments) != 1:
        raise invalid(f"The function {name} takes one argument.")
    return arguments[0]


def _map(name: str, arguments: list[Value], apply: Callable[[Series], Series]) -> Value:
    value = _one(name, arguments)
    if isinstance(value, float):
        raise invalid(f"The function {name} takes a time series.")
    return [apply(each) for each in value] if isinstance(value, list) else apply(value)


def _each_value(apply: Callable[[float], float], series: Series) -> Series:
    return replace(series, points=_kept((at, apply(value)) for at, value in series.points.items()))


_AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "SUM": math.fsum,
    "AVG": statistics.fmean,
    "MIN": min,
    "MAX": max,
    "STDDEV": statistics.pstdev,
}


def _aggregate(name: str, arguments: list[Value]) -> Value:
    """Of one series a number; of an array a series, each of its values over the series that have one there."""
    apply, value = _AGGREGATES[name], _one(name, arguments)
    if isinstance(value, float):
        return value
    if isinstance(value, Series):
        return _reduced(apply, list(value.points.values()))
    found: dict[int, list[float]] = {}
    for each in value:
        for at, one in each.points.items():
            found.setdefault(at, []).append(one)
    period_s = max((each.period_s for each in value), default=60)
    return Series(name, period_s, _kept((at, _reduced(apply, ones)) for at, ones in found.items()))


def _reduced(apply: Callable[[list[float]], float], values: list[float]) -> float:
    """Of nothing, and beyond the largest number, there is no number."""
    try:
        return apply(values) if values else math.nan
    except OverflowError:
        return math.nan


_EACH_VALUE: dict[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": lambda value: float(math.ceil(value)),
    "FLOOR": lambda value: float(math.floor(value)),
    "LOG": lambda value: math.log(value) if value > 0 else math.nan,
    "LOG10": lambda value: math.log10(value) if value > 0 else math.nan,
}


def _differences(series: Series, apply: Callable[[float, int], float]) -> Series:
    """Between each value and the one before it."""
    ordered = sorted(series.points.items())
    pairs = pairwise(ordered)
    return replace(series, points=_kept((at, apply(b - a, at - before)) for (before, a), (at, b) in pairs))


def _running_sum(series: Series) -> Series:
    total, points = 0.0, {}
    for at, value in sorted(series.points.items()):
        total += value
        points[at] = total
    return replace(series, points=points)


def _of_time(apply: Callable[[datetime], float]) -> Callable[[Series], Series]:
    def read(series: Series) -> Series:
        return replace(series, points={at: apply(datetime.fromtimestamp(at, UTC)) for at in series.points})

    return read


_EACH_SERIES: dict[str, Callable[[Series], Series]] = {
    "RATE": lambda series: _differences(series, lambda change, time_s: change / time_s),
    "DIFF": lambda series: _differences(series, lambda change, time_s: change),
    "DIFF_TIME": lambda series: _differences(series, lambda change, time_s: float(time_s)),
    "RUNNING_SUM": _running_sum,
    "MINUTE": _of_time(lambda at: float(at.minute)),
    "HOUR": _of_time(lambda at: float(at.hour)),
    "DAY": _of_time(lambda at: float(at.isoweekday())),
    "DATE": _of_time(lambda at: float(at.day)),
    "MONTH": _of_time(lambda at: float(at.month)),
    "YEAR": _of_time(lambda at: float(at.year)),
    "EPOCH": _of_time(lambda at: at.timestamp()),
}


def _metrics(call: Call, scope: Scope) -> Value:
    """All queries that are metrics; with a text, those whose id holds it."""
    part = ""
    if call.arguments:
        given = call.arguments[0]
        if len(call.arguments) > 1 or not isinstance(given, Text):
            raise invalid("The function METRICS takes a text.")
        part = given.value
    return _flat(scope.values[name] for name in scope.raw if part in name)


def _search(call: Call, scope: Scope) -> Value:
    return scope.searches[search_key(call)]


def search_key(call: Call) -> str:
    """A SEARCH by its arguments. Raises ServiceError ValidationError."""
    texts = [each.value if isinstance(each, Text | Number) else None for each in call.arguments]
    if not 2 <= len(texts) <= 3 or not all(isinstance(each, str) for each in texts[:2]) or None in texts:
        raise invalid("The function SEARCH takes an expression, a statistic and a period.")
    return repr(texts)


def _if(call: Call, scope: Scope) -> Value:
    """The third argument may be left out: then there is no value where the condition does not hold."""
    if not 2 <= len(call.arguments) <= 3:
        raise invalid("The function IF takes two or three arguments.")
    condition, *branches = [evaluate(each, scope) for each in call.arguments]
    if any(isinstance(each, list) for each in (condition, *branches)):
        raise invalid("The function IF takes no arrays.")
    if isinstance(condition, float):
        if not condition and len(branches) == 1:
            raise invalid("The function IF of a number takes three arguments.")
        return branches[0] if condition else branches[1]
    assert isinstance(condition, Series)
    points = {}
    for at, holds in condition.points.items():
        branch = branches[0] if holds else (branches[1] if len(branches) == 2 else Series("", 0))
        value = branch if isinstance(branch, float) else branch.points.get(at)  # type: ignore[union-attr]
        if value is not None:
            points[at] = value
    return replace(condition, points=points)


def _fill(call: Call, scope: Scope) -> Value:
    """Values where there are none: a number, the value before (REPEAT), or one on the line between (LINEAR)."""
    if len(call.arguments) != 2:
        raise invalid("The function FILL takes two arguments.")
    value, filling = evaluate(call.arguments[0], scope), call.arguments[1]
    if isinstance(value, float):
        raise invalid("The function FILL takes a time series.")
    word = filling.value.upper() if isinstance(filling, Name) else ""
    if word not in ("REPEAT", "LINEAR"):
        with_value = evaluate(filling, scope)
        if isinstance(with_value, list):
            raise invalid("The function FILL takes a number, a time series, REPEAT or LINEAR to fill with.")
        return _over(value, lambda series: _filled(series, scope, with_value))
    apply = _repeated if word == "REPEAT" else _on_line
    return _over(value, lambda series: apply(series, scope))


def _over(value: Series | list[Series], apply: Callable[[Series], Series]) -> Value:
    return [apply(each) for each in value] if isinstance(value, list) else apply(value)


def _filled(series: Series, scope: Scope, filling: float | Series) -> Series:
    points = dict(series.points)
    for at in scope.grid(series.period_s):
        value = filling if isinstance(filling, float) else filling.points.get(at)
        if at not in points and value is not None:
            points[at] = value
    return replace(series, points=points)


def _repeated(series: Series, scope: Scope) -> Series:
    points, last = {}, None
    for at in scope.grid(series.period_s):
        last = series.points.get(at, last)
        if last is not None:
            points[at] = last
    return replace(series, points=points)


def _on_line(series: Series, scope: Scope) -> Series:
    points = dict(series.points)
    scope.grid(series.period_s)  # refuses what would be too long
    ordered = sorted(series.points.items())
    for (before, a), (after, b) in pairwise(ordered):
        for at in range(before + series.period_s, after, series.period_s):
            points[at] = a + (b - a) * (at - before) / (after - before)
    return replace(series, points=points)


def _period(call: Call, scope: Scope) -> Value:
    value = evaluate(call.arguments[0], scope) if len(call.arguments) == 1 else None
    if not isinstance(value, Series):
        raise invalid("The function PERIOD takes a time series.")
    return float(value.period_s)


def _metric_count(call: Call, scope: Scope) -> Value:
    return float(len(_flat(evaluate(each, scope) for each in call.arguments)))


def _time_series(call: Call, scope: Scope) -> Value:
    value = evaluate(call.arguments[0], scope) if len(call.arguments) == 1 else None
    if not isinstance(value, float):
        raise invalid("The function TIME_SERIES takes a number.")
    return Series("TIME_SERIES", scope.period_s, _kept((at, value) for at in scope.grid(scope.period_s)))


def _remove_empty(call: Call, scope: Scope) -> Value:
    return [each for each in _flat(evaluate(one, scope) for one in call.arguments) if each.points]


def _end(first: bool) -> Callable[[Call, Scope], Value]:
    def pick(call: Call, scope: Scope) -> Value:
        found = _flat(evaluate(each, scope) for each in call.arguments)
        if not found:
            raise invalid(f"The function {call.name} takes an array that is not empty.")
        return found[0 if first else -1]

    return pick


_SPECIAL: dict[str, Callable[[Call, Scope], Value]] = {
    "METRICS": _metrics,
    "SEARCH": _search,
    "IF": _if,
    "FILL": _fill,
    "PERIOD": _period,
    "METRIC_COUNT": _metric_count,
    "TIME_SERIES": _time_series,
    "REMOVE_EMPTY": _remove_empty,
    "FIRST": _end(first=True),
    "LAST": _end(first=False),
}
