"""The STS operations for users: sessions of their own, and sessions that they lend. Nothing is written to issue one."""

from collections.abc import Sequence
from dataclasses import replace

from cosset.identity.ports import Requirement
from cosset.identity.principal import UNNARROWED, Principal, PrincipalKind
from cosset.services.operation import Context, Params, Result, no_requirements, operation
from cosset.services.sts.answers import credentials_shown, no_session_may
from cosset.services.sts.grants import grant_requirements, grant_shown, read_grant, refuse_what_is_not_there
from cosset.services.sts.multi_factor import MultiFactor
from cosset.services.sts.ports import SessionMaker

_USER_SESSION_S = 43_200


def _federated_arn(account: str, name: str) -> str:
    return f"arn:aws:sts::{account}:federated-user/{name}"


def _get_federation_token(ctx: Context, params: Params) -> Sequence[Requirement]:
    return grant_requirements("sts:GetFederationToken", _federated_arn(ctx.account, params["Name"]), params)


class UserSessions:
    def __init__(self, sessions: SessionMaker, second_factors: MultiFactor) -> None:
        self._sessions = sessions
        self._second_factors = second_factors

    @operation("GetSessionToken", no_requirements)
    async def get_session_token(self, ctx: Context, params: Params) -> Result:
        """Credentials that stand for the calling user itself; AWS lets every user with a long-term key ask."""
        refuse_what_is_not_there("GetSessionToken", params)
        user = _need_long_term(ctx.principal, "GetSessionToken")
        grant = replace(UNNARROWED, multi_factor_ms=await self._second_factors.shown_ms(user, params))
        duration_s = params.get("DurationSeconds", _USER_SESSION_S)
        credentials = await self._sessions.issue_for_user(
            user.kind, user.account, _name(user), user.user_id, duration_s, grant
        )
        return {"Credentials": credentials_shown(credentials)}

    @operation("GetFederationToken", _get_federation_token)
    async def get_federation_token(self, ctx: Context, params: Params) -> Result:
        """The user's rights as far as the given policies go; without any, none but what resources allow by name."""
        refuse_what_is_not_there("GetFederationToken", params)
        user, name = _need_long_term(ctx.principal, "GetFederationToken"), params["Name"]
        grant = read_grant(params, user.account)
        if not grant.is_narrowed:
            grant = replace(grant, policies=())
        duration_s = params.get("DurationSeconds", _USER_SESSION_S)
        credentials = await self._sessions.issue_for_federated(
            user.account, _name(user), user.user_id, name, duration_s, grant
        )
        federated = {"FederatedUserId": f"{user.account}:{name}", "Arn": _federated_arn(user.account, name)}
        shown = {"Credentials": credentials_shown(credentials), "FederatedUser": federated}
        return shown | grant_shown(params, grant)


def _need_long_term(caller: Principal, operation_name: str) -> Principal:
    if caller.kind is not PrincipalKind.USER or caller.is_temporary:
        raise no_session_may(operation_name)
    return caller


def _name(user: Principal) -> str:
    return user.arn.rpartition("/")[2]
