"""SEARCH: which metrics an expression finds, by schema, metric name, dimensions and words.

All terms must hold. OR, NOT and parentheses answer that they are not there.
Source: CloudWatch user guide, "CloudWatch search expression syntax".
"""

import re
from dataclasses import dataclass

from cosset.observe.metrics import MetricKey
from cosset.services.cloudwatch.errors import invalid
from cosset.wire.errors import OperationNotImplementedError

MOST_FOUND = 100
_SCHEMA = re.compile(r"\s*\{([^{}]*)\}")
_TERM = re.compile(r"\s*(?:([:\w.\-/]+)\s*=\s*)?(?:\"([^\"]*)\"|([^\s\"=(){}]+))")


@dataclass(frozen=True, slots=True)
class Term:
    """`of` is the property that is meant (`MetricName`, `Namespace`, a dimension), None: any. An exact one is whole."""

    of: str | None
    text: str
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Search:
    namespace: str | None
    dimensions: frozenset[str] | None
    terms: tuple[Term, ...]

    def finds(self, key: MetricKey) -> bool:
        if self.namespace is not None and key.namespace != self.namespace:
            return False
        if self.dimensions is not None and frozenset(name for name, _ in key.dimensions) != self.dimensions:
            return False
        return all(_holds(term, key) for term in self.terms)


def read_search(text: str) -> Search:
    """Raises ServiceError: ValidationError, NotImplementedException."""
    namespace: str | None = None
    dimensions: frozenset[str] | None = None
    rest = text
    schema = _SCHEMA.match(text)
    if schema is not None:
        names = [part.strip().strip('"') for part in schema[1].split(",")]
        namespace, dimensions, rest = names[0], frozenset(names[1:]), text[schema.end() :]
    if re.search(r"\bOR\b|\bNOT\b|[()]", re.sub(r"\"[^\"]*\"", "", rest)):
        raise OperationNotImplementedError("cloudwatch", "OR, NOT and parentheses in SEARCH")
    terms, at, rest = [], 0, rest.rstrip()
    while at < len(rest):
        found = _TERM.match(rest, at)
        if found is None:
            raise invalid(f"The search {text!r} cannot be read.")
        exact, word = found[2], found[3]
        if word != "AND" or found[1]:
            terms.append(Term(found[1], exact if exact is not None else word, exact is not None))
        at = found.end()
    return Search(namespace, dimensions, tuple(terms))


def _holds(term: Term, key: MetricKey) -> bool:
    properties = {"MetricName": key.name, "Namespace": key.namespace, **dict(key.dimensions)}
    if term.of is not None:
        name = term.of.removeprefix(":aws.")
        values = [properties[name]] if name in properties else []
    else:
        values = [*properties.values(), *(name for name, _ in key.dimensions)]
    if term.is_exact:
        return term.text in values
    return any(term.text.lower() in value.lower() for value in values)
