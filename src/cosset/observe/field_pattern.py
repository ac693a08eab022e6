"""Space-delimited filter patterns: `[ip, user, ..., status = 4*, bytes > 1000]` over messages of fields between spaces.

A field in quotes or in square brackets is one field. `...` stands for any number of them. A message of another number
of fields never matches. Regular expressions (`%...%`) are not there yet. Source: as of pattern.py.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cosset.identity.matching import wildcard_matcher
from cosset.observe.conditions import ConditionParser, Token, is_ordered, read_number, read_tokens, unquote
from cosset.observe.pattern_errors import InvalidPatternError

_Condition = Callable[[str], bool]

_MAX_FIELDS = 100
_ANY = "..."
_WORD = re.compile(r"\S+")
_CLOSED_BY = {'"': '"', "[": "]"}
_TOKEN = re.compile(
    r"""\s*(?:(?P<paren>[()])|(?P<join>&&|\|\|)|(?P<compare>!=|>=|<=|=|>|<)|(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<regex>%[^%]*%)|(?P<word>[^\s()&|=<>!"%,]+))""",
    re.VERBOSE,
)
_PARTS = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])*')


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One field of the pattern: what it is called, empty for a place alone, and what its text must be."""

    name: str
    holds: _Condition


@dataclass(frozen=True, slots=True)
class FieldPattern:
    """`rest`: where `...` stands, None: nowhere."""

    wanted: Sequence[_Wanted]
    rest: int | None

    def matches(self, message: str) -> bool:
        return self.read(message) is not None

    def read(self, message: str) -> Mapping[str, str] | None:
        """The fields by their names, `$name`, or their places, `$3`. None: the message does not match."""
        found = list(_fields(message))
        missing = len(found) - len(self.wanted)
        if missing < 0 or (missing and self.rest is None):
            return None
        at = len(self.wanted) if self.rest is None else self.rest
        places = [*range(at), *range(at + missing, len(found))]
        pairs = list(zip(self.wanted, places, strict=True))
        if not all(wanted.holds(found[place]) for wanted, place in pairs):
            return None
        named = {place: wanted.name for wanted, place in pairs if wanted.name}
        return {f"${named.get(place, place + 1)}": text for place, text in enumerate(found)}


def parse_field_pattern(text: str) -> FieldPattern:
    """Raises InvalidPatternError, UnsupportedPatternError."""
    if not text.endswith("]"):
        raise InvalidPatternError("Invalid space-delimited filter pattern: it does not end with ']'")
    parts = _split(text[1:-1])
    if len(parts) > _MAX_FIELDS:
        raise InvalidPatternError("Invalid space-delimited filter pattern: too many fields")
    if parts.count(_ANY) > 1:
        raise InvalidPatternError("Invalid space-delimited filter pattern: more than one ellipsis")
    rest = parts.index(_ANY) if _ANY in parts else None
    return FieldPattern([_wanted(part) for part in parts if part != _ANY], rest)


def _fields(message: str) -> Iterator[str]:
    at, hopeless = 0, set()
    while (word := _WORD.search(message, at)) is not None:
        at, opening = word.start(), word[0][0]
        if opening in _CLOSED_BY and opening not in hopeless:
            end = message.find(_CLOSED_BY[opening], at + 1)
            if end >= 0:
                yield message[at + 1 : end]
                at = end + 1
                continue
            hopeless.add(opening)  # not looked for again: a message may be all of them
        yield word[0]
        at = word.end()


def _split(text: str) -> list[str]:
    """At the commas that are in no quotes."""
    parts: list[str] = []
    at = 0
    while True:
        found = _PARTS.match(text, at)
        assert found is not None  # it may be empty
        parts.append(found[0].strip())
        at = found.end()
        if at >= len(text):
            return parts
        if text[at] != ",":
            raise InvalidPatternError(
                f"Invalid character(s) in space-delimited filter pattern at '{text[at:].strip()}'"
            )
        at += 1


def _wanted(text: str) -> _Wanted:
    """One field of the pattern. All of its comparisons name the same one."""
    tokens = read_tokens(_TOKEN, text, lambda _: _not_understood(text))
    if not tokens:
        return _Wanted("", lambda _: True)
    if len(tokens) == 1 and tokens[0][0] == "word":
        return _Wanted(tokens[0][1].removeprefix("$"), lambda _: True)
    parser = _FieldConditions(text, tokens)
    holds = parser.parse()
    if len(parser.names) != 1:
        raise _not_understood(text)
    return _Wanted(parser.names.pop().removeprefix("$"), holds)


class _FieldConditions(ConditionParser[str]):
    max_depth = 20

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        super().__init__(tokens)
        self._text = text
        self.names: set[str] = set()

    def comparison(self) -> _Condition:
        self.names.add(self.need("word"))
        operator = self.need("compare")
        is_quoted = self.peek()[0] == "string"
        value = self.need("word", "string")
        wanted = unquote(value) if is_quoted else value
        number = None if is_quoted else read_number(value)
        if operator in ("=", "!="):
            is_wanted = wildcard_matcher(wanted)
            return lambda text: _equal(text, is_wanted, number) is (operator == "=")
        if number is None:
            raise self.unexpected()
        return lambda text: is_ordered(read_number(text), operator, number)

    def unexpected(self) -> InvalidPatternError:
        return _not_understood(self._text)


def _not_understood(text: str) -> InvalidPatternError:
    return InvalidPatternError(f"Invalid space-delimited filter pattern: the field '{text}' is not understood")


def _equal(text: str, is_wanted: Callable[[str], bool], number: float | None) -> bool:
    if number is not None and (found := read_number(text)) is not None:
        return found == number
    return is_wanted(text)
