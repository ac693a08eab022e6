"""What IAM says of a policy's text: where each statement stands in it, and which condition keys it speaks of.

Reads texts that are policies already (`identity/policy_document.py`); decides nothing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Position = dict[str, int]
Span = tuple[Position, Position]

_VARIABLE = re.compile(r"\$\{\s*([^{}*?$,\s]+)[^{}]*\}")
_SPACE = " \t\r\n"
_DECODER = json.JSONDecoder()


def statement_spans(text: str) -> dict[str, Span]:
    """Where each statement begins and ends, by its Sid, or by its place for those without one.

    As AWS counts (recorded: test_simulate_principle_policy, and the examples of the AWS CLI): in a list a statement
    begins where what is before it ends, alone it begins after its brace, and it ends after its last one.
    """
    spans: dict[str, Span] = {}
    for place, (statement, start, end) in enumerate(_statements(text), start=1):
        spans[statement.get("Sid") or str(place)] = (_position(text, start), _position(text, end))
    return spans


def context_keys(text: str) -> dict[str, str]:
    """The condition keys and variables of a policy, as it writes them, by their lower-case names, in its order."""
    raw = json.loads(text)["Statement"]
    keys: dict[str, str] = {}
    for statement in raw if isinstance(raw, list) else [raw]:
        for name, value in statement.items():
            if name in ("Resource", "NotResource", "Condition"):
                for key in _keys_of(value, is_block=name == "Condition"):
                    keys.setdefault(key.lower(), key)
    return keys


def _keys_of(value: Any, *, is_block: bool = False) -> Iterator[str]:
    if is_block:
        for entries in value.values():
            for key, wanted in entries.items():
                yield key
                yield from _keys_of(wanted)
    elif isinstance(value, list):
        for each in value:
            yield from _keys_of(each)
    elif isinstance(value, str):
        yield from _VARIABLE.findall(value)


def _statements(text: str) -> Iterator[tuple[Mapping[str, Any], int, int]]:
    """Each statement with the offsets at which AWS sees it begin and end."""
    at = _skip(text, text.index("{") + 1)
    while text[at] == '"':
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        if key != "Statement":
            _, at = _DECODER.raw_decode(text, at)
        elif text[at] == "{":
            statement, end = _DECODER.raw_decode(text, at)
            yield statement, at + 1, end
            return
        else:
            yield from _listed(text, at + 1)
            return
        at = _skip(text, at)
        at = _skip(text, at + 1) if text[at] == "," else at


def _listed(text: str, start: int) -> Iterator[tuple[Mapping[str, Any], int, int]]:
    at = _skip(text, start)
    while text[at] == "{":
        statement, end = _DECODER.raw_decode(text, at)
        yield statement, start, end
        start, at = end, _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at


def _position(text: str, offset: int) -> Position:
    before = text[:offset]
    return {"Line": before.count("\n") + 1, "Column": offset - (before.rfind("\n") + 1) + 1}
