"""A statement in words. Its keywords are words like any other here."""

import re
from dataclasses import dataclass
from enum import Enum

from cosset.services.s3.select.errors import invalid_character

_WORDS = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*")
      | (?P<ion>`[^`]*`)
      | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_$]*)
      | (?P<sign><>|!=|<=|>=|\|\||[-+*/%=<>(),.\[\]])
    )""",
    re.VERBOSE | re.ASCII,
)
_END = re.compile(r"\s*;?\s*\Z")


class Kind(Enum):
    TEXT = "text"
    QUOTED = "quoted"
    ION = "ion"
    NUMBER = "number"
    NAME = "name"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` without quotes."""

    kind: Kind
    text: str
    at: int

    def says(self, *words: str) -> bool:
        """Is it one of these signs or keywords?"""
        return (self.kind is Kind.SIGN and self.text in words) or (
            self.kind is Kind.NAME and self.text.upper() in words
        )


def read_tokens(statement: str) -> list[Token]:
    """Raises ServiceError LexerInvalidChar."""
    found: list[Token] = []
    at = 0
    while not _END.match(statement, at):
        word = _WORDS.match(statement, at)
        if word is None or word.lastgroup is None:
            start = at + len(statement[at:]) - len(statement[at:].lstrip())
            raise invalid_character(statement[start : start + 1], start)
        kind, text = Kind(word.lastgroup), word[word.lastgroup]
        if kind in (Kind.TEXT, Kind.QUOTED):
            text = text[1:-1].replace(text[0] * 2, text[0])
        elif kind is Kind.ION:
            text = text[1:-1]
        found.append(Token(kind, text, word.start(word.lastgroup)))
        at = word.end()
    return [*found, Token(Kind.END, "", len(statement))]
