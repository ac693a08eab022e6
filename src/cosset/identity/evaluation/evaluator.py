"""AWS's evaluation logic: who may do what, from the policies on both sides.

An explicit Deny anywhere ends it. In one account an identity policy or the resource's policy suffices, within the
permissions boundary and the session's policies; between accounts both sides must allow. Sources:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html and
.../reference_policies_evaluation-logic-cross-account.html. It decides, and fetches nothing: `authorizer.py` brings
the policies.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cosset.identity.evaluation.decision import Decision, Layer, MatchedStatement
from cosset.identity.evaluation.policy import CompiledPolicy, CompiledStatement
from cosset.identity.evaluation.principals import Reach
from cosset.identity.evaluation.templates import Values
from cosset.identity.principal import Principal, PrincipalKind

_WITHOUT_POLICIES = frozenset({PrincipalKind.SERVICE, PrincipalKind.ANONYMOUS, PrincipalKind.WEB_IDENTITY})


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A policy and what it is called: its ARN, or its name where it is inline."""

    name: str
    policy: CompiledPolicy


@dataclass(frozen=True, slots=True)
class PrincipalPolicies:
    """All that allows and limits a caller. `boundary` None: there is none; `session` None: nothing narrows it."""

    identity: tuple[NamedPolicy, ...] = ()
    boundary: NamedPolicy | None = None
    session: tuple[NamedPolicy, ...] | None = None

    @property
    def all(self) -> tuple[NamedPolicy, ...]:
        return (*self.identity, *((self.boundary,) if self.boundary else ()), *(self.session or ()))


@dataclass(frozen=True, slots=True)
class ResourcePolicies:
    """The policies on a resource and the account that owns it.

    `must_allow`: identity policies alone never suffice, as with a role's trust policy (then `layer` is TRUST).
    """

    account: str
    policies: tuple[NamedPolicy, ...] = ()
    must_allow: bool = False
    layer: Layer = Layer.RESOURCE


@dataclass(frozen=True, slots=True)
class AccessRequest:
    principal: Principal
    action: str
    resource: str
    values: Values


@dataclass(slots=True)
class _Findings:
    """What one layer says. `reach`: the farthest of its Allows; for layers of the caller, DIRECT when any allows."""

    matched: list[MatchedStatement] = field(default_factory=list)
    denies: bool = False
    reach: Reach = Reach.NOTHING

    @property
    def allows(self) -> bool:
        return self.reach is not Reach.NOTHING


def evaluate(request: AccessRequest, own: PrincipalPolicies, resource: ResourcePolicies) -> Decision:
    """The decision. Pure: the same arguments give the same answer."""
    layers = {
        Layer.IDENTITY: _consult(request, Layer.IDENTITY, own.identity),
        resource.layer: _consult(request, resource.layer, resource.policies),
        Layer.BOUNDARY: _consult(request, Layer.BOUNDARY, (own.boundary,) if own.boundary else ()),
        Layer.SESSION: _consult(request, Layer.SESSION, own.session or ()),
    }
    matched = tuple(each for findings in layers.values() for each in findings.matched)
    is_at_home = request.principal.account == resource.account
    for layer, findings in layers.items():
        if findings.denies:
            return Decision(False, layer, explicit=True, matched=matched, is_at_home=is_at_home)
    missing = _find_missing(request.principal, own, resource, layers)
    return Decision(missing is None, missing, matched=matched, is_at_home=is_at_home)


def relevant_keys(own: PrincipalPolicies, resource: ResourcePolicies, action: str) -> frozenset[str]:
    """The condition keys that a decision about `action` may depend on."""
    return frozenset().union(*(each.policy.keys_for(action) for each in (*own.all, *resource.policies)))


def _find_missing(
    caller: Principal, own: PrincipalPolicies, resource: ResourcePolicies, layers: dict[Layer, _Findings]
) -> Layer | None:
    """The first layer whose Allow is needed and is not there."""
    granted = layers[resource.layer].reach
    is_at_home = caller.account == resource.account
    has_no_policies = caller.kind in _WITHOUT_POLICIES
    if granted is Reach.NOTHING and (has_no_policies or not is_at_home or resource.must_allow):
        return resource.layer
    if has_no_policies or caller.kind is PrincipalKind.ROOT:
        return None
    needed: list[Layer] = []
    if not is_at_home or granted < Reach.LIMITED:
        needed.append(Layer.IDENTITY)
    if not is_at_home or granted < Reach.DIRECT:
        needed += [Layer.BOUNDARY] if own.boundary is not None else []
        needed += [Layer.SESSION] if own.session is not None else []
    return next((layer for layer in needed if not layers[layer].allows), None)


def _consult(request: AccessRequest, layer: Layer, policies: Sequence[NamedPolicy]) -> _Findings:
    findings = _Findings()
    by_resource = layer in (Layer.RESOURCE, Layer.TRUST)
    for named, statement, reach in _applying(request, policies, by_resource=by_resource):
        findings.matched.append(MatchedStatement(layer, named.name, statement.sid, statement.allows))
        if statement.allows:
            findings.reach = max(findings.reach, reach)
        else:
            findings.denies = True
    return findings


def _applying(
    request: AccessRequest, policies: Sequence[NamedPolicy], *, by_resource: bool
) -> Iterable[tuple[NamedPolicy, CompiledStatement, Reach]]:
    for named in policies:
        for statement in named.policy.statements:
            reach = Reach.DIRECT
            if by_resource:
                # A statement on a resource that names nobody is about nobody.
                principals = statement.principals
                reach = Reach.NOTHING
                if principals is not None:
                    reach = principals.reach(request.principal, allows=statement.allows)
            if (
                reach is not Reach.NOTHING
                and statement.is_about_action(request.action)
                and statement.is_about_resource(request.resource, request.values)
                and statement.holds(request.values)
            ):
                yield named, statement, reach
