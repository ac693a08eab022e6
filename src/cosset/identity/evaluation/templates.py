"""Texts of a policy that may hold wildcards (`*`, `?`) and variables (`${aws:username}`), read once into pieces.

A variable's value is always literal: a star that a caller brings in a tag or a name matches a star and nothing else.
Read next: wildcards.py, which matches.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from cosset.identity.evaluation.wildcards import chunk_matcher

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_NAMED = re.compile(r"\s*([^,'\s]+)\s*(?:,\s*'([^']*)'\s*)?")
_WILDCARD = re.compile(r"[*?]")

Matcher = Callable[[str], bool]


class Values(Protocol):
    """The condition keys of a call, by their lower-case names. A plain dict will do."""

    def get(self, key: str, /) -> tuple[str, ...] | None: ...


class Wildcard(Enum):
    RUN = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Variable:
    """`${key}` or `${key, 'default'}`; the key in lower case."""

    key: str
    default: str | None

    def resolve(self, values: Values) -> str | None:
        """None when the call has no such key, or has several values for it (as AWS: no variable then)."""
        found = values.get(self.key)
        return found[0] if found is not None and len(found) == 1 else self.default


Piece = str | Wildcard | Variable
Resolved = tuple[str | Wildcard, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A text in pieces."""

    pieces: tuple[Piece, ...]

    @property
    def keys(self) -> frozenset[str]:
        """The condition keys that its variables read."""
        return frozenset(piece.key for piece in self.pieces if isinstance(piece, Variable))

    def resolve(self, values: Values) -> Resolved | None:
        """Without variables; None when one has no value."""
        resolved: list[str | Wildcard] = []
        for piece in self.pieces:
            if isinstance(piece, Variable):
                text = piece.resolve(values)
                if text is None:
                    return None
                resolved.append(text)
            else:
                resolved.append(piece)
        return tuple(resolved)


def parse_template(text: str, *, variables: bool, wildcards: bool = True) -> Template:
    """`variables`: the policy's version has them (2012-10-17). A `${` that is never closed is text."""
    pieces: list[Piece] = []
    end = 0
    if variables:
        for match in _VARIABLE.finditer(text):
            pieces += _parse_wildcards(text[end : match.start()], wildcards)
            pieces.append(_parse_variable(match))
            end = match.end()
    pieces += _parse_wildcards(text[end:], wildcards)
    return Template(tuple(pieces))


def split_template(template: Template, separator: str, limit: int) -> list[Template]:
    """At most `limit` parts, parted at separators that the policy wrote, not at those in a variable's value."""
    parts: list[list[Piece]] = [[]]
    for piece in template.pieces:
        if isinstance(piece, str):
            texts = piece.split(separator, limit - len(parts))
            parts[-1] += [texts[0]] if texts[0] else []
            parts += [[text] if text else [] for text in texts[1:]]
        else:
            parts[-1].append(piece)
    return [Template(tuple(part)) for part in parts]


def make_matcher(pieces: Resolved, *, ignore_case: bool = False) -> Matcher:
    """Does a whole value match?"""
    if ignore_case:
        folded = make_matcher(tuple(_folded(piece) if isinstance(piece, str) else piece for piece in pieces))
        return lambda value: folded(_folded(value))
    if pieces == (Wildcard.RUN,):
        return lambda value: True
    if all(isinstance(piece, str) for piece in pieces):
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        return lambda value: value == text
    if len(pieces) == 2 and isinstance(pieces[0], str) and pieces[1] is Wildcard.RUN:
        beginning = pieces[0]
        return lambda value: value.startswith(beginning)
    return chunk_matcher(_chunks(pieces))


def _folded(text: str) -> str:
    """Beyond ASCII letters are themselves: the Kelvin sign is no k."""
    return text.lower() if text.isascii() else text


def _parse_variable(match: re.Match[str]) -> Piece:
    inside = match[1]
    if inside in ("*", "?", "$"):
        return inside
    named = _NAMED.fullmatch(inside)
    # What is no name cannot be resolved: whatever uses it matches nothing.
    return Variable(named[1].lower(), named[2]) if named is not None else Variable(inside.lower(), None)


def _parse_wildcards(text: str, wildcards: bool) -> list[Piece]:
    if not wildcards:
        return [text] if text else []
    pieces: list[Piece] = []
    end = 0
    for match in _WILDCARD.finditer(text):
        if match.start() > end:
            pieces.append(text[end : match.start()])
        pieces.append(Wildcard(match[0]))
        end = match.end()
    if end < len(text):
        pieces.append(text[end:])
    return pieces


def _chunks(pieces: Resolved) -> list[list[str | None]]:
    """What stands between the stars; None is any one character."""
    chunks: list[list[str | None]] = [[]]
    for piece in pieces:
        if piece is Wildcard.RUN:
            chunks.append([])
        else:
            chunks[-1].append(None if piece is Wildcard.ONE else str(piece))
    return chunks


def literal(pieces: Sequence[str | Wildcard]) -> str:
    """The text of pieces, wildcards as characters: for operators that know none."""
    return "".join(piece if isinstance(piece, str) else piece.value for piece in pieces)
