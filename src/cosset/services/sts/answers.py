"""What several STS operations answer: credentials, and the refusals that AWS has for callers of a kind."""

from typing import Any

from cosset.identity.arn import Arn
from cosset.identity.principal import Credentials, Principal
from cosset.identity.sessions import AssumableRole
from cosset.wire.errors import ServiceError


def credentials_shown(credentials: Credentials) -> dict[str, Any]:
    assert credentials.expires_at_ms is not None
    return {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": credentials.expires_at_ms // 1000,
    }


def assumed_role_shown(role: AssumableRole, session_name: str) -> dict[str, str]:
    name = role.arn.rpartition("/")[2]
    return {
        "AssumedRoleId": f"{role.unique_id}:{session_name}",
        "Arn": f"arn:aws:sts::{role.account}:assumed-role/{name}/{session_name}",
    }


def not_authorized(principal: Principal, action: str, resource: str) -> ServiceError:
    """Without a reason: nobody learns which roles there are."""
    sentence = f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource}"
    return ServiceError("AccessDenied", sentence, status=403)


def refuse_what_is_no_role(role_arn: str) -> None:
    """Raises ServiceError ValidationError for what is no ARN, and for an ARN of something else. A role that is not
    there, or an ARN with a part too few, is no concern of this: whoever asks is not authorized."""
    if not role_arn.startswith("arn:"):
        raise ServiceError("ValidationError", f"{role_arn} is invalid")
    arn = Arn.parse(role_arn)
    if arn is not None and (arn.service != "iam" or not arn.resource.startswith("role/")):
        raise ServiceError("ValidationError", "Request ARN is invalid")


def no_session_may(operation: str) -> ServiceError:
    return ServiceError("AccessDenied", f"Cannot call {operation} with session credentials", status=403)


def too_long(longest_s: int, duration_s: int) -> ServiceError | None:
    if duration_s <= longest_s:
        return None
    sentence = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    return ServiceError("ValidationError", sentence)
