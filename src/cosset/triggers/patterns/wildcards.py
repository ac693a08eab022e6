"""Wildcards in patterns: `*` is any run of characters; a backslash takes the meaning from `*` and from itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class InvalidWildcardError(Exception):
    """The message is AWS's."""


@dataclass(frozen=True, slots=True)
class Wildcard:
    """The texts between the stars, in order; one text: no star at all."""

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Wildcard":
        """Raises: InvalidWildcardError."""
        parts, before, position = [""], "", 0
        while position < len(text):
            char = text[position]
            if char == "\\":
                position += 1
                if text[position : position + 1] not in ("*", "\\"):
                    raise InvalidWildcardError(f"Invalid escape character at pos {position - 1}")
                parts[-1] += text[position]
            elif char == "*":
                if before == "*":
                    raise InvalidWildcardError(f"Consecutive wildcard characters at pos {position}")
                parts.append("")
            else:
                parts[-1] += char
            before = char
            position += 1
        return cls(tuple(parts))

    def rule(self) -> Callable[[Any], bool]:
        return lambda value: isinstance(value, str) and self.matches(value)

    def matches(self, text: str) -> bool:
        """Each part at its first place behind the one before: no way back, so never slow."""
        first, *middle = self.parts
        if not middle:
            return text == first
        last = middle.pop()
        if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True
