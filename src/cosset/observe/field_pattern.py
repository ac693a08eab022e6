"""Space-delimited filter patterns: `[ip, user, ..., status = 4*, bytes > 1000]` over messages of fields between spaces.

A field in quotes or in square brackets is one field. `...` stands for any number of them. A message of another number
of fields never matches. Regular expressions (`%...%`) are not there yet. Source: as of pattern.py.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cosset.identity.matching import matches
from cosset.observe.pattern_errors import InvalidPatternError, UnsupportedPatternError

_Condition = Callable[[str], bool]

_MAX_FIELDS = 100
_MAX_DEPTH = 20
_ANY = "..."
_WORD = re.compile(r"\S+")
_CLOSED_BY = {'"': '"', "[": "]"}
_TOKEN = re.compile(
    r"""\s*(?:(?P<paren>[()])|(?P<join>&&|\|\|)|(?P<compare>!=|>=|<=|=|>|<)|(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<regex>%[^%]*%)|(?P<word>[^\s()&|=<>!"%,]+))""",
    re.VERBOSE,
)
_PARTS = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])*')
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?")


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
    return FieldPattern([_Parser(part).field() for part in parts if part != _ANY], rest)


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


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        self._at = self._depth = 0
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                raise self._unexpected()
            if found.lastgroup == "regex":
                raise UnsupportedPatternError("a regular expression")
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            position = found.end()

    def field(self) -> _Wanted:
        if not self._tokens:
            return _Wanted("", lambda _: True)
        names = {
            text
            for (kind, text), (after, _) in zip(self._tokens, self._tokens[1:], strict=False)
            if kind == "word" and after == "compare"
        }
        if len(self._tokens) == 1 and self._tokens[0][0] == "word":
            return _Wanted(self._tokens[0][1].removeprefix("$"), lambda _: True)
        holds = self._either()
        if self._at < len(self._tokens) or len(names) != 1:
            raise self._unexpected()
        return _Wanted(names.pop().removeprefix("$"), holds)

    def _either(self) -> _Condition:
        parts = [self._all()]
        while self._take("||"):
            parts.append(self._all())
        return lambda text: any(part(text) for part in parts)

    def _all(self) -> _Condition:
        parts = [self._single()]
        while self._take("&&"):
            parts.append(self._single())
        return lambda text: all(part(text) for part in parts)

    def _single(self) -> _Condition:
        if not self._take("("):
            return self._comparison()
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._unexpected()
        inside = self._either()
        if not self._take(")"):
            raise self._unexpected()
        self._depth -= 1
        return inside

    def _comparison(self) -> _Condition:
        (kind, _), (comparing, operator), (valued, value) = (self._next() for _ in range(3))
        if kind != "word" or comparing != "compare" or valued not in ("word", "string"):
            raise self._unexpected()
        quoted = valued == "string"
        wanted = re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value
        number = None if quoted else _number(value)
        if operator in ("=", "!="):
            return lambda text: _equal(text, wanted, number) is (operator == "=")
        if number is None:
            raise self._unexpected()
        return lambda text: _ordered(_number(text), operator, number)

    def _take(self, text: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][1] == text:
            self._at += 1
            return True
        return False

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise self._unexpected()
        self._at += 1
        return self._tokens[self._at - 1]

    def _unexpected(self) -> InvalidPatternError:
        return InvalidPatternError(
            f"Invalid space-delimited filter pattern: the field '{self._text}' is not understood"
        )


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _equal(text: str, wanted: str, number: float | None) -> bool:
    if number is not None and (found := _number(text)) is not None:
        return found == number
    return matches(text, wanted)


def _ordered(found: float | None, operator: str, number: float) -> bool:
    if found is None:
        return False
    if operator.startswith(">"):
        return found > number or (operator == ">=" and found == number)
    return found < number or (operator == "<=" and found == number)
