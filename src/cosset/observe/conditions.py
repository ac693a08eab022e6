"""Conditions joined by `||`, `&&` and parentheses, as both kinds of filter patterns have them.

A recursive descent over three rules; what a single comparison is, and how a mistake is told, is the pattern's own:
field_pattern.py, json_pattern.py.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from cosset.observe.pattern_errors import InvalidPatternError, UnsupportedPatternError

Token = tuple[str, str]
"""Its kind (`paren`, `join`, `compare`, `word`, `string` ...) and its text."""

Subject = TypeVar("Subject")
"""What a condition is held against: the text of a field, a JSON document."""

_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?")


def read_tokens(grammar: re.Pattern[str], text: str, refuse: Callable[[int], InvalidPatternError]) -> list[Token]:
    """All of a text, each token by the group of the grammar that it is. `refuse`: what is said of the rest from there.

    Raises InvalidPatternError, UnsupportedPatternError.
    """
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = grammar.match(text, position)
        if match is None or match.lastgroup is None:
            raise refuse(position)
        if match.lastgroup == "regex":
            raise UnsupportedPatternError("a regular expression")
        found.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return found


class ConditionParser(ABC, Generic[Subject]):
    """Of the tokens of one pattern, from the first to the last."""

    max_depth: int

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = self._depth = 0

    def parse(self) -> Callable[[Subject], bool]:
        """Raises InvalidPatternError."""
        condition = self._either()
        if self._at < len(self._tokens):
            raise self.unexpected()
        return condition

    @abstractmethod
    def comparison(self) -> Callable[[Subject], bool]:
        """Reads one. Raises InvalidPatternError."""

    @abstractmethod
    def unexpected(self) -> InvalidPatternError:
        """What is said of the token that is read next, or of the end."""

    def need(self, *kinds: str) -> str:
        """The next token, which must be of one of these kinds."""
        kind, text = self.peek()
        if kind not in kinds:
            raise self.unexpected()
        self._at += 1
        return text

    def peek(self) -> Token:
        """The next token; at the end nothing of no kind."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _either(self) -> Callable[[Subject], bool]:
        parts = [self._all()]
        while self._take("join", "||"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda subject: any(part(subject) for part in parts)

    def _all(self) -> Callable[[Subject], bool]:
        parts = [self._single()]
        while self._take("join", "&&"):
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else lambda subject: all(part(subject) for part in parts)

    def _single(self) -> Callable[[Subject], bool]:
        if not self._take("paren", "("):
            return self.comparison()
        self._depth += 1
        if self._depth > self.max_depth:
            raise self.unexpected()
        inside = self._either()
        if not self._take("paren", ")"):
            raise self.unexpected()
        self._depth -= 1
        return inside

    def _take(self, *token: str) -> bool:
        if self.peek() != token:
            return False
        self._at += 1
        return True


def read_number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def unquote(text: str) -> str:
    """Of a string in quotes, what is in them."""
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def is_ordered(found: float | None, operator: str, number: float) -> bool:
    """By `>`, `>=`, `<` or `<=`. Nothing that is no number is in any order."""
    if found is None:
        return False
    if operator.startswith(">"):
        return found > number or (operator == ">=" and found == number)
    return found < number or (operator == "<=" and found == number)
