"""What a compiled pattern is made of, and how it is held against an event.

An event's lists are looked through: any element may match, and where a pattern goes on below a list, one element must
match all of it. A field that holds an object or an empty list is no leaf, and counts as not there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cosset.triggers.patterns.rules import ABSENT, Rule


@dataclass(frozen=True, slots=True)
class Leaf:
    """The rules of one field: any of them may hold, for any of its values."""

    rules: tuple[Rule, ...]

    def matches(self, value: Any) -> bool:
        found = list(_leaves(value)) or [ABSENT]
        return any(rule(each) for each in found for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Fields:
    """Every field must match, and of every `$or` one alternative."""

    fields: Mapping[str, "Tree"]
    choices: tuple["Choice", ...] = ()

    def matches(self, value: Any) -> bool:
        if isinstance(value, list):
            return any(self.matches(each) for each in value) if value else self.matches(ABSENT)
        inside = value if isinstance(value, dict) else {}
        return all(tree.matches(inside.get(name, ABSENT)) for name, tree in self.fields.items()) and all(
            choice.matches(value) for choice in self.choices
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """An `$or`."""

    options: tuple[Fields, ...]

    def matches(self, value: Any) -> bool:
        return any(option.matches(value) for option in self.options)


Tree = Leaf | Fields


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif not isinstance(value, dict) and value is not ABSENT:
        yield value
