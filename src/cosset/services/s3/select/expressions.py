"""Expressions put together: each is a function of a record. NULL and MISSING go through operators as SQL has it."""

import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, localcontext
from typing import Any

from cosset.services.s3.select.errors import wrong_arguments
from cosset.services.s3.select.functions import is_like, like_pattern
from cosset.services.s3.select.records import Record, Step
from cosset.services.s3.select.values import LARGEST, MISSING, Number, alike, as_number, is_absent

Expression = Callable[[Record], Any]

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_CONTEXT = Context(prec=38, Emax=LARGEST, Emin=-LARGEST)
_MOST_BITS = 4_096


def constant(value: Any) -> Expression:
    return lambda record: value


def path(steps: Sequence[Step]) -> Expression:
    return lambda record: record.find(steps)


def both(one: Expression, other: Expression) -> Expression:
    def found(record: Record) -> bool | None:
        left, right = _truth(one(record)), _truth(other(record))
        return False if left is False or right is False else None if left is None or right is None else True

    return found


def either(one: Expression, other: Expression) -> Expression:
    def found(record: Record) -> bool | None:
        left, right = _truth(one(record)), _truth(other(record))
        return True if left or right else None if left is None or right is None else False

    return found


def opposite(one: Expression) -> Expression:
    def found(record: Record) -> bool | None:
        value = _truth(one(record))
        return None if value is None else not value

    return found


def _truth(value: Any) -> bool | None:
    """Raises ServiceError EvaluatorInvalidArguments."""
    if is_absent(value):
        return None
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise wrong_arguments("a condition")
    return value


def is_true(value: Any) -> bool:
    return _truth(value) is True


def compared(sign: str, one: Expression, other: Expression) -> Expression:
    return lambda record: compare(sign, one(record), other(record))


def compare(sign: str, one: Any, other: Any) -> bool | None:
    if is_absent(one) or is_absent(other):
        return None
    found = alike(one, other)
    if found is None:
        return {"=": False, "<>": True, "!=": True}.get(sign)
    try:
        return _COMPARE[sign](*found)
    except TypeError:
        return None


def counted(sign: str, one: Expression, other: Expression) -> Expression:
    def found(record: Record) -> Any:
        left, right = one(record), other(record)
        return None if is_absent(left) or is_absent(right) else calculate(sign, as_number(left), as_number(right))

    return found


def calculate(sign: str, one: Any, other: Any) -> Number:
    """Whole numbers stay whole. Raises ServiceError EvaluatorInvalidArguments, of what has no result or too large a
    one."""
    if isinstance(one, float) != isinstance(other, float) and Decimal in (type(one), type(other)):
        one, other = float(one), float(other)
    try:
        with localcontext(_CONTEXT):
            found = _calculated(sign, one, other)
    except ArithmeticError:
        raise wrong_arguments(sign) from None
    if isinstance(found, int) and found.bit_length() > _MOST_BITS:
        raise wrong_arguments(sign)
    return found


def _calculated(sign: str, one: Any, other: Any) -> Number:
    found: Number
    if sign == "/":
        found = _truncated(one, other) if isinstance(one, int) and isinstance(other, int) else one / other
    elif sign == "%":
        found = one - other * _truncated(one, other)
    else:
        found = {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign](one, other)
    return found


def _truncated(one: Any, other: Any) -> int:
    if isinstance(one, int) and isinstance(other, int):
        found = abs(one) // abs(other)
        return found if (one < 0) == (other < 0) else -found
    return int(one / other)


def joined(one: Expression, other: Expression) -> Expression:
    def found(record: Record) -> str | None:
        left, right = one(record), other(record)
        if is_absent(left) or is_absent(right):
            return None
        if not isinstance(left, str) or not isinstance(right, str):
            raise wrong_arguments("||")
        return left + right

    return found


def within(one: Expression, several: Sequence[Expression]) -> Expression:
    def found(record: Record) -> bool | None:
        value = one(record)
        results = [compare("=", value, each(record)) for each in several]
        return True if True in results else None if None in results else False

    return found


def resembling(one: Expression, pattern: Expression, escape: Expression | None) -> Expression:
    def found(record: Record) -> bool | None:
        value, wanted = one(record), pattern(record)
        sign = None if escape is None else escape(record)
        if is_absent(value) or is_absent(wanted):
            return None
        texts = isinstance(value, str) and isinstance(wanted, str)
        if not texts or (sign is not None and (not isinstance(sign, str) or len(sign) != 1)):
            raise wrong_arguments("LIKE")
        return is_like(value, like_pattern(wanted, sign))

    return found


def absent(one: Expression, *, only_missing: bool) -> Expression:
    return lambda record: one(record) is MISSING if only_missing else is_absent(one(record))


def called(function: Callable[..., Any], arguments: Sequence[Expression], *, with_absent: bool = False) -> Expression:
    def found(record: Record) -> Any:
        values = [each(record) for each in arguments]
        if not with_absent and any(is_absent(value) for value in values):
            return None
        return function(*values)

    return found


def chosen(cases: Sequence[tuple[Expression, Expression]], otherwise: Expression) -> Expression:
    def found(record: Record) -> Any:
        for condition, result in cases:
            if is_true(condition(record)):
                return result(record)
        return otherwise(record)

    return found


class Aggregate:
    """COUNT, SUM, AVG, MIN or MAX over all records that WHERE lets through."""

    def __init__(self, name: str, of: Expression | None) -> None:
        self._name = name
        self._of = of
        self._count = 0
        self._found: Any = None

    def add(self, record: Record) -> None:
        value = 1 if self._of is None else self._of(record)
        if is_absent(value):
            return
        self._count += 1
        if self._name in ("SUM", "AVG"):
            self._found = calculate("+", 0 if self._found is None else self._found, as_number(value))
        elif self._name in ("MIN", "MAX"):
            value = as_number(value)
            less = self._found is None or (value < self._found if self._name == "MIN" else value > self._found)
            self._found = value if less else self._found

    def result(self, record: Record) -> Any:
        if self._name == "COUNT":
            return self._count
        if self._name == "AVG" and self._found is not None:
            total = self._found if isinstance(self._found, float) else Decimal(self._found)
            return total / self._count
        return self._found
