"""The rules of composite alarms: ALARM("a") AND NOT (OK(b) OR INSUFFICIENT_DATA(c)), TRUE, FALSE.

Source: CloudWatch API reference, PutCompositeAlarm, AlarmRule.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from cosset.services.cloudwatch.errors import invalid

MOST_CHILDREN = 100
_TOKEN = re.compile(
    r"\s*(?:(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:\"(?P<quoted>[^\"]*)\"|(?P<bare>[^\s()\"]+))\s*\)"
    r"|(?P<word>AND|OR|NOT|TRUE|FALSE)\b|(?P<sign>[()]))",
)
_DEPTH = 50
StateOf = Callable[[str], str | None]
"""The state of a child by its name; None where there is none."""


@dataclass(frozen=True, slots=True)
class Rule:
    children: tuple[str, ...]
    holds: Callable[[StateOf], bool]


def read_rule(text: str) -> Rule:
    """Raises ServiceError ValidationError."""
    tokens = _tokens(text)
    parser = _Parser(tokens, text)
    holds = parser.alternatives(0)
    if parser.at != len(tokens) or not tokens:
        raise _malformed(text)
    children = tuple(dict.fromkeys(name for kind, name in tokens if kind in ("ALARM", "OK", "INSUFFICIENT_DATA")))
    if len(children) > MOST_CHILDREN:
        raise invalid(f"A rule may name up to {MOST_CHILDREN} alarms.")
    return Rule(children, holds)


def _malformed(text: str) -> Exception:
    return invalid(f"AlarmRule cannot be parsed: {text[:100]}")


def _tokens(text: str) -> list[tuple[str, str]]:
    """Kind and text: a state with the name of a child, or a word or sign as both."""
    found, at, text = [], 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _malformed(text)
        if match["state"]:
            name = match["quoted"] if match["quoted"] is not None else match["bare"]
            found.append((match["state"], name.partition(":alarm:")[2] if name.startswith("arn:") else name))
        else:
            word = match["word"] or match["sign"]
            found.append((word, word))
        at = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self.at = 0

    def alternatives(self, depth: int) -> Callable[[StateOf], bool]:
        parts = [self._conjunction(depth)]
        while self._take("OR"):
            parts.append(self._conjunction(depth))
        return lambda state_of: any(part(state_of) for part in parts)

    def _conjunction(self, depth: int) -> Callable[[StateOf], bool]:
        parts = [self._operand(depth)]
        while self._take("AND"):
            parts.append(self._operand(depth))
        return lambda state_of: all(part(state_of) for part in parts)

    def _operand(self, depth: int) -> Callable[[StateOf], bool]:
        if depth > _DEPTH or self.at >= len(self._tokens):
            raise _malformed(self._text)
        kind, name = self._tokens[self.at]
        self.at += 1
        if kind == "NOT":
            inner = self._operand(depth + 1)
            return lambda state_of: not inner(state_of)
        if kind in ("TRUE", "FALSE"):
            return lambda state_of: kind == "TRUE"
        if kind == "(":
            whole = self.alternatives(depth + 1)
            if not self._take(")"):
                raise _malformed(self._text)
            return whole
        if kind in (")", "AND", "OR"):
            raise _malformed(self._text)
        return lambda state_of: state_of(name) == kind

    def _take(self, kind: str) -> bool:
        if self.at < len(self._tokens) and self._tokens[self.at][0] == kind:
            self.at += 1
            return True
        return False
