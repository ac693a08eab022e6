"""The STS operations: who am I, and temporary credentials. Nothing is written to issue one."""

from collections.abc import Sequence
from typing import Any

from cosset.identity.authorizer import access_denied
from cosset.identity.ports import Requirement
from cosset.identity.principal import Credentials, PrincipalKind
from cosset.services.operation import Context, Params, Result, no_requirements, operation
from cosset.services.sts.ports import RoleDirectory, SessionMaker
from cosset.wire.errors import OperationNotImplementedError, ServiceError

_CHAINED_LIMIT_S = 3600
"""The longest session of a role that a role assumes."""
_USER_SESSION_S = 43_200

# Parameters of AssumeRole that narrow or mark the session. Until the evaluator reads them, a session made without
# them would hold more than was asked for, so they are refused.
_NOT_YET = ("Policy", "PolicyArns", "Tags", "TransitiveTagKeys", "SerialNumber", "TokenCode")


def _assume_role(ctx: Context, params: Params) -> Sequence[Requirement]:
    return [Requirement("sts:AssumeRole", params["RoleArn"])]


class StsSessions:
    def __init__(self, directory: RoleDirectory, sessions: SessionMaker) -> None:
        self._directory = directory
        self._sessions = sessions

    @operation("GetCallerIdentity", no_requirements)
    async def get_caller_identity(self, ctx: Context, params: Params) -> Result:
        return {"UserId": ctx.principal.user_id, "Account": ctx.principal.account, "Arn": ctx.principal.arn}

    @operation("GetAccessKeyInfo", no_requirements)
    async def get_access_key_info(self, ctx: Context, params: Params) -> Result:
        key_id = params["AccessKeyId"]
        account = await self._directory.account_of_key(key_id)
        if account is None:
            raise ServiceError("ValidationError", f"Invalid Access Key ID: {key_id}")
        return {"Account": account}

    @operation("AssumeRole", _assume_role)
    async def assume_role(self, ctx: Context, params: Params) -> Result:
        for name in _NOT_YET:
            if params.get(name):
                raise OperationNotImplementedError("sts", f"AssumeRole with {name}")
        role_arn, session_name = params["RoleArn"], params["RoleSessionName"]
        found = await self._directory.role_for_principal(role_arn, ctx.principal)
        if found is None:
            # The same for a role that does not exist: nobody learns which do.
            raise access_denied(ctx.principal, Requirement("sts:AssumeRole", role_arn), None)
        role, longest_s = found
        duration_s = params.get("DurationSeconds", 3600)
        if duration_s > longest_s:
            sentence = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            raise ServiceError("ValidationError", sentence)
        if ctx.principal.kind is PrincipalKind.ROLE and duration_s > _CHAINED_LIMIT_S:
            sentence = (
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
            )
            raise ServiceError("ValidationError", sentence)
        credentials = await self._sessions.issue_for_role(role, session_name, duration_s)
        name = role.arn.rpartition("/")[2]
        return {
            "Credentials": _shown(credentials),
            "AssumedRoleUser": {
                "AssumedRoleId": f"{role.unique_id}:{session_name}",
                "Arn": f"arn:aws:sts::{role.account}:assumed-role/{name}/{session_name}",
            },
        }

    @operation("GetSessionToken", no_requirements)
    async def get_session_token(self, ctx: Context, params: Params) -> Result:
        """Credentials that stand for the calling user itself; AWS lets every user with a long-term key ask."""
        if params.get("SerialNumber") or params.get("TokenCode"):
            raise OperationNotImplementedError("sts", "GetSessionToken with a multi-factor code")
        principal = ctx.principal
        if principal.kind is not PrincipalKind.USER or principal.is_temporary:
            raise ServiceError("AccessDenied", "Cannot call GetSessionToken with session credentials", status=403)
        credentials = await self._sessions.issue_for_user(
            principal.kind,
            principal.account,
            principal.arn.rpartition("/")[2],
            principal.user_id,
            params.get("DurationSeconds", _USER_SESSION_S),
        )
        return {"Credentials": _shown(credentials)}


def _shown(credentials: Credentials) -> dict[str, Any]:
    assert credentials.expires_at_ms is not None
    return {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": credentials.expires_at_ms // 1000,
    }
