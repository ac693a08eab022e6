"""JSON filter patterns: `{ ($.status = 4* && $.user.name != "x") || $.items[0] EXISTS }` over JSON messages.

A recursive descent over about ten rules. A message that is no JSON object or array never matches, and a comparison
with a property that is missing is false. Regular expressions (`%...%`) are not there yet.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from cosset.identity.matching import wildcard_matcher
from cosset.observe.conditions import ConditionParser, Token, is_ordered, read_number, read_tokens, unquote
from cosset.observe.pattern_errors import InvalidPatternError

_Condition = Callable[[Any], bool]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<paren>[()])
      | (?P<join>&&|\|\|)
      | (?P<compare>!=|>=|<=|=|>|<)
      | (?P<selector>\$(?:\.(?:[A-Za-z0-9_\-]+|"[^"]*")|\[(?:\d{1,9}|"[^"]*")\])*)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<regex>%[^%]*%)
      | (?P<word>[^\s()&|=<>!"$%]+)
    )""",
    re.VERBOSE,
)
_STEP = re.compile(r'\.([A-Za-z0-9_\-]+)|\."([^"]*)"|\[(\d+)\]|\["([^"]*)"\]')
_MISSING = object()


def parse_json_pattern(text: str) -> Callable[[str], bool]:
    """Raises InvalidPatternError, UnsupportedPatternError."""
    if not text.endswith("}"):
        raise InvalidPatternError("Invalid JSON filter pattern: it does not end with '}'")
    condition = _DocumentConditions(_tokens(text[1:-1])).parse()

    def matcher(message: str) -> bool:
        if message.lstrip()[:1] not in ("{", "["):
            return False
        try:
            document = json.loads(message)
        except (ValueError, RecursionError):
            return False
        return condition(document)

    return matcher


def selectors_in(text: str) -> list[str]:
    """The properties that a pattern speaks of, `$.level`. Raises InvalidPatternError, UnsupportedPatternError."""
    return list(dict.fromkeys(token for kind, token in _tokens(text[1:-1]) if kind == "selector"))


def json_value(selector: str) -> Callable[[str], str | None]:
    """Of a JSON message: the property, as a text. None where there is none, or one that holds others.

    Raises InvalidPatternError: that is no selector.
    """
    if [kind for kind, _ in _tokens(selector)] != ["selector"]:
        raise InvalidPatternError(f"Invalid selector: {selector}")
    select = _selector(selector.strip())

    def value(message: str) -> str | None:
        try:
            found = select(json.loads(message))
        except (ValueError, RecursionError):
            return None
        return None if found is _MISSING or isinstance(found, dict | list) else _as_text(found)

    return value


def _tokens(text: str) -> list[Token]:
    text = text.rstrip()

    def refuse(at: int) -> InvalidPatternError:
        return InvalidPatternError(f"Invalid character(s) in JSON filter pattern at '{text[at:].strip()}'")

    return read_tokens(_TOKEN, text, refuse)


class _DocumentConditions(ConditionParser[Any]):
    max_depth = 50

    def comparison(self) -> _Condition:
        select = _selector(self.need("selector"))
        if self.peek()[0] == "word":
            return self._keyword(select)
        operator = self.need("compare")
        is_quoted = self.peek()[0] == "string"
        return _compare(select, operator, self.need("word", "string"), quoted=is_quoted)

    def _keyword(self, select: Callable[[Any], Any]) -> _Condition:
        word = self.need("word").upper()
        if word == "EXISTS":
            return lambda document: select(document) is not _MISSING
        if word == "NOT" and self.need("word").upper() == "EXISTS":
            return lambda document: select(document) is _MISSING
        if word == "IS":
            expected = {"TRUE": True, "FALSE": False, "NULL": None}
            value = self.need("word").upper()
            if value in expected:
                return lambda document: select(document) is expected[value]
        raise self.unexpected()

    def unexpected(self) -> InvalidPatternError:
        return InvalidPatternError(f"Invalid JSON filter pattern: unexpected {self.peek()[1] or 'the end'}")


def _selector(text: str) -> Callable[[Any], Any]:
    steps: list[str | int] = []
    for name, quoted, index, bracketed in _STEP.findall(text[1:]):
        steps.append(int(index) if index else name or quoted or bracketed)

    def select(document: Any) -> Any:
        value = document
        for step in steps:
            if isinstance(step, int):
                value = value[step] if isinstance(value, list) and step < len(value) else _MISSING
            else:
                value = value.get(step, _MISSING) if isinstance(value, dict) else _MISSING
        return value

    return select


def _compare(select: Callable[[Any], Any], operator: str, text: str, *, quoted: bool) -> _Condition:
    number = None if quoted else read_number(text)
    if operator in ("=", "!="):
        is_expected = wildcard_matcher(unquote(text) if quoted else text)
        wanted = operator == "="

        def equals(document: Any) -> bool:
            value = select(document)
            if value is _MISSING or isinstance(value, dict | list):
                return False
            if number is not None and _is_number(value):
                return bool(value == number) is wanted
            return is_expected(_as_text(value)) is wanted

        return equals
    if number is None:
        raise InvalidPatternError(f"Invalid JSON filter pattern: {operator} needs a number")
    return lambda document: _is_number(value := select(document)) and is_ordered(value, operator, number)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
