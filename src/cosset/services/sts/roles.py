"""AssumeRole: a session of a role for a caller that the role trusts. Nothing is written to issue one.

Whether the caller may is decided before the handler runs, from its policies and the role's trust policy.
"""

from collections.abc import Sequence
from dataclasses import replace

from cosset.identity.ports import Requirement
from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.sts.answers import (
    assumed_role_shown,
    credentials_shown,
    not_authorized,
    refuse_what_is_no_role,
    too_long,
)
from cosset.services.sts.grants import grant_requirements, grant_shown, read_grant, refuse_what_is_not_there
from cosset.services.sts.multi_factor import MultiFactor
from cosset.services.sts.ports import RoleDirectory, SessionMaker
from cosset.wire.errors import ServiceError

_CHAINED_LIMIT_S = 3600
"""The longest session of a role that a role assumes."""
_DEFAULT_S = 3600


def _assume_role(ctx: Context, params: Params) -> Sequence[Requirement]:
    refuse_what_is_no_role(params["RoleArn"])
    needed = grant_requirements("sts:AssumeRole", params["RoleArn"], params, ctx.principal.session)
    if "SerialNumber" not in params or "TokenCode" not in params:
        return needed
    # Decided as if the code were right: the handler takes nobody on whose is not.
    shown = {"aws:MultiFactorAuthPresent": "true", "aws:MultiFactorAuthAge": "0"}
    return [replace(each, context={**each.context, **shown}) for each in needed]


class AssumeRole:
    def __init__(self, directory: RoleDirectory, sessions: SessionMaker, multi_factor: MultiFactor) -> None:
        self._directory = directory
        self._multi_factor = multi_factor
        self._sessions = sessions

    @operation("AssumeRole", _assume_role)
    async def assume_role(self, ctx: Context, params: Params) -> Result:
        refuse_what_is_not_there("AssumeRole", params)
        caller, role_arn, session_name = ctx.principal, params["RoleArn"], params["RoleSessionName"]
        if caller.kind is PrincipalKind.FEDERATED:
            raise not_authorized(caller, "sts:AssumeRole", role_arn)
        if caller.kind is PrincipalKind.ROOT:
            raise ServiceError("AccessDenied", "Roles may not be assumed by root accounts.", status=403)
        _refuse_another_source_identity(caller, params)
        found = await self._directory.role_for_principal(role_arn, caller)
        if found is None:
            raise not_authorized(caller, "sts:AssumeRole", role_arn)
        role, longest_s = found
        grant = read_grant(params, role.account, caller.session)
        duration_s = params.get("DurationSeconds", _DEFAULT_S)
        refusal = too_long(longest_s, duration_s)
        if refusal is not None:
            raise refusal
        if caller.kind is PrincipalKind.ROLE and duration_s > _CHAINED_LIMIT_S:
            raise ServiceError(
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
            )
        # Its code is taken last: no refusal above uses one up.
        shown_ms = await self._multi_factor.shown_ms(caller, params)
        grant = replace(grant, multi_factor_ms=shown_ms)
        credentials = await self._sessions.issue_for_role(role, session_name, duration_s, grant)
        return {
            "Credentials": credentials_shown(credentials),
            "AssumedRoleUser": assumed_role_shown(role, session_name),
        } | grant_shown(params, grant)


def _refuse_another_source_identity(caller: Principal, params: Params) -> None:
    """Once set it stays, through every role that follows."""
    given = params.get("SourceIdentity")
    if given is not None and caller.session.source_identity not in (None, given):
        raise not_authorized(caller, "sts:SetSourceIdentity", params["RoleArn"])
