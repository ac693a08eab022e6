"""SimulateCustomPolicy and SimulatePrincipalPolicy, and which condition keys they want to be told.

The decision is `identity/evaluation/evaluator.py`'s, the one that guards every call. Only what a call tells (its
ContextEntries) and what follows from who is simulated is known as a condition key: no clock, no network.
Shapes: https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html. Organizations do not exist here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cosset.identity.arn import Arn
from cosset.identity.evaluation.context import CallContext, RequestValues, is_fixed
from cosset.identity.evaluation.decision import Decision, Layer
from cosset.identity.evaluation.evaluator import (
    AccessRequest,
    PrincipalPolicies,
    ResourcePolicies,
    evaluate,
    relevant_keys,
)
from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.iam.errors import invalid_input
from cosset.services.iam.simulated_policies import SimulatedPolicy
from cosset.services.operation import Params

_EVERYTHING = "*"
_DECISIONS = ("explicitDeny", "implicitDeny", "allowed")
"""The most restrictive first: what an action gets for several resources."""
_TYPES = {Layer.RESOURCE: "Resource Policy", Layer.BOUNDARY: "Permissions Boundary Policy"}
_IDENTITY_TYPE = "IAM Policy"


@dataclass(frozen=True, slots=True)
class Told:
    """Implements `templates.Values`: what the call tells, else what follows from the caller."""

    entries: dict[str, tuple[str, ...]]
    caller: RequestValues | None = None

    def get(self, key: str, /) -> tuple[str, ...] | None:
        found = self.entries.get(key)
        return found if found is not None or self.caller is None or not is_fixed(key) else self.caller.get(key)


@dataclass(frozen=True, slots=True)
class Simulation:
    """Who does it, with which policies. `owner`: the account of the resources."""

    caller: Principal
    told: Told
    identity: Sequence[SimulatedPolicy]
    boundary: SimulatedPolicy | None
    resource: SimulatedPolicy | None
    owner: str
    in_account: bool = False
    policies: dict[tuple[Layer, str], SimulatedPolicy] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.policies.update({(Layer.IDENTITY, each.named.name): each for each in self.identity})
        for layer, policy in ((Layer.BOUNDARY, self.boundary), (Layer.RESOURCE, self.resource)):
            if policy is not None:
                self.policies[layer, policy.named.name] = policy

    def result(self, action: str, resources: Sequence[str]) -> dict[str, Any]:
        """One EvaluationResult: of all resources together, and of each."""
        ones = [self._on(action, resource) for resource in resources or (_EVERYTHING,)]
        missing = list(dict.fromkeys(key for one in ones for key in one["MissingContextValues"]))
        decision = min((one["EvalResourceDecision"] for one in ones), key=_DECISIONS.index)
        deciding = [one for one in ones if one["EvalResourceDecision"] == decision]
        result: dict[str, Any] = {
            "EvalActionName": action,
            "EvalResourceName": ones[0]["EvalResourceName"] if len(ones) == 1 else _EVERYTHING,
            "EvalDecision": decision,
            "MatchedStatements": _once(each for one in deciding for each in one["MatchedStatements"]),
            "MissingContextValues": missing,
        }
        if self.in_account:
            # Nothing stands above an account here that could forbid it.
            result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": True}
        if self.boundary is not None:
            allowed = all(one["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"] for one in ones)
            result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
        if resources and list(resources) != [_EVERYTHING]:
            result["EvalDecisionDetails"] = deciding[0].get("EvalDecisionDetails", {})
            result["ResourceSpecificResults"] = ones
        return result

    def _on(self, action: str, resource: str) -> dict[str, Any]:
        """One ResourceSpecificResult."""
        own = PrincipalPolicies(
            tuple(each.named for each in self.identity), self.boundary.named if self.boundary else None
        )
        there = ResourcePolicies(self.owner, (self.resource.named,) if self.resource else ())
        decision = evaluate(AccessRequest(self.caller, action, resource, self.told), own, there)
        keys = relevant_keys(own, there, action)
        one: dict[str, Any] = {
            "EvalResourceName": resource,
            "EvalResourceDecision": _said(decision),
            "MatchedStatements": self._matched(decision),
            "MissingContextValues": self._missing(keys),
        }
        if self.caller.account != self.owner:
            layers = [(Layer.IDENTITY, _IDENTITY_TYPE), (Layer.RESOURCE, _TYPES[Layer.RESOURCE])]
            one["EvalDecisionDetails"] = {name: _layer_said(decision, layer) for layer, name in layers}
        if self.boundary is not None:
            allowed = _layer_said(decision, Layer.BOUNDARY) == "allowed"
            one["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
        return one

    def _matched(self, decision: Decision) -> list[dict[str, Any]]:
        """Those that decide: with an explicit Deny the Denies only, and no boundary's Allows."""
        shown = []
        for each in decision.matched:
            if each.allows is decision.explicit or (each.allows and each.layer is Layer.BOUNDARY):
                continue
            statement: dict[str, Any] = {
                "SourcePolicyId": each.policy,
                "SourcePolicyType": _TYPES.get(each.layer, _IDENTITY_TYPE),
            }
            span = self.policies[each.layer, each.policy].spans.get(each.sid)
            if span is not None:
                statement["StartPosition"], statement["EndPosition"] = span
            shown.append(statement)
        return shown

    def _missing(self, keys: frozenset[str]) -> list[str]:
        """As the policies write them."""
        written = {name: key for policy in self.policies.values() for name, key in policy.keys.items()}
        return [key for name, key in written.items() if name in keys and self.told.get(name) is None]


def read_entries(entries: Iterable[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Raises: ServiceError InvalidInput for several values of a key that has one."""
    told = {}
    for entry in entries:
        name, values = entry.get("ContextKeyName", ""), tuple(entry.get("ContextKeyValues", ()))
        if not name or not entry.get("ContextKeyType"):
            raise invalid_input("ContextKeyName and ContextKeyType must be specified in each context entry.")
        if len(values) > 1 and not entry["ContextKeyType"].endswith("List"):
            raise invalid_input(f"Context key {name} of type {entry['ContextKeyType']} has more than one value.")
        told[name.lower()] = values
    return told


def check_actions(params: Params) -> None:
    """Raises: ServiceError InvalidInput."""
    for action in params["ActionNames"]:
        service, colon, name = action.partition(":")
        if not (service and colon and name) or "*" in action:
            raise invalid_input(f"Invalid Action: {action}. Must be of the form service:action.")


def simulated_user(arn: str) -> Principal:
    """CallerArn. Raises: ServiceError InvalidInput for what is no user's ARN: AWS simulates users only."""
    parsed = Arn.parse(arn)
    if parsed is None or parsed.service != "iam" or not parsed.resource.startswith("user/"):
        raise invalid_input(f"Invalid CallerArn: {arn}. It must be the ARN of an IAM user.")
    return Principal(PrincipalKind.USER, parsed.account, arn, "")


def known_of(caller: Principal, tags: dict[str, str]) -> RequestValues:
    return RequestValues(caller, CallContext(0), tags, {})


def owner_account(params: Params, caller: Principal) -> str:
    """ResourceOwner as `arn:aws:iam::123456789012:root`; else the resources are the caller's."""
    if "ResourceOwner" not in params:
        return caller.account
    parsed = Arn.parse(params["ResourceOwner"])
    if parsed is None or len(parsed.account) != 12:
        raise invalid_input(f"Invalid ResourceOwner: {params['ResourceOwner']}. It must be the ARN of an account.")
    return parsed.account


def _said(decision: Decision) -> str:
    return "allowed" if decision.allowed else "explicitDeny" if decision.explicit else "implicitDeny"


def _layer_said(decision: Decision, layer: Layer) -> str:
    effects = {each.allows for each in decision.matched if each.layer is layer}
    return "explicitDeny" if False in effects else "allowed" if True in effects else "implicitDeny"


def _once(statements: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    for each in statements:
        if each not in shown:
            shown.append(each)
    return shown
