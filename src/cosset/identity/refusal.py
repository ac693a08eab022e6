"""How each service says no: AWS's sentence is one, its code and status are the service's own."""

from cosset.identity.evaluation.decision import Decision
from cosset.identity.principal import Principal, PrincipalKind
from cosset.wire.errors import ServiceError

# rest-json answers 403, json 1.x answers 400, query and S3 have a code of their own.
_CODES = {
    "iam": ("AccessDenied", 403),
    "sts": ("AccessDenied", 403),
    "s3": ("AccessDenied", 403),
    "cloudformation": ("AccessDenied", 403),
    "sns": ("AuthorizationError", 403),
    "logs": ("AccessDeniedException", 400),
    "dynamodb": ("AccessDeniedException", 400),
    "kinesis": ("AccessDeniedException", 400),
    "kms": ("AccessDeniedException", 400),
    "secretsmanager": ("AccessDeniedException", 400),
    "ssm": ("AccessDeniedException", 400),
    "events": ("AccessDeniedException", 400),
    "states": ("AccessDeniedException", 400),
}
_DEFAULT_CODE = ("AccessDeniedException", 403)
_WITHOUT_REASON = frozenset({"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"})
"""Where AWS does not say why, so that nobody learns which roles there are."""


def access_denied(
    principal: Principal, action: str, resource: str, decision: Decision, service: str | None = None
) -> ServiceError:
    """The refusal, as `service` says it (None: the one that the action is of), which may need actions of others.

    A caller without credentials is called anonymous, as AWS calls it.
    """
    if action.startswith("s3:"):
        return _bucket_access_denied(principal, action, resource, decision, service)
    said = _said(action)
    sentence = f"User: {principal.arn or 'anonymous'} is not authorized to perform: {said} on resource: {resource}"
    if action not in _WITHOUT_REASON:
        sentence += f" {decision.reason(said)}"
    code, status = _CODES.get(service or action.partition(":")[0], _DEFAULT_CODE)
    return ServiceError(code, sentence, status=status)


def _bucket_access_denied(
    principal: Principal, action: str, resource: str, decision: Decision, service: str | None
) -> ServiceError:
    """S3 says why within an account only, and puts the resource in quotes."""
    code, status = _CODES.get(service or "s3", _DEFAULT_CODE)
    if not decision.is_at_home or principal.kind is PrincipalKind.ANONYMOUS:
        return ServiceError(code, "Access Denied", status=status)
    sentence = f'User: {principal.arn} is not authorized to perform: {action} on resource: "{resource}"'
    return ServiceError(code, f"{sentence} {decision.reason(action)}", status=status)


def _said(action: str) -> str:
    """SQS writes actions small in all its refusals, SNS itself in capitals."""
    if action.startswith("sqs:"):
        return action.lower()
    return f"SNS:{action[4:]}" if action.startswith("sns:") else action
