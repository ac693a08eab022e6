"""What a compiled pattern is made of, and how it is held against an event.

An event's lists are looked through: any element may match, and where a pattern goes on below a list, one element must
match all of it. A field that holds an object or an empty list is no leaf, and counts as not there.

A dot in a name is as good as a level: `{"a.b": 1}` and `{"a": {"b": 1}}` are the same event, and the same pattern
(recorded: test_filter_policy_on_message_body_dot_attribute). Patterns are made without dots, events are opened here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cosset.triggers.patterns.rules import ABSENT, Rule
from cosset.triggers.patterns.tokens import MAX_DEPTH


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
        inside = _opened(value) if isinstance(value, dict) else {}
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


def nested(name: str, tree: Tree) -> tuple[str, Tree]:
    """The field of this name without the dots in it: the first part, and what is below it."""
    first, *rest = name.split(".")
    for part in reversed(rest):
        tree = Fields({part: tree})
    return first, tree


def joined(one: Tree | None, other: Tree) -> Tree:
    """Two patterns of one field as one. Of two lists of rules the later stands, as of every name that comes twice."""
    if not isinstance(one, Fields) or not isinstance(other, Fields):
        return other
    fields = dict(one.fields)
    for name, tree in other.fields.items():
        fields[name] = joined(fields.get(name), tree)
    return Fields(fields, one.choices + other.choices)


def _opened(event: dict[str, Any]) -> dict[str, Any]:
    """With a level for every dot in a name."""
    if not any("." in name for name in event):
        return event
    opened: dict[str, Any] = {}
    for name, value in event.items():
        # With more dots than a pattern may have it is nobody's.
        first, *rest = name.split(".", MAX_DEPTH)
        for part in reversed(rest):
            value = {part: value}
        opened[first] = _merged(opened[first], value) if first in opened else value
    return opened


def _merged(one: Any, other: Any) -> Any:
    """Both under one name: fields of one object, or else elements of a list, any of which may match."""
    if isinstance(one, dict) and isinstance(other, dict):
        both = dict(one)
        for name, value in other.items():
            both[name] = _merged(both[name], value) if name in both else value
        return both
    return [*(one if isinstance(one, list) else [one]), *(other if isinstance(other, list) else [other])]


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif not isinstance(value, dict) and value is not ABSENT:
        yield value
