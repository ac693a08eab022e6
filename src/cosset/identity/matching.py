"""The wildcards of policy documents: `*` is any run of characters, `?` is one. Nothing else is special."""

from collections.abc import Iterable


def matches(value: str, pattern: str) -> bool:
    """Does the pattern match the whole value? Takes at most len(value) x len(pattern) steps, whatever the pattern."""
    at, in_pattern, star, resume = 0, 0, -1, 0
    while at < len(value):
        if in_pattern < len(pattern) and pattern[in_pattern] == "*":
            star, resume = in_pattern, at
            in_pattern += 1
        elif in_pattern < len(pattern) and pattern[in_pattern] in ("?", value[at]):
            at += 1
            in_pattern += 1
        elif star >= 0:
            resume += 1
            at, in_pattern = resume, star + 1
        else:
            return False
    return all(character == "*" for character in pattern[in_pattern:])


def matches_any(value: str, patterns: Iterable[str], *, ignore_case: bool = False) -> bool:
    """Does one of the patterns match? Actions ignore case, ARNs do not."""
    if ignore_case:
        value = value.lower()
        patterns = (pattern.lower() for pattern in patterns)
    return any(matches(value, pattern) for pattern in patterns)
