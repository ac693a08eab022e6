"""The condition operators: each makes, of a value in a policy, a test for values of a call.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
Quantifiers, IfExists and missing keys are `conditions.py`'s. A value of a call that an operator cannot read (a date
that is none) matches nothing.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cosset.identity.evaluation.arns import parse_arn_pattern
from cosset.identity.evaluation.templates import Template, Values, literal, make_matcher, parse_template

_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?")
_YEAR = re.compile(r"\d{4}")
_DATE = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d))?)?", re.IGNORECASE
)


class OperatorError(ValueError):
    """A value that this operator cannot compare with. The text names it."""


@dataclass(frozen=True, slots=True)
class Test:
    """One value of a policy. `keys` are the condition keys that its variables read."""

    passes: Callable[[str, Values], bool]
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Operator:
    """`negated`: holds when no value matches. `make` raises OperatorError."""

    make: Callable[[str, bool], Test]
    negated: bool = False


def _equal(text: str, variables: bool) -> Test:
    return _text_test(parse_template(text, variables=variables, wildcards=False), ignore_case=False)


def _equal_ignoring_case(text: str, variables: bool) -> Test:
    return _text_test(parse_template(text, variables=variables, wildcards=False), ignore_case=True)


def _text_test(template: Template, *, ignore_case: bool) -> Test:
    def fold(text: str) -> str:
        return text.lower() if ignore_case else text

    def passes(value: str, values: Values) -> bool:
        resolved = template.resolve(values)
        return resolved is not None and fold(literal(resolved)) == fold(value)

    return Test(passes, template.keys)


def _like(text: str, variables: bool) -> Test:
    template = parse_template(text, variables=variables)
    if not template.keys:
        matcher = make_matcher(template.resolve({}) or ())
        return Test(lambda value, values: matcher(value))

    def passes(value: str, values: Values) -> bool:
        resolved = template.resolve(values)
        return resolved is not None and make_matcher(resolved)(value)

    return Test(passes, template.keys)


def _arn(text: str, variables: bool) -> Test:
    pattern = parse_arn_pattern(text, variables=variables, must_be_whole=True)
    return Test(lambda value, values: pattern.matches(value, values) is True, pattern.keys)


def _bool(text: str, variables: bool) -> Test:
    wanted = text.lower()
    if wanted not in ("true", "false"):
        raise OperatorError(f"{text} is neither true nor false")
    return Test(lambda value, values: value.lower() == wanted)


def _binary(text: str, variables: bool) -> Test:
    wanted = _decode(text)
    if wanted is None:
        raise OperatorError(f"{text} is not base64")
    return Test(lambda value, values: _decode(value) == wanted)


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _ip(text: str, variables: bool) -> Test:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise OperatorError(f"{text} is no range of addresses") from None

    def passes(value: str, values: Values) -> bool:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address) in network

    return Test(passes)


def _ordered(read: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Callable[[str, bool], Test]:
    """Compares the call's value with the policy's, both as `read` reads them (None: it cannot)."""

    def make(text: str, variables: bool) -> Test:
        wanted = read(text)
        if wanted is None:
            raise OperatorError(f"{text} cannot be compared with")

        def passes(value: str, values: Values) -> bool:
            given = read(value)
            return given is not None and compare(given, wanted)

        return Test(passes)

    return make


def read_number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def read_date(text: str) -> Decimal | None:
    """Epoch seconds of an ISO 8601 date, or of a number that is them already. Four digits are a year."""
    if not _YEAR.fullmatch(text) and (seconds := read_number(text)) is not None:
        return seconds
    match = _DATE.fullmatch(f"{text}-01" if _YEAR.fullmatch(text) else text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        at = datetime(
            int(year), int(month), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
    except ValueError:
        return None
    shift = 0
    if zone and zone not in "Zz":
        shift = (int(zone[1:3]) * 60 + int(zone[-2:])) * (-60 if zone[0] == "+" else 60)
    return Decimal(int(at.timestamp()) + shift) + Decimal(f"0.{fraction or 0}")


def _comparisons(name: str, read: Callable[[str], Any]) -> dict[str, Operator]:
    equal = _ordered(read, lambda given, wanted: bool(given == wanted))
    return {
        f"{name}equals": Operator(equal),
        f"{name}notequals": Operator(equal, negated=True),
        f"{name}lessthan": Operator(_ordered(read, lambda given, wanted: bool(given < wanted))),
        f"{name}lessthanequals": Operator(_ordered(read, lambda given, wanted: bool(given <= wanted))),
        f"{name}greaterthan": Operator(_ordered(read, lambda given, wanted: bool(given > wanted))),
        f"{name}greaterthanequals": Operator(_ordered(read, lambda given, wanted: bool(given >= wanted))),
    }


OPERATORS: Mapping[str, Operator] = {
    "stringequals": Operator(_equal),
    "stringnotequals": Operator(_equal, negated=True),
    "stringequalsignorecase": Operator(_equal_ignoring_case),
    "stringnotequalsignorecase": Operator(_equal_ignoring_case, negated=True),
    "stringlike": Operator(_like),
    "stringnotlike": Operator(_like, negated=True),
    **_comparisons("numeric", read_number),
    **_comparisons("date", read_date),
    "bool": Operator(_bool),
    "binaryequals": Operator(_binary),
    "ipaddress": Operator(_ip),
    "notipaddress": Operator(_ip, negated=True),
    # ArnEquals and ArnLike are the same on AWS.
    "arnequals": Operator(_arn),
    "arnlike": Operator(_arn),
    "arnnotequals": Operator(_arn, negated=True),
    "arnnotlike": Operator(_arn, negated=True),
}
"""By lower-case name; `Null` asks of the key and not of its values, so it is in `conditions.py`."""
