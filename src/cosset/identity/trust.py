"""Which services a role lets in: its trust policy, asked of the evaluator.

Users and sessions that take a role on go through `authorizer.py` like any call; a service that works for a function
calls nobody, so whoever works in its name asks here.
"""

from collections.abc import Mapping

from cosset.identity.arn import Arn
from cosset.identity.evaluation.context import CallContext, RequestValues
from cosset.identity.evaluation.decision import Layer
from cosset.identity.evaluation.evaluator import (
    AccessRequest,
    NamedPolicy,
    PrincipalPolicies,
    ResourcePolicies,
    evaluate,
)
from cosset.identity.evaluation.policy import compile_policy
from cosset.identity.policy_document import MalformedPolicyError, parse_policy
from cosset.identity.principal import Principal, PrincipalKind

ASSUME_ROLE = "sts:AssumeRole"


def trusts_service(
    trust_policy: str, role_arn: str, service: str, now_ms: int, context: Mapping[str, str] | None = None
) -> bool:
    """May `service` (`lambda.amazonaws.com`) assume the role? `context`: for whom, as `aws:SourceArn` and its kin."""
    try:
        policy = NamedPolicy(role_arn, compile_policy(parse_policy(trust_policy)))
    except MalformedPolicyError:
        return False
    arn = Arn.parse(role_arn)
    caller = Principal(PrincipalKind.SERVICE, "", service, "")
    values = RequestValues(caller, CallContext(now_ms), {}, context or {})
    there = ResourcePolicies(arn.account if arn is not None else "", (policy,), must_allow=True, layer=Layer.TRUST)
    return evaluate(AccessRequest(caller, ASSUME_ROLE, role_arn, values), PrincipalPolicies(), there).allowed
