"""Filter criteria of event source mappings: which records a function gets at all.

A record is taken when any pattern matches it. The content of a message (`body`, `data`) is held against a pattern by
what both are: JSON against JSON, a plain text against a list of rules; where they differ in kind, the record is not
taken, and a pattern that says nothing of the content does not ask. Source: AWS Lambda developer guide, "Using event
filtering with an Amazon SQS event source" and its kin.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cosset.triggers.patterns import InvalidPatternError, Pattern, compile_pattern
from cosset.triggers.patterns.tree import Fields, Leaf
from cosset.triggers.sources import Record

MAX_PATTERN_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Criteria:
    """The compiled filters of a mapping; none takes everything."""

    patterns: tuple[Pattern, ...] = ()

    @classmethod
    def compile(cls, texts: Sequence[str]) -> "Criteria":
        """Raises: InvalidPatternError."""
        for text in texts:
            if len(text) > MAX_PATTERN_LENGTH:
                raise InvalidPatternError(f"A pattern has up to {MAX_PATTERN_LENGTH} characters")
        return cls(tuple(compile_pattern(text) for text in texts))

    def takes(self, record: Record) -> bool:
        if not self.patterns:
            return True
        content = _content(record)
        view = record.metadata if record.content_key is None else {**record.metadata, record.content_key: content}
        try:
            return any(_is_alike(pattern, record, content) and pattern.matches(view) for pattern in self.patterns)
        except RecursionError:
            return False  # nested deeper than any pattern may be


def _content(record: Record) -> Any:
    """JSON objects and lists parsed; everything else is a text."""
    if record.content is None:
        return None
    try:
        parsed = json.loads(record.content)
    except (ValueError, RecursionError):
        return record.content
    return parsed if isinstance(parsed, dict | list) else record.content


def _is_alike(pattern: Pattern, record: Record, content: Any) -> bool:
    wanted = pattern.tree.fields.get(record.content_key or "")
    if isinstance(wanted, Fields):
        return isinstance(content, dict | list)
    return not isinstance(wanted, Leaf) or isinstance(content, str)
