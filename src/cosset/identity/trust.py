"""Which services and web identities a role lets in: its trust policy, asked of the evaluator.

Users and sessions that take a role on go through `authorizer.py` like any call; a service that works for a function
calls nobody, so whoever works in its name asks here, and so does who has verified an identity provider's token.
"""

from collections.abc import Callable, Mapping

from cosset.identity.arn import Arn
from cosset.identity.evaluation.context import CallContext, ContextValue, RequestValues
from cosset.identity.evaluation.decision import Layer
from cosset.identity.evaluation.evaluator import (
    AccessRequest,
    NamedPolicy,
    PrincipalPolicies,
    ResourcePolicies,
    evaluate,
)
from cosset.identity.evaluation.policy import CompiledPolicy, compile_policy
from cosset.identity.policy_document import MalformedPolicyError, parse_policy
from cosset.identity.principal import Principal, PrincipalKind
from cosset.identity.service_callers import service_principal

ASSUME_ROLE = "sts:AssumeRole"
ASSUME_ROLE_WITH_WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"


def compile_trust(text: str) -> CompiledPolicy:
    """Raises: MalformedPolicyError."""
    return compile_policy(parse_policy(text))


def trusts_service(
    trust_policy: str,
    role_arn: str,
    service: str,
    now_ms: int,
    context: Mapping[str, str] | None = None,
    compiled: Callable[[str], CompiledPolicy] = compile_trust,
) -> bool:
    """May `service` (`lambda.amazonaws.com`) assume the role? `context`: for whom, as `aws:SourceArn` and its kin.
    `compiled`: of whoever asks often, and keeps what it compiled."""
    caller = service_principal(service)
    return _trusts(compiled, trust_policy, role_arn, caller, ASSUME_ROLE, now_ms, context or {})


def trusts_web_identity(
    trust_policy: str, role_arn: str, provider_arn: str, now_ms: int, context: Mapping[str, ContextValue]
) -> bool:
    """May the bearer of a token of this provider assume the role? `context`: the token's claims as condition keys."""
    caller = Principal(PrincipalKind.WEB_IDENTITY, "", provider_arn, "")
    return _trusts(compile_trust, trust_policy, role_arn, caller, ASSUME_ROLE_WITH_WEB_IDENTITY, now_ms, context)


def _trusts(
    compiled: Callable[[str], CompiledPolicy],
    trust_policy: str,
    role_arn: str,
    caller: Principal,
    action: str,
    now_ms: int,
    context: Mapping[str, ContextValue],
) -> bool:
    try:
        policy = NamedPolicy(role_arn, compiled(trust_policy))
    except MalformedPolicyError:
        return False
    arn = Arn.parse(role_arn)
    values = RequestValues(caller, CallContext(now_ms), {}, context)
    there = ResourcePolicies(arn.account if arn is not None else "", (policy,), must_allow=True, layer=Layer.TRUST)
    return evaluate(AccessRequest(caller, action, role_arn, values), PrincipalPolicies(), there).allowed
