"""JSON as AWS's pattern compilers read it: token by token, each with the column at which they say it is.

They are built on a Java parser that reads a value's first character when it reads its name, and finishes a text only
when it is asked for it; so a refusal names a column that is before or after a text, as the recorded ones do
(TestEventPattern::test_event_pattern, test_invalid_json_event_pattern). Knows no pattern; next: compiler.py.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from json import JSONDecoder

MAX_DEPTH = 200

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"[A-Za-z0-9_$]*")
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = JSONDecoder()
_LITERALS = {"true": True, "false": False, "null": None}


class Kind(Enum):
    OBJECT = "{"
    END_OBJECT = "}"
    ARRAY = "["
    END_ARRAY = "]"
    NAME = "name"
    TEXT = "text"
    NUMBER = "number"
    LITERAL = "literal"
    END = "end"


Value = str | float | int | bool | None


@dataclass(frozen=True, slots=True)
class Token:
    """`value` is a text, a number or a literal; `text` how a number was written. `at` is the offset where the reader
    stands when it has met the token, `after` when it has read it to its end."""

    kind: Kind
    value: Value
    at: int
    after: int
    text: str = ""


class JsonError(Exception):
    """The text is no JSON. `at` is an offset."""

    def __init__(self, reason: str, at: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at


def location(source: str, at: int) -> str:
    """`line: 1, column: 7`, both counted from one."""
    line = source.count("\n", 0, at) + 1
    return f"line: {line}, column: {at - (source.rfind(chr(10), 0, at) + 1) + 1}"


def read_tokens(source: str) -> Iterator[Token]:
    """Every token of the first value in the text, then END. Raises: JsonError."""
    yield from _Reader(source).tokens()


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0

    def tokens(self) -> Iterator[Token]:
        yield from self._value(0)
        yield Token(Kind.END, None, self._at, self._at)

    def _value(self, depth: int) -> Iterator[Token]:
        token = self._scalar_or_opening()
        yield token
        if token.kind is Kind.OBJECT:
            yield from self._members(depth + 1)
        elif token.kind is Kind.ARRAY:
            yield from self._elements(depth + 1)

    def _members(self, depth: int) -> Iterator[Token]:
        self._check_depth(depth)
        first = True
        while not self._closes("}"):
            if not first:
                self._expect(",", "Object entries")
                self._skip()
            first = False
            if self._peek() != '"':
                raise self._unexpected("was expecting double-quote to start field name")
            name = self._text()
            self._skip()
            if self._peek() != ":":
                raise self._unexpected("was expecting a colon to separate field name and value")
            self._at += 1
            yield Token(Kind.NAME, str(name.value), self._standing_at_value(), name.after)
            yield from self._value(depth)
        yield Token(Kind.END_OBJECT, None, self._at, self._at)

    def _elements(self, depth: int) -> Iterator[Token]:
        self._check_depth(depth)
        first = True
        while not self._closes("]"):
            if not first:
                self._expect(",", "Array entries")
            first = False
            yield from self._value(depth)
        yield Token(Kind.END_ARRAY, None, self._at, self._at)

    def _standing_at_value(self) -> int:
        """A name's reader has met the value behind it already."""
        at = self._at
        try:
            return self._scalar_or_opening().at
        finally:
            self._at = at

    def _scalar_or_opening(self) -> Token:
        self._skip()
        char = self._peek()
        if char in ("{", "["):
            self._at += 1
            return Token(Kind(char), None, self._at, self._at)
        if char == '"':
            return self._text()
        number = _NUMBER.match(self._source, self._at)
        if number is not None:
            self._at = number.end()
            text = number.group()
            value = float(text) if any(each in text for each in ".eE") else int(text)
            return Token(Kind.NUMBER, value, self._at, self._at, text)
        return self._literal()

    def _literal(self) -> Token:
        begin = self._at
        found = _WORD.match(self._source, begin)
        word = found.group() if found is not None else ""
        if not word:
            raise self._unexpected(
                "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
            )
        self._at += len(word)
        if word not in _LITERALS:
            raise JsonError(
                f"Unrecognized token '{word}': was expecting (JSON String, Number, Array, Object or token 'null', "
                "'true' or 'false')",
                self._at,
            )
        return Token(Kind.LITERAL, _LITERALS[word], self._at, self._at)

    def _text(self) -> Token:
        opened = self._at + 1
        try:
            value, self._at = _DECODER.raw_decode(self._source, self._at)
        except ValueError as error:
            reason = "Unexpected end-of-input: was expecting closing quote for a string value"
            raise JsonError(reason, opened) from error
        return Token(Kind.TEXT, value, opened, self._at)

    def _closes(self, mark: str) -> bool:
        self._skip()
        if self._peek() != mark:
            return False
        self._at += 1
        return True

    def _expect(self, mark: str, what: str) -> None:
        if self._peek() != mark:
            raise self._unexpected(f"was expecting comma to separate {what}")
        self._at += 1

    def _skip(self) -> None:
        found = _SPACE.match(self._source, self._at)
        self._at = found.end() if found is not None else self._at

    def _peek(self) -> str:
        return self._source[self._at : self._at + 1]

    def _unexpected(self, expected: str) -> JsonError:
        char = self._peek()
        if not char:
            return JsonError("Unexpected end-of-input", self._at)
        return JsonError(f"Unexpected character ('{char}' (code {ord(char)})): {expected}", self._at)

    def _check_depth(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise JsonError(f"Document nesting depth ({depth}) exceeds the maximum allowed ({MAX_DEPTH})", self._at)
