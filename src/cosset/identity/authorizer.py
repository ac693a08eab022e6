"""Decides every call: fetches the policies that apply, asks the evaluator, and refuses in AWS's sentence.

Decisions are kept until IAM or a resource's policy changes (`forget`, `forget_resources`: the change feed calls them).
The logic is `evaluation/evaluator.py`; who keeps the policies is behind `policy_sources.py`.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence

from cosset.clock import Clock
from cosset.identity.access_book import AccessBook
from cosset.identity.arn import Arn
from cosset.identity.evaluation.context import CallContext, RequestValues
from cosset.identity.evaluation.decision import Decision
from cosset.identity.evaluation.decision_cache import DecisionCache, Question
from cosset.identity.evaluation.evaluator import (
    AccessRequest,
    NamedPolicy,
    PrincipalPolicies,
    ResourcePolicies,
    evaluate,
    relevant_keys,
)
from cosset.identity.evaluation.policy import DENY_EVERYTHING, CompiledPolicy, PolicyCompiler
from cosset.identity.policy_document import MalformedPolicyError
from cosset.identity.policy_sources import HeldPolicies, PolicySource, PolicyText, ResourceFacts, ResourceSource
from cosset.identity.ports import Requirement
from cosset.identity.principal import Principal, PrincipalKind
from cosset.identity.refusal import access_denied

logger = logging.getLogger(__name__)

_HELD_LIMIT = 1_000
"""Principals whose policies are kept."""
_SAID_LIMIT = 1_000
_NOTHING = ResourceFacts()


class PolicyAuthorizer:
    """Implements `ports.Authorizer`.

    `resources` by the service prefix of actions. With `audit`, what would have been denied is logged and let through,
    except to callers of another account and to those who are nobody. `book` notes what functions ask for.
    """

    def __init__(
        self,
        policies: PolicySource,
        resources: Mapping[str, ResourceSource],
        clock: Clock,
        *,
        audit: bool = False,
        book: AccessBook | None = None,
    ) -> None:
        self._policies = policies
        self._resources = dict(resources)
        self._clock = clock
        self._audit = audit
        self._book = book or AccessBook()
        self._compiler = PolicyCompiler()
        self._cache = DecisionCache()
        self._held: dict[Principal, HeldPolicies] = {}
        self._said: set[str] = set()

    async def authorize(
        self, principal: Principal, requirements: Sequence[Requirement], call: CallContext | None = None
    ) -> None:
        call = call or CallContext(self._clock.now_ms())
        for requirement in requirements:
            values = RequestValues(principal, call, {}, requirement.context)
            question = _question(principal, requirement)
            decision = self._cache.find(question, values)
            if decision is None:
                decision = await self.decide(principal, requirement, call)
            if not decision.allowed:
                self._refuse(principal, requirement, decision, call.service)

    def has_allowed(self, principal: Principal, requirement: Requirement, call: CallContext) -> bool:
        values = RequestValues(principal, call, {}, requirement.context)
        decision = self._cache.find(_question(principal, requirement), values)
        return decision is not None and decision.allowed

    async def decide(self, principal: Principal, requirement: Requirement, call: CallContext) -> Decision:
        """The decision and what it rests on, made anew and kept."""
        action, generation = requirement.action, self._cache.generation
        held = await self._held_by(principal, generation)
        facts = await self._facts_of(action, requirement.resource)
        own = PrincipalPolicies(
            self._compile(held.identity),
            self._compile((held.boundary,))[0] if held.boundary is not None else None,
            None if held.session is None else self._compile(held.session),
        )
        resource = requirement.resource if requirement.is_exact or facts.arn is None else facts.arn
        account = facts.account or _account_of(resource, principal)
        there = self._there(account, facts)
        # The tags of the caller and of the resource do not change without `forget`: what is left is the call's.
        asked = RequestValues(principal, call, {}, requirement.context)
        keys = relevant_keys(own, there, action)
        is_kept = facts.detail is None or not facts.detail.is_wanted(keys)
        if facts.detail is not None and not is_kept:
            facts = await facts.detail.add_to(facts, requirement.context)
            account = account if facts.account is None else facts.account
            there = self._there(account, facts)
        values = _all_values(principal, requirement, call, held, facts, account)
        decision = evaluate(AccessRequest(principal, action, resource, values), own, there)
        # Here and not for every call: what is decided already was noted when it was.
        self._book.asked(principal, action, resource, call.now_ms)
        if is_kept:
            self._cache.keep(_question(principal, requirement), keys, asked, decision, generation)
        return decision

    def _there(self, account: str, facts: ResourceFacts) -> ResourcePolicies:
        return ResourcePolicies(account, self._compile(facts.policies), facts.must_allow, facts.layer)

    def forget(self, key: str) -> None:
        """Something that decisions rest on has changed; which, does not matter."""
        self.forget_resources(key)
        self._held.clear()

    def forget_resources(self, key: str) -> None:
        """As `forget`, where what callers carry has not changed."""
        self._cache.drop()

    async def _held_by(self, principal: Principal, generation: int) -> HeldPolicies:
        held = self._held.get(principal)
        if held is None:
            held = await self._policies.policies_of(principal)
            if generation == self._cache.generation:  # nothing has changed since before they were read
                if len(self._held) >= _HELD_LIMIT:
                    self._held.clear()
                self._held[principal] = held
        return held

    async def _facts_of(self, action: str, resource: str) -> ResourceFacts:
        source = self._resources.get(action.partition(":")[0].lower())
        facts = None if source is None else await source.facts_of(action, resource)
        return facts or _NOTHING

    def _compile(self, texts: Iterable[PolicyText]) -> tuple[NamedPolicy, ...]:
        return tuple(NamedPolicy(each.name, self._compiled(each)) for each in texts)

    def _compiled(self, policy: PolicyText) -> CompiledPolicy:
        try:
            return self._compiler.compile(policy.text)
        except MalformedPolicyError as error:
            logger.error("Policy %s cannot be read and denies everything: %s", policy.name, error)
            return DENY_EVERYTHING

    def _refuse(self, principal: Principal, requirement: Requirement, decision: Decision, service: str | None) -> None:
        action, resource = requirement.action, requirement.resource
        called = requirement.called or resource
        error = access_denied(principal, action, called, decision, service)
        let_through = self._audit and _is_tolerable(principal, requirement, decision)
        now_ms = self._clock.now_ms()
        self._book.denied(principal, action, resource, decision.reason(action), now_ms, let_through=let_through)
        if not let_through:
            raise error
        self._say(error.message)

    def _say(self, refusal: str) -> None:
        """Each refusal once, as far as memory is worth it: a function may call a thousand times a second."""
        if refusal in self._said:
            return
        if len(self._said) >= _SAID_LIMIT:
            self._said.clear()
        self._said.add(refusal)
        logger.warning("IAM audit, would have been denied: %s", refusal)


def _question(principal: Principal, requirement: Requirement) -> Question:
    resource = requirement.resource
    return (principal, requirement.action, f"={resource}" if requirement.is_exact else resource)


def _all_values(
    principal: Principal,
    requirement: Requirement,
    call: CallContext,
    held: HeldPolicies,
    facts: ResourceFacts,
    account: str,
) -> RequestValues:
    known = {"aws:ResourceAccount": account} if account else {}
    return RequestValues(principal, call, held.tags, {**known, **facts.context, **requirement.context})


def _account_of(resource: str, principal: Principal) -> str:
    """S3 buckets and AWS's own resources carry no account id of a customer: they are the caller's to ask for."""
    arn = Arn.parse(resource)
    return arn.account if arn is not None and arn.account not in ("", "aws", "*") else principal.account


def _is_tolerable(principal: Principal, requirement: Requirement, decision: Decision) -> bool:
    """In audit mode unknown roles are taken to exist, and copied examples name roles of any account."""
    if principal.kind in (PrincipalKind.ANONYMOUS, PrincipalKind.SERVICE):
        return False
    if requirement.action == "iam:PassRole":
        return True
    return decision.is_at_home and _account_of(requirement.resource, principal) == principal.account
