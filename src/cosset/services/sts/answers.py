"""What several STS operations answer: credentials, and the refusals that AWS has for callers of a kind."""

from typing import Any

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


def no_session_may(operation: str) -> ServiceError:
    return ServiceError("AccessDenied", f"Cannot call {operation} with session credentials", status=403)


def too_long(longest_s: int, duration_s: int) -> ServiceError | None:
    if duration_s <= longest_s:
        return None
    sentence = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    return ServiceError("ValidationError", sentence)
