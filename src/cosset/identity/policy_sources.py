"""Where the evaluator's policies come from: what the rooms that keep policies answer to `PolicyAuthorizer`.

Texts only; who reads them is the authorizer. A source may read its store each time: decisions are kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from cosset.identity.evaluation.context import ContextValue
from cosset.identity.evaluation.decision import Layer
from cosset.identity.principal import Principal


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy's document. `name` is its ARN, or its name where it is embedded."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class HeldPolicies:
    """All that a caller carries. `session` None: its session is not narrowed. `tags`: its own and its session's."""

    identity: tuple[PolicyText, ...] = ()
    boundary: PolicyText | None = None
    session: tuple[PolicyText, ...] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResourceFacts:
    """What is known of a resource: the policies on it, condition keys of its own (`aws:ResourceTag/...`), and its whole
    ARN where a call names it shortly.

    `must_allow`, `layer`: as in `evaluation.evaluator.ResourcePolicies`. `account` None: the one in the ARN. Where
    ARNs name no account (buckets), the source must say whose it is: else it is taken to be the caller's; empty: it is
    nobody's. `detail` is what may have to be added before it is decided.
    """

    policies: tuple[PolicyText, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    arn: str | None = None
    account: str | None = None
    must_allow: bool = False
    layer: Layer = Layer.RESOURCE
    detail: "ResourceDetail | None" = None


class ResourceDetail(Protocol):
    """What is known of a part of a resource (an object in a bucket), and changes without a word: read for each decision
    that rests on it, which is not kept."""

    def is_wanted(self, keys: frozenset[str]) -> bool:
        """Does a decision that depends on these condition keys rest on it?"""
        ...

    async def add_to(self, facts: ResourceFacts, context: Mapping[str, ContextValue]) -> ResourceFacts:
        """`context` is what the operation says of its call: which version it is about, say."""
        ...


def tag_context(tags: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    """A resource's tags as condition keys."""
    return {f"{prefix}:ResourceTag/{name}": value for prefix in ("aws", *prefixes) for name, value in tags.items()}


class PolicySource(Protocol):
    """Knows what users and roles carry (services/iam)."""

    async def policies_of(self, principal: Principal) -> HeldPolicies: ...


class ResourceSource(Protocol):
    """Knows the resources of one service."""

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        """None when there is no such resource, or nothing to know of it for this action."""
        ...


class LateResources:
    """A ResourceSource that is made when it is first asked: its service is imported no sooner."""

    def __init__(self, make: Callable[[], ResourceSource]) -> None:
        self._make = make

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        return await self._source.facts_of(action, resource)

    @cached_property
    def _source(self) -> ResourceSource:
        return self._make()
