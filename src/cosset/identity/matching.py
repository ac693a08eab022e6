"""The wildcards of policy documents: `*` is any run of characters, `?` is one. Nothing else is special.

Takes no long time, whatever the pattern and the value: evaluation/wildcards.py.
"""

from collections.abc import Callable, Iterable

from cosset.identity.evaluation.wildcards import chunk_matcher


def wildcard_matcher(pattern: str) -> Callable[[str], bool]:
    """Whether the pattern matches a whole value."""
    if "*" not in pattern and "?" not in pattern:
        return lambda value: value == pattern
    return chunk_matcher([_parts(chunk) for chunk in pattern.split("*")])


def _parts(chunk: str) -> list[str | None]:
    first, *others = chunk.split("?")
    parts: list[str | None] = [first]
    for text in others:
        parts += [None, text]
    return parts


def matches(value: str, pattern: str) -> bool:
    """Does the pattern match the whole value?"""
    return wildcard_matcher(pattern)(value)


def matches_any(value: str, patterns: Iterable[str], *, ignore_case: bool = False) -> bool:
    """Does one of the patterns match? Actions ignore case, ARNs do not."""
    if ignore_case:
        value = value.lower()
        patterns = (pattern.lower() for pattern in patterns)
    return any(matches(value, pattern) for pattern in patterns)
