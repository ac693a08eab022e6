"""Condition blocks: operators with their quantifiers, IfExists, and what a missing key means.

All entries of a block must hold. Several values of a policy are alternatives; a negated operator holds when none of
them matches. A key that the call does not have fails a plain operator and passes a negated one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from cosset.identity.evaluation.operators import OPERATORS, OperatorError, Test
from cosset.identity.evaluation.templates import Values

_IF_EXISTS = "ifexists"


class ConditionError(ValueError):
    """A Condition block that is none. The text says why."""


class Quantifier(Enum):
    NONE = ""
    ANY = "foranyvalue:"
    ALL = "forallvalues:"


class Condition(Protocol):
    """One entry of a block. `keys` are all condition keys that it reads."""

    @property
    def keys(self) -> frozenset[str]: ...

    def holds(self, values: Values) -> bool: ...


@dataclass(frozen=True, slots=True)
class Comparison:
    key: str
    quantifier: Quantifier
    passes_without: bool
    negated: bool
    tests: tuple[Test, ...]

    @property
    def keys(self) -> frozenset[str]:
        return frozenset({self.key}).union(*(test.keys for test in self.tests))

    def holds(self, values: Values) -> bool:
        given = values.get(self.key) or ()
        if self.quantifier is Quantifier.ALL:
            # True without values, and of a null set of them: AWS says so, and warns of it.
            return not any(given) or all(self._accepts(value, values) for value in given)
        if self.quantifier is Quantifier.ANY:
            return any(self._accepts(value, values) for value in given)
        if not given:
            return self.passes_without
        combine = all if self.negated else any
        return combine(self._accepts(value, values) for value in given)

    def _accepts(self, value: str, values: Values) -> bool:
        return any(test.passes(value, values) for test in self.tests) is not self.negated


@dataclass(frozen=True, slots=True)
class Null:
    """`{"Null": {key: "true"}}`: the call does not have the key."""

    key: str
    accepts_missing: bool
    accepts_present: bool

    @property
    def keys(self) -> frozenset[str]:
        return frozenset({self.key})

    def holds(self, values: Values) -> bool:
        return self.accepts_present if values.get(self.key) else self.accepts_missing


def compile_conditions(block: Mapping[str, Any] | None, *, variables: bool) -> tuple[Condition, ...]:
    """Raises:
    ConditionError: an operator that does not exist, or values that it cannot read.
    """
    compiled: list[Condition] = []
    for operator, entries in (block or {}).items():
        if not isinstance(entries, Mapping):
            raise ConditionError(f"{operator} must name keys and their values")
        for key, raw in entries.items():
            if not key:
                raise ConditionError(f"{operator} has a key without a name")
            compiled.append(_compile(operator, key.lower(), _texts(operator, raw), variables))
    return tuple(compiled)


def _compile(operator: str, key: str, texts: list[str], variables: bool) -> Condition:
    name, quantifier = operator.lower(), Quantifier.NONE
    for each in (Quantifier.ANY, Quantifier.ALL):
        if name.startswith(each.value):
            name, quantifier = name.removeprefix(each.value), each
            break
    if name == "null":
        wanted = {text.lower() for text in texts}
        if not wanted <= {"true", "false"}:
            raise ConditionError("Null asks for true or false")
        return Null(key, "true" in wanted, "false" in wanted)
    if_exists = name.endswith(_IF_EXISTS)
    found = OPERATORS.get(name.removesuffix(_IF_EXISTS))
    if found is None:
        raise ConditionError(f"{operator} is no condition operator")
    try:
        tests = tuple(found.make(text, variables) for text in texts)
    except OperatorError as error:
        raise ConditionError(f"{operator}: {error}") from None
    return Comparison(key, quantifier, if_exists or found.negated, found.negated, tests)


def _texts(operator: str, raw: Any) -> list[str]:
    """JSON's true and numbers stand for their texts."""
    values = raw if isinstance(raw, list) else [raw]
    if not values:
        raise ConditionError(f"{operator} has a key without values")
    return [_text(operator, value) for value in values]


def _text(operator: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ConditionError(f"{operator} compares texts, numbers and booleans only")
