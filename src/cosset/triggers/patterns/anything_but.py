"""`anything-but` in patterns, with all that it may hold, and what is wrong with it, as AWS says it.

A refusal of something in a list names its place twice, as AWS's does: recorded, content_anything_prefix_list_type_EXC.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from cosset.triggers.patterns import rules
from cosset.triggers.patterns.rules import Rule
from cosset.triggers.patterns.tokens import Kind, Token
from cosset.triggers.patterns.wildcards import InvalidWildcardError, Wildcard

_OPERATORS = ("prefix", "suffix", "equals-ignore-case", "wildcard")
# As AWS's own library (aws/event-ruler) says it of an empty list too.
_MIXED = "Inside anything but list, either all values are number or string, mixed type is not supported"
_NO_VALUE = "Value of anything-but must be an array or single string/number value."


class Refuse(Protocol):
    """Makes the error of a reason and a place, which is named so many times."""

    def __call__(self, reason: str, at: int, times: int = 1) -> Exception: ...


def read_anything_but(take: Callable[[], Token], refuse: Refuse, *, only_prefix: bool) -> Rule:
    """From behind the name to the end of its value. `only_prefix`: SNS knows no other operator here."""
    return _Reader(take, refuse, only_prefix).read()


def read_wildcard(token: Token, refuse: Refuse, times: int = 1) -> Wildcard:
    if token.kind is not Kind.TEXT:
        raise refuse("wildcard match pattern must be a string", token.at, times)
    try:
        return Wildcard.parse(str(token.value))
    except InvalidWildcardError as error:
        raise refuse(str(error), token.after, times) from error


class _Reader:
    def __init__(self, take: Callable[[], Token], refuse: Refuse, only_prefix: bool) -> None:
        self._take = take
        self._refuse_at = refuse
        self._only_prefix = only_prefix
        self._times = 1

    def read(self) -> Rule:
        token = self._take()
        match token.kind:
            case Kind.TEXT | Kind.NUMBER:
                return rules.anything_but((token.value,))
            case Kind.ARRAY:
                return rules.anything_but(self._values())
            case Kind.OBJECT:
                return self._operator()
        raise self._refuse(_NO_VALUE, token.at)

    def _values(self) -> tuple[Any, ...]:
        self._times = 2
        values, texts = [], 0
        while (token := self._take()).kind is not Kind.END_ARRAY:
            values.append(self._value(token))
            texts += token.kind is Kind.TEXT
        self._times = 1
        if not values or 0 < texts < len(values):
            raise self._refuse(_MIXED, token.at)
        return tuple(values)

    def _operator(self) -> Rule:
        name = self._take()
        operator = str(name.value)
        if name.kind is not Kind.NAME or operator not in (("prefix",) if self._only_prefix else _OPERATORS):
            raise self._refuse(f"Unsupported anything-but pattern: {operator}", name.at)
        token = self._take()
        if token.kind is Kind.OBJECT and not self._only_prefix:
            raise self._refuse(_NO_VALUE, token.at)
        read = self._reader_of(operator)
        is_list = token.kind is Kind.ARRAY and not self._only_prefix
        values = tuple(self._each(read)) if is_list else (read(token),)
        closing = self._take()
        if closing.kind is not Kind.END_OBJECT:
            raise self._refuse("Only one key allowed in match expression", closing.at)
        return rules.anything_but_like(operator, values)

    def _reader_of(self, operator: str) -> Callable[[Token], Any]:
        match operator:
            case "equals-ignore-case":
                return self._caseless
            case "wildcard":
                return lambda token: read_wildcard(token, self._refuse_at, self._times)
        return self._affix

    def _value(self, token: Token) -> Any:
        if token.kind not in (Kind.TEXT, Kind.NUMBER):
            raise self._refuse("Inside anything but list, start|null|boolean is not supported.", token.at)
        return token.value

    def _affix(self, token: Token) -> str:
        if token.kind is not Kind.TEXT:
            which = "prefix" if self._only_prefix else "prefix/suffix"
            raise self._refuse(f"{which} match pattern must be a string", token.at)
        if not token.value:
            raise self._refuse("Null prefix/suffix not allowed", token.after)
        return str(token.value)

    def _caseless(self, token: Token) -> str:
        if token.kind is not Kind.TEXT:
            sentence = "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported."
            raise self._refuse(sentence, token.at)
        return str(token.value)

    def _each(self, read: Callable[[Token], Any]) -> Iterator[Any]:
        """The elements of a list."""
        self._times = 2
        count = 0
        while (token := self._take()).kind is not Kind.END_ARRAY:
            yield read(token)
            count += 1
        if not count:
            raise self._refuse("Empty arrays are not allowed", token.at)
        self._times = 1

    def _refuse(self, reason: str, at: int) -> Exception:
        return self._refuse_at(reason, at, self._times)
