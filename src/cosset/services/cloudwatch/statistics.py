"""Statistics of a distribution, by the names that CloudWatch gives them: Sum, p99, TM(10%:90%), PR(:300) ...

Source: CloudWatch user guide, "Statistics definitions". Next: series.py, which applies them to periods.
"""

import math
import re
from collections.abc import Callable

from cosset.observe.metrics import Distribution
from cosset.services.cloudwatch.errors import invalid

Statistic = Callable[[Distribution], float | None]
"""None: the distribution is known by its statistics only, and this one needs its values."""

PLAIN: dict[str, Statistic] = {
    "SampleCount": lambda values: values.count,
    "Sum": lambda values: values.total,
    "Average": lambda values: values.total / values.count if values.count else None,
    "Minimum": lambda values: values.lowest,
    "Maximum": lambda values: values.highest,
}
_NUMBER = r"(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
_SHORT = re.compile(r"(p|tm|wm|tc|ts)(\d{1,3}(?:\.\d{1,10})?)", re.IGNORECASE | re.ASCII)
_LONG = re.compile(rf"(TM|WM|TC|TS|PR)\((?:{_NUMBER}(%?))?:(?:{_NUMBER}(%?))?\)", re.IGNORECASE | re.ASCII)


def statistic(name: str) -> Statistic:
    """Raises ServiceError ValidationError for what is none."""
    plain = PLAIN.get(name)
    if plain is not None:
        return plain
    if name.upper() == "IQM":
        return lambda values: _mean(_between(values, 25.0, 75.0))
    short = _SHORT.fullmatch(name)
    if short is not None and float(short[2]) <= 100:
        return _short(short[1].lower(), float(short[2]))
    long = _LONG.fullmatch(name)
    if long is not None and (long[2] is not None or long[4] is not None):
        return _long(long[1].upper(), long[2], long[3] == "%", long[4], long[5] == "%")
    raise invalid(f"The value {name} for parameter Stat is not supported.")


def percentile(values: Distribution, share: float) -> float | None:
    """The value that `share` percent of all lie at or below."""
    if values.values is None or not values.count:
        return None
    wanted = share / 100 * values.count
    passed = 0.0
    for value, times in sorted(values.values.items()):
        passed += times
        if passed >= wanted - 1e-9:
            return value
    return values.highest


def _short(kind: str, share: float) -> Statistic:
    if kind == "p":
        return lambda values: percentile(values, share)
    return _APPLIED[kind.upper()](0.0, True, share)


def _long(kind: str, low: str | None, low_percent: bool, high: str | None, high_percent: bool) -> Statistic:
    in_percent = low_percent or high_percent
    given = [text for text, percent in ((low, low_percent), (high, high_percent)) if text is not None and percent]
    if in_percent and len(given) != sum(text is not None for text in (low, high)):
        raise invalid("The bounds of a statistic must both be percentages, or neither.")
    if kind == "PR" and in_percent:
        raise invalid("The bounds of PR must not be percentages.")
    lower = float(low) if low is not None else (0.0 if in_percent else -math.inf)
    upper = float(high) if high is not None else (100.0 if in_percent else math.inf)
    return _APPLIED[kind](lower, in_percent, upper)


_Bounds = tuple[list[tuple[float, float]], float, float]


def _cut(values: Distribution, lower: float, upper: float, in_percent: bool) -> _Bounds | None:
    """What lies between the bounds, with the bounds as values; values at the lower bound lie outside."""
    if values.values is None or not values.count:
        return None
    if in_percent:
        inside = _between(values, lower, upper) or []
        low, high = percentile(values, lower), percentile(values, upper)
        assert low is not None
        assert high is not None
        return inside, low, high
    return [(value, times) for value, times in values.values.items() if lower < value <= upper], lower, upper


def _between(values: Distribution, lower: float, upper: float) -> list[tuple[float, float]] | None:
    """Shares of the sorted values, those at the borders in part."""
    if values.values is None or not values.count:
        return None
    first, last = lower / 100 * values.count, upper / 100 * values.count
    inside, passed = [], 0.0
    for value, times in sorted(values.values.items()):
        taken = min(passed + times, last) - max(passed, first)
        if taken > 1e-9:
            inside.append((value, taken))
        passed += times
    return inside


def _mean(inside: list[tuple[float, float]] | None) -> float | None:
    if not inside:
        return None
    return math.fsum(value * times for value, times in inside) / math.fsum(times for _, times in inside)


def _trimmed(lower: float, in_percent: bool, upper: float) -> Statistic:
    def apply(values: Distribution) -> float | None:
        cut = _cut(values, lower, upper, in_percent)
        return None if cut is None else _mean(cut[0])

    return apply


def _winsorized(lower: float, in_percent: bool, upper: float) -> Statistic:
    def apply(values: Distribution) -> float | None:
        cut = _cut(values, lower, upper, in_percent)
        if cut is None or values.values is None:
            return None
        held = [(min(max(value, cut[1]), cut[2]), times) for value, times in values.values.items()]
        return _mean(held)

    return apply


def _trimmed_count(lower: float, in_percent: bool, upper: float) -> Statistic:
    def apply(values: Distribution) -> float | None:
        cut = _cut(values, lower, upper, in_percent)
        return None if cut is None else math.fsum(times for _, times in cut[0])

    return apply


def _trimmed_sum(lower: float, in_percent: bool, upper: float) -> Statistic:
    def apply(values: Distribution) -> float | None:
        cut = _cut(values, lower, upper, in_percent)
        return None if cut is None else math.fsum(value * times for value, times in cut[0])

    return apply


def _rank(lower: float, in_percent: bool, upper: float) -> Statistic:
    count = _trimmed_count(lower, in_percent, upper)

    def apply(values: Distribution) -> float | None:
        inside = count(values)
        return None if inside is None else inside / values.count * 100

    return apply


_APPLIED: dict[str, Callable[[float, bool, float], Statistic]] = {
    "TM": _trimmed,
    "WM": _winsorized,
    "TC": _trimmed_count,
    "TS": _trimmed_sum,
    "PR": _rank,
}
