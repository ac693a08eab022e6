"""Single rules: what one value must be. A rule is asked for every value of a field, or once for ABSENT."""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final

from cosset.triggers.patterns.ranges import Range
from cosset.triggers.patterns.wildcards import Wildcard


class _Absent:
    """A field that is not there."""


ABSENT: Final = _Absent()

Rule = Callable[[Any], bool]


def equals(expected: Any) -> Rule:
    """Numbers are equal by value, however they are written; truth values are no numbers."""
    if _is_number(expected):
        return lambda value: _is_number(value) and value == expected
    return lambda value: type(value) is type(expected) and value == expected


def prefix(text: str, *, ignore_case: bool = False) -> Rule:
    if ignore_case:
        folded = text.casefold()
        return lambda value: isinstance(value, str) and value.casefold().startswith(folded)
    return lambda value: isinstance(value, str) and value.startswith(text)


def suffix(text: str, *, ignore_case: bool = False) -> Rule:
    if ignore_case:
        folded = text.casefold()
        return lambda value: isinstance(value, str) and value.casefold().endswith(folded)
    return lambda value: isinstance(value, str) and value.endswith(text)


def equals_ignore_case(text: str) -> Rule:
    folded = text.casefold()
    return lambda value: isinstance(value, str) and value.casefold() == folded


def exists(expected: bool) -> Rule:
    return lambda value: (value is not ABSENT) is expected


def in_range(range_: Range) -> Rule:
    return lambda value: _is_number(value) and range_.holds(value)


def within(network: IPv4Network | IPv6Network) -> Rule:
    def holds(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        try:
            address = ip_address(value)
        except ValueError:
            return False
        return address.version == network.version and address in network

    return holds


def anything_but(values: Sequence[Any]) -> Rule:
    """What is there and is none of these."""
    unwanted = [equals(value) for value in values]
    return lambda value: value is not ABSENT and not any(rule(value) for rule in unwanted)


def anything_but_like(operator: str, values: Sequence[Any]) -> Rule:
    """`operator` is prefix, suffix, equals-ignore-case or wildcard."""
    unwanted = [_LIKE[operator](value) for value in values]
    return lambda value: value is not ABSENT and not any(rule(value) for rule in unwanted)


def _wildcard(value: Wildcard) -> Rule:
    return value.rule()


_LIKE: dict[str, Callable[[Any], Rule]] = {
    "prefix": prefix,
    "suffix": suffix,
    "equals-ignore-case": equals_ignore_case,
    "wildcard": _wildcard,
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
