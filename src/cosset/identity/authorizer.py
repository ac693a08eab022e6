"""Decides every call, by the least rule that is safe until the policy evaluator exists.

Administrators may do everything in their own account; everyone else only what needs no permission. Policies that
users and roles carry are kept and shown, and not yet read here: nothing is allowed that they would not allow.
"""

import logging
from collections.abc import Sequence

from cosset.identity.arn import Arn
from cosset.identity.ports import Requirement
from cosset.identity.principal import Principal, PrincipalKind
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

# How each service says no: rest-json answers 403, json 1.x answers 400, query and S3 have a code of their own.
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
_SAID_LIMIT = 1_000


def access_denied(principal: Principal, requirement: Requirement, reason: str | None) -> ServiceError:
    """The refusal in AWS's sentence; `reason` is what follows `because`."""
    sentence = f"User: {principal.arn} is not authorized to perform: {requirement.action}"
    sentence += f" on resource: {requirement.resource}"
    if reason is not None:
        sentence += f" because {reason}"
    code, status = _CODES.get(requirement.action.partition(":")[0], _DEFAULT_CODE)
    return ServiceError(code, sentence, status=status)


class MinimumAuthorizer:
    """Implements `ports.Authorizer`. With `audit`, what would have been denied is logged and let through, except
    to callers of another account and to those who are nobody."""

    def __init__(self, *, audit: bool = False) -> None:
        self._audit = audit
        self._said: set[str] = set()

    async def authorize(self, principal: Principal, requirements: Sequence[Requirement]) -> None:
        for requirement in requirements:
            reason = self._refusal(principal, requirement)
            if reason is None:
                continue
            error = access_denied(principal, requirement, reason)
            if not self._audit or not self._is_tolerable(principal, requirement):
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

    def _refusal(self, principal: Principal, requirement: Requirement) -> str | None:
        if self._is_stranger(principal, requirement):
            return f"no resource-based policy allows the {requirement.action} action"
        if not principal.is_administrator:
            return f"no identity-based policy allows the {requirement.action} action"
        return None

    def _is_tolerable(self, principal: Principal, requirement: Requirement) -> bool:
        """In audit mode unknown roles are taken to exist, and copied examples name roles of any account."""
        if requirement.action == "iam:PassRole" and principal.kind in (PrincipalKind.USER, PrincipalKind.ROLE):
            return True
        return not self._is_stranger(principal, requirement)

    @staticmethod
    def _is_stranger(principal: Principal, requirement: Requirement) -> bool:
        if principal.kind in (PrincipalKind.ANONYMOUS, PrincipalKind.SERVICE):
            return True
        arn = Arn.parse(requirement.resource)
        # S3 buckets and AWS's own resources carry no account id of a customer.
        return arn is not None and arn.account not in ("", "aws", "*", principal.account)
