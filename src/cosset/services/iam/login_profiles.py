"""The operations on users' passwords for the console, and on what an account asks of passwords."""

import asyncio
from typing import Any

from sqlalchemy import delete, insert, select, update

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes
from cosset.identity.principal import PrincipalKind
from cosset.services.iam.errors import already_exists, no_such_entity, validation_error
from cosset.services.iam.owners import need_user
from cosset.services.iam.passwords import (
    check_password,
    hash_password,
    is_password,
    is_used_already,
    password_used_already,
)
from cosset.services.iam.records import User
from cosset.services.iam.requirements import on_everything, on_user
from cosset.services.iam.tables import login_profiles, password_policies
from cosset.services.iam.users import caller_or_named
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

_FORMER_LIMIT = 24
# Numbers that are left out of the answer where nobody gave them; of the rest AWS's defaults are shown.
_POLICY_DEFAULTS: dict[str, Any] = {
    "MinimumPasswordLength": 6,
    "RequireSymbols": False,
    "RequireNumbers": False,
    "RequireUppercaseCharacters": False,
    "RequireLowercaseCharacters": False,
    "AllowUsersToChangePassword": False,
}
_POLICY_OPTIONAL = ("MaxPasswordAge", "PasswordReusePrevention", "HardExpiry")


class LoginProfiles:
    def __init__(self, store: Store, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("CreateLoginProfile", on_user("CreateLoginProfile"))
    async def create_login_profile(self, ctx: Context, params: Params) -> Result:
        name = caller_or_named(ctx, params)
        if "Password" not in params:  # the model has it optional, for sessions of AssumeRoot
            constraint = "Value null at 'password' failed to satisfy constraint: Member must not be null"
            raise validation_error(f"1 validation error detected: {constraint}")
        kept = await self._checked(ctx, name, params["Password"], [])
        reset_required, now_ms = bool(params.get("PasswordResetRequired")), self._clock.now_ms()
        values = {"password": kept, "former": [], "reset_required": reset_required, "created_ms": now_ms}

        def work(tx: Transaction) -> dict[str, Any]:
            user = need_user(tx, ctx.account, name)
            if tx.execute(select(login_profiles.c.user_key).where(*_row_of(user))).first() is not None:
                raise already_exists(f"Login Profile for user {user.name} already exists.")
            tx.execute(insert(login_profiles).values(account=ctx.account, user_key=user.name.lower(), **values))
            return _shown(user, now_ms, reset_required)

        return {"LoginProfile": await self._store.write(work)}

    @operation("GetLoginProfile", on_user("GetLoginProfile"))
    async def get_login_profile(self, ctx: Context, params: Params) -> Result:
        name = caller_or_named(ctx, params)

        def work(tx: Transaction) -> dict[str, Any]:
            user = need_user(tx, ctx.account, name)
            row = _need_profile(tx, user)
            return _shown(user, row.created_ms, row.reset_required)

        return {"LoginProfile": await self._store.read(work)}

    @operation("UpdateLoginProfile", on_user("UpdateLoginProfile"))
    async def update_login_profile(self, ctx: Context, params: Params) -> None:
        name, changes = params["UserName"], {}
        row = await self._store.read(lambda tx: _need_profile(tx, need_user(tx, ctx.account, name)))
        if "Password" in params:
            changes = await self._changed(ctx, name, params["Password"], row)
        if "PasswordResetRequired" in params:
            changes["reset_required"] = params["PasswordResetRequired"]
        await self._keep(ctx, name, changes)

    @operation("DeleteLoginProfile", on_user("DeleteLoginProfile"))
    async def delete_login_profile(self, ctx: Context, params: Params) -> None:
        name = caller_or_named(ctx, params)

        def work(tx: Transaction) -> None:
            user = need_user(tx, ctx.account, name)
            _need_profile(tx, user)
            tx.execute(delete(login_profiles).where(*_row_of(user)))

        await self._store.write(work)

    @operation("ChangePassword", on_user("ChangePassword"))
    async def change_password(self, ctx: Context, params: Params) -> None:
        """The caller's own."""
        if ctx.principal.kind is not PrincipalKind.USER:
            raise ServiceError("InvalidUserType", "Only IAM Users can change their own password", status=400)
        name = ctx.principal.arn.rpartition("/")[2]
        row = await self._store.read(lambda tx: _need_profile(tx, need_user(tx, ctx.account, name)))
        if not await asyncio.to_thread(is_password, params["OldPassword"], row.password):
            raise ServiceError("AccessDenied", "The old password was incorrect.", status=403)
        changes = await self._changed(ctx, name, params["NewPassword"], row)
        await self._keep(ctx, name, {**changes, "reset_required": False})

    @operation("UpdateAccountPasswordPolicy", on_everything("UpdateAccountPasswordPolicy"))
    async def update_account_password_policy(self, ctx: Context, params: Params) -> None:
        """Whatever is not given goes back to its default, as on AWS."""
        policy = {name: params.get(name, default) for name, default in _POLICY_DEFAULTS.items()}
        policy |= {name: params[name] for name in _POLICY_OPTIONAL if name in params}

        def work(tx: Transaction) -> None:
            tx.execute(delete(password_policies).where(password_policies.c.account == ctx.account))
            tx.execute(insert(password_policies).values(account=ctx.account, policy=policy))

        await self._store.write(work)

    @operation("GetAccountPasswordPolicy", on_everything("GetAccountPasswordPolicy"))
    async def get_account_password_policy(self, ctx: Context, params: Params) -> Result:
        policy = await self._policy(ctx)
        if policy is None:
            raise _no_such_policy(ctx)
        return {"PasswordPolicy": policy | {"ExpirePasswords": bool(policy.get("MaxPasswordAge"))}}

    @operation("DeleteAccountPasswordPolicy", on_everything("DeleteAccountPasswordPolicy"))
    async def delete_account_password_policy(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            if not tx.execute(delete(password_policies).where(password_policies.c.account == ctx.account)).rowcount:
                raise _no_such_policy(ctx)

        await self._store.write(work)

    async def _policy(self, ctx: Context) -> dict[str, Any] | None:
        query = select(password_policies.c.policy).where(password_policies.c.account == ctx.account)
        policy: dict[str, Any] | None = await self._store.read(lambda tx: tx.execute(query).scalar())
        return policy

    async def _checked(self, ctx: Context, name: str, password: str, former: list[str]) -> str:
        """The password as it is kept. Raises ServiceError PasswordPolicyViolation."""
        policy = await self._policy(ctx)
        check_password(password, name, policy)
        remembered = former[: (policy or {}).get("PasswordReusePrevention", 0)]
        if await asyncio.to_thread(is_used_already, password, remembered):
            raise password_used_already()
        return await asyncio.to_thread(hash_password, password, self._random_bytes)

    async def _changed(self, ctx: Context, name: str, password: str, row: Any) -> dict[str, Any]:
        former = [row.password, *row.former][:_FORMER_LIMIT]
        return {"password": await self._checked(ctx, name, password, former), "former": former}

    async def _keep(self, ctx: Context, name: str, changes: dict[str, Any]) -> None:
        def work(tx: Transaction) -> None:
            user = need_user(tx, ctx.account, name)
            _need_profile(tx, user)
            if changes:
                tx.execute(update(login_profiles).where(*_row_of(user)).values(**changes))

        await self._store.write(work)


def _row_of(user: User) -> tuple[Any, ...]:
    return login_profiles.c.account == user.account, login_profiles.c.user_key == user.name.lower()


def _need_profile(tx: Transaction, user: User) -> Any:
    row = tx.execute(select(login_profiles).where(*_row_of(user))).one_or_none()
    if row is None:
        raise no_such_entity(f"Login Profile for User {user.name} cannot be found.")
    return row


def _shown(user: User, created_ms: int, reset_required: bool) -> dict[str, Any]:
    return {
        "UserName": user.name,
        "CreateDate": created_ms // 1000,
        "PasswordResetRequired": reset_required,
    }


def _no_such_policy(ctx: Context) -> ServiceError:
    return no_such_entity(f"The Password Policy with domain name {ctx.account} cannot be found.")
