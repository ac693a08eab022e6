"""Numeric ranges in patterns: `["=", 5]`, `[">", 0, "<=", 10]`."""

from collections.abc import Callable
from dataclasses import dataclass

from cosset.triggers.patterns.tokens import Kind, Token

LIMIT = 5_000_000_000
"""Numbers in ranges lie within this, either side of nothing."""

TOO_MANY = "Too many elements in numeric expression"
_ABOVE, _BELOW = (">", ">="), ("<", "<=")


@dataclass(frozen=True, slots=True)
class Range:
    """`low` and `high` None: open on that side."""

    low: float | None = None
    high: float | None = None
    includes_low: bool = False
    includes_high: bool = False

    def holds(self, value: float) -> bool:
        if self.low is not None and (value < self.low or (value == self.low and not self.includes_low)):
            return False
        return self.high is None or value < self.high or (value == self.high and self.includes_high)


def read_range(take: Callable[[], Token], refuse: Callable[[str, int], Exception]) -> Range:
    """From behind the opening bracket to behind the closing one. `refuse` makes the error of a reason and a place.

    The order of the questions, and where each is asked, are those of AWS's own library (aws/event-ruler): only what
    begins with `>` has a second half, and what numbers may be is asked when the bracket is closed.
    """
    reader = _Reader(take, refuse)
    first = take()
    if first.kind is not Kind.TEXT:
        raise refuse(f"Invalid member in numeric match: {_shown(first)}", first.at)
    operator = str(first.value)
    if operator == "=":
        value = reader.number("equals")
        reader.end(TOO_MANY)
        return Range(value, value, includes_low=True, includes_high=True)
    if operator not in (*_ABOVE, *_BELOW):
        raise refuse(f"Unrecognized numeric range operator: {operator}", take().at)
    begun = _with(Range(), operator, reader.number(operator))
    if operator in _BELOW:
        reader.end(TOO_MANY)
        return begun
    second = take()
    if second.kind is Kind.END_ARRAY:
        reader.check(second.at)
        return begun
    if second.kind is not Kind.TEXT:
        raise refuse(f"Bad value in numeric range: {_shown(second)}", second.at)
    if second.value not in _BELOW:
        raise refuse(f"Bad numeric range operator: {second.value}", second.after)
    other = str(second.value)
    whole = _with(begun, other, reader.number(other))
    closing = reader.end("Too many terms in numeric range expression")
    if whole.low is not None and whole.high is not None and whole.low >= whole.high:
        raise refuse("Bottom must be less than top", closing)
    return whole


class _Reader:
    def __init__(self, take: Callable[[], Token], refuse: Callable[[str, int], Exception]) -> None:
        self._take = take
        self._refuse = refuse
        self._numbers: list[float] = []

    def number(self, operator: str) -> float:
        token = self._take()
        if token.kind is not Kind.NUMBER or isinstance(token.value, str | bool) or token.value is None:
            raise self._refuse(f"Value of {operator} must be numeric", token.at)
        self._numbers.append(token.value)
        return token.value

    def end(self, otherwise: str) -> int:
        """Where the bracket is closed."""
        token = self._take()
        if token.kind is not Kind.END_ARRAY:
            raise self._refuse(otherwise, token.at)
        self.check(token.at)
        return token.at

    def check(self, at: int) -> None:
        """Whether the numbers are such as ranges may have."""
        if any(abs(each) > LIMIT for each in self._numbers):
            raise self._refuse("Value must be between -5.0E9 and 5.0E9, inclusive", at)


def _with(range_: Range, operator: str, bound: float) -> Range:
    if operator in _ABOVE:
        return Range(bound, range_.high, operator == ">=", range_.includes_high)
    return Range(range_.low, bound, range_.includes_low, operator == "<=")


def _shown(token: Token) -> str:
    return str(token.value) if token.kind is Kind.TEXT else token.text or token.kind.value
