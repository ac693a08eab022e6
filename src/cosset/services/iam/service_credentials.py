"""The operations on credentials that a user has for one service only. A password is told once; its hash is kept."""

import asyncio
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes, new_unique_id, secret_text
from cosset.services.iam.errors import limit_exceeded, no_such_entity
from cosset.services.iam.owners import need_user
from cosset.services.iam.paging import page
from cosset.services.iam.passwords import hash_password
from cosset.services.iam.records import User
from cosset.services.iam.requirements import on_user
from cosset.services.iam.tables import service_credentials
from cosset.services.iam.users import caller_or_named
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction
from cosset.wire.errors import OperationNotImplementedError, ServiceError

_SERVICES = frozenset({"codecommit.amazonaws.com", "cassandra.amazonaws.com"})
_QUOTA = 2
_ID = "ServiceSpecificCredentialId"


class ServiceCredentials:
    def __init__(self, store: Store, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("CreateServiceSpecificCredential", on_user("CreateServiceSpecificCredential"))
    async def create(self, ctx: Context, params: Params) -> Result:
        if "CredentialAgeDays" in params:
            raise OperationNotImplementedError("iam", "CreateServiceSpecificCredential with CredentialAgeDays")
        service, now_ms = params["ServiceName"], self._clock.now_ms()
        # An unknown user is told before an unknown service (recorded: test_create_..._invalid_user).
        await self._store.read(lambda tx: need_user(tx, ctx.account, params["UserName"]))
        _refuse_unknown(service)
        credential_id = new_unique_id("ACCA", self._random_bytes)
        password, kept = await self._new_password()

        def work(tx: Transaction) -> Any:
            user = need_user(tx, ctx.account, params["UserName"])
            count = select(func.count()).select_from(service_credentials)
            count = count.where(*_of_user(user), service_credentials.c.service == service)
            if tx.execute(count).scalar_one() >= _QUOTA:
                raise limit_exceeded(f"Cannot exceed quota for ServiceSpecificCredentialsPerUser: {_QUOTA}")
            tx.execute(
                insert(service_credentials).values(
                    credential_id=credential_id,
                    account=ctx.account,
                    user_key=user.name.lower(),
                    service=service,
                    service_user=f"{user.name}-at-{ctx.account}",
                    password=kept,
                    status="Active",
                    created_ms=now_ms,
                )
            )
            return user, _need(tx, user, credential_id)

        user, row = await self._store.write(work)
        return {"ServiceSpecificCredential": _shown(user, row) | {"ServicePassword": password}}

    @operation("ListServiceSpecificCredentials", on_user("ListServiceSpecificCredentials"))
    async def list_credentials(self, ctx: Context, params: Params) -> Result:
        if params.get("AllUsers"):
            raise OperationNotImplementedError("iam", "ListServiceSpecificCredentials with AllUsers")
        name, service = caller_or_named(ctx, params), params.get("ServiceName")

        def work(tx: Transaction) -> list[dict[str, Any]]:
            user = need_user(tx, ctx.account, name)
            if service is not None:
                _refuse_unknown(service)
            rows = tx.execute(select(service_credentials).where(*_of_user(user)))
            return [_shown(user, row) for row in rows if service in (None, row.service)]

        found = await self._store.read(work)
        if "MaxItems" not in params and "Marker" not in params:
            # The answer has no IsTruncated (recorded: test_list_service_specific_credential_different_service).
            return {"ServiceSpecificCredentials": found}
        return page("ServiceSpecificCredentials", found, lambda each: str(each[_ID]), lambda each: each, params)

    @operation("UpdateServiceSpecificCredential", on_user("UpdateServiceSpecificCredential"))
    async def update(self, ctx: Context, params: Params) -> None:
        await self._change(ctx, params, {"status": params["Status"]})

    @operation("ResetServiceSpecificCredential", on_user("ResetServiceSpecificCredential"))
    async def reset(self, ctx: Context, params: Params) -> Result:
        password, kept = await self._new_password()
        user, row = await self._change(ctx, params, {"password": kept})
        return {"ServiceSpecificCredential": _shown(user, row) | {"ServicePassword": password}}

    @operation("DeleteServiceSpecificCredential", on_user("DeleteServiceSpecificCredential"))
    async def delete(self, ctx: Context, params: Params) -> None:
        name = caller_or_named(ctx, params)

        def work(tx: Transaction) -> None:
            _need(tx, need_user(tx, ctx.account, name), params[_ID])
            tx.execute(delete(service_credentials).where(service_credentials.c.credential_id == params[_ID]))

        await self._store.write(work)

    async def _change(self, ctx: Context, params: Params, changes: dict[str, Any]) -> tuple[User, Any]:
        name = caller_or_named(ctx, params)

        def work(tx: Transaction) -> tuple[User, Any]:
            user = need_user(tx, ctx.account, name)
            _need(tx, user, params[_ID])
            mine = service_credentials.c.credential_id == params[_ID]
            tx.execute(update(service_credentials).where(mine).values(**changes))
            return user, _need(tx, user, params[_ID])

        return await self._store.write(work)

    async def _new_password(self) -> tuple[str, str]:
        """A password, and what is kept of it."""
        password = secret_text(self._random_bytes(30)) + "="
        return password, await asyncio.to_thread(hash_password, password, self._random_bytes)


def _of_user(user: User) -> tuple[Any, ...]:
    return service_credentials.c.account == user.account, service_credentials.c.user_key == user.name.lower()


def _need(tx: Transaction, user: User, credential_id: str) -> Any:
    mine = (*_of_user(user), service_credentials.c.credential_id == credential_id)
    row = tx.execute(select(service_credentials).where(*mine)).one_or_none()
    if row is None:
        # Recorded: test_user_match_id_mismatch.
        raise no_such_entity(f"No such credential {credential_id} exists")
    return row


def _refuse_unknown(service: str) -> None:
    """Recorded: test_create_service_specific_credential_invalid_service."""
    if service not in _SERVICES:
        raise _no_such_service(service)


def _no_such_service(service: str) -> ServiceError:
    return no_such_entity(f"No such service {service} is supported for Service Specific Credentials")


def _shown(user: User, row: Any) -> dict[str, Any]:
    return {
        "CreateDate": row.created_ms // 1000,
        "ServiceName": row.service,
        "ServiceUserName": row.service_user,
        _ID: row.credential_id,
        "UserName": user.name,
        "Status": row.status,
    }
