"""Filter patterns of CloudWatch Logs: which messages match, and what is read from them. Terms here; JSON patterns in
`json_pattern.py`, space-delimited ones in `field_pattern.py`.

Source: "Filter pattern syntax" in the CloudWatch Logs user guide. Case matters. Regular expressions (`%...%`) are not
there yet, and say so.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cosset.observe.field_pattern import parse_field_pattern
from cosset.observe.json_pattern import json_value, parse_json_pattern, selectors_in
from cosset.observe.pattern_errors import InvalidPatternError, UnsupportedPatternError

Matcher = Callable[[str], bool]
Reader = Callable[[str], Mapping[str, str] | None]

_TERM = re.compile(r'\s*([-?]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))')


@dataclass(frozen=True, slots=True)
class _Terms:
    """Required terms must all be there, excluded ones must not. Optional ones count only when there are no others."""

    required: tuple[str, ...]
    excluded: tuple[str, ...]
    optional: tuple[str, ...]

    def matches(self, message: str) -> bool:
        if any(term in message for term in self.excluded):
            return False
        if self.required or self.excluded or not self.optional:
            return all(term in message for term in self.required)
        return any(term in message for term in self.optional)


def compile_pattern(pattern: str) -> Matcher:
    """Whether a message matches. The empty pattern matches everything.

    Raises:
        InvalidPatternError: it is no filter pattern.
        UnsupportedPatternError: it is one of a kind that is not there yet.
    """
    text = pattern.strip()
    if text.startswith("{"):
        return parse_json_pattern(text)
    if text.startswith("["):
        return parse_field_pattern(text).matches
    return _parse_terms(text).matches


def compile_reader(pattern: str) -> Reader:
    """What a message that matches has for the names in the pattern, `$.level` or `$status`; None where it does not
    match. Raises as `compile_pattern`."""
    text = pattern.strip()
    if text.startswith("["):
        return parse_field_pattern(text).read
    matches = compile_pattern(text)
    selectors = {name: json_value(name) for name in selectors_in(text)} if text.startswith("{") else {}

    def read(message: str) -> Mapping[str, str] | None:
        if not matches(message):
            return None
        found = {name: value(message) for name, value in selectors.items()}
        return {name: each for name, each in found.items() if each is not None}

    return read


def _parse_terms(text: str) -> _Terms:
    required: list[str] = []
    excluded: list[str] = []
    optional: list[str] = []
    kinds = {"": required, "-": excluded, "?": optional}
    position = 0
    while position < len(text):
        found = _TERM.match(text, position)
        if found is None:
            raise InvalidPatternError(f"Invalid character(s) in term '{text[position:].strip()}'")
        sign, quoted, plain = found.groups()
        if plain is not None and len(plain) > 1 and plain.startswith("%") and plain.endswith("%"):
            raise UnsupportedPatternError("a regular expression")
        term = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        kinds[sign].append(term)
        position = found.end()
    return _Terms(tuple(required), tuple(excluded), tuple(optional))
