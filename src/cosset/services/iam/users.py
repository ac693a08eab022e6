"""The user operations."""

from typing import Any

from sqlalchemy import Table, delete, func, insert, select, update

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes, new_unique_id
from cosset.identity.principal import PrincipalKind
from cosset.services.iam.errors import already_exists, delete_conflict, not_attachable, validation_error
from cosset.services.iam.owners import need_user, refuse_while_it_carries_policies, rename_owner
from cosset.services.iam.paging import page
from cosset.services.iam.policy_book import PolicyBook
from cosset.services.iam.records import CHANGES, User, user_of
from cosset.services.iam.requirements import on_everything, on_new, on_renamed, on_user
from cosset.services.iam.shapes import boundary, read_tags, tags_shown, user_in_full, user_in_list
from cosset.services.iam.tables import (
    access_keys,
    entity_uses,
    group_members,
    login_profiles,
    mfa_devices,
    public_keys,
    service_credentials,
    users,
)
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction

# What belongs to a user by its `user_key`, and what DeleteUser says while there is any (the last one is recorded:
# test_delete_user_after_service_credential_created).
_BELONGINGS: tuple[tuple[Table, str], ...] = (
    (group_members, "Cannot delete entity, must remove users from group first."),
    (login_profiles, "Cannot delete entity, must delete login profile first."),
    (access_keys, "Cannot delete entity, must delete access keys first."),
    (mfa_devices, "Cannot delete entity, must deactivate MFA device first."),
    (public_keys, "Cannot delete entity, must remove referenced objects first."),
    (service_credentials, "Cannot delete entity, must remove referenced objects first."),
)


class Users:
    def __init__(self, store: Store, policies: PolicyBook, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._policies = policies
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("CreateUser", on_new("CreateUser", "user", "UserName"))
    async def create_user(self, ctx: Context, params: Params) -> Result:
        user = User(
            account=ctx.account,
            name=params["UserName"],
            path=params.get("Path", "/"),
            unique_id=new_unique_id("AIDA", self._random_bytes),
            permissions_boundary=params.get("PermissionsBoundary"),
            tags=read_tags(params.get("Tags", [])),
            created_ms=self._clock.now_ms(),
        )
        await self._store.write(lambda tx: self._add(tx, user))
        return {"User": user_in_list(user) | boundary(user.permissions_boundary) | tags_shown(user.tags)}

    @operation("GetUser", on_user("GetUser"))
    async def get_user(self, ctx: Context, params: Params) -> Result:
        """Without a name: the caller."""
        name = caller_or_named(ctx, params)
        user = await self._store.read(lambda tx: need_user(tx, ctx.account, name))
        return {"User": user_in_full(user)}

    @operation("ListUsers", on_everything("ListUsers", "user/"))
    async def list_users(self, ctx: Context, params: Params) -> Result:
        prefix = params.get("PathPrefix", "/")
        query = select(users).where(users.c.account == ctx.account)
        found = await self._store.read(lambda tx: [user_of(row) for row in tx.execute(query)])
        matching = [user for user in found if user.path.startswith(prefix)]
        return page("Users", matching, lambda user: user.name.lower(), user_in_list, params)

    @operation("UpdateUser", on_renamed("UpdateUser", "user", "UserName", "NewUserName"))
    async def update_user(self, ctx: Context, params: Params) -> None:
        """A new name or path. The user stays who it is: its keys, groups and policies come along."""

        def work(tx: Transaction) -> None:
            user = need_user(tx, ctx.account, params["UserName"])
            name = params.get("NewUserName", user.name)
            if name.lower() != user.name.lower():
                _refuse_taken_name(tx, ctx.account, name)
                rename_owner(tx, ctx.account, "user", user.name, name)
                for table, _ in _BELONGINGS:
                    tx.execute(update(table).where(*_of_user(table, user)).values(user_key=name.lower()))
            changes = {"name_key": name.lower(), "name": name, "path": params.get("NewPath", user.path)}
            mine = (users.c.account == ctx.account, users.c.name_key == user.name.lower())
            tx.execute(update(users).where(*mine).values(**changes))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    @operation("DeleteUser", on_user("DeleteUser"))
    async def delete_user(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            user = need_user(tx, ctx.account, params["UserName"])
            for table, sentence in _BELONGINGS:
                if tx.execute(select(func.count()).select_from(table).where(*_of_user(table, user))).scalar_one():
                    raise delete_conflict(sentence)
            refuse_while_it_carries_policies(tx, ctx.account, "user", user.name)
            tx.execute(delete(entity_uses).where(entity_uses.c.unique_id == user.unique_id))
            tx.execute(delete(users).where(users.c.account == ctx.account, users.c.name_key == user.name.lower()))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    @operation("PutUserPermissionsBoundary", on_user("PutUserPermissionsBoundary"))
    async def put_user_permissions_boundary(self, ctx: Context, params: Params) -> None:
        await self._set_boundary(ctx, params["UserName"], params["PermissionsBoundary"])

    @operation("DeleteUserPermissionsBoundary", on_user("DeleteUserPermissionsBoundary"))
    async def delete_user_permissions_boundary(self, ctx: Context, params: Params) -> None:
        await self._set_boundary(ctx, params["UserName"], None)

    async def _set_boundary(self, ctx: Context, name: str, arn: str | None) -> None:
        def work(tx: Transaction) -> None:
            user = need_user(tx, ctx.account, name)
            self._need_boundary(tx, ctx.account, arn)
            mine = (users.c.account == ctx.account, users.c.name_key == user.name.lower())
            tx.execute(update(users).where(*mine).values(permissions_boundary=arn))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    def _need_boundary(self, tx: Transaction, account: str, arn: str | None) -> None:
        if arn is not None and self._policies.find(tx, account, arn) is None:
            raise not_attachable(arn)

    def _add(self, tx: Transaction, user: User) -> None:
        _refuse_taken_name(tx, user.account, user.name)
        self._need_boundary(tx, user.account, user.permissions_boundary)
        values: dict[str, Any] = {
            "account": user.account,
            "name_key": user.name.lower(),
            "name": user.name,
            "path": user.path,
            "user_id": user.unique_id,
            "permissions_boundary": user.permissions_boundary,
            "tags": dict(user.tags),
            "created_ms": user.created_ms,
        }
        tx.execute(insert(users).values(**values))
        tx.announce(CHANGES, user.account)


def _of_user(table: Table, user: User) -> tuple[Any, ...]:
    return table.c.account == user.account, table.c.user_key == user.name.lower()


def _refuse_taken_name(tx: Transaction, account: str, name: str) -> None:
    mine = (users.c.account == account, users.c.name_key == name.lower())
    if tx.execute(select(users.c.name).where(*mine)).first() is not None:
        raise already_exists(f"User with name {name} already exists.")


def caller_or_named(ctx: Context, params: Params) -> str:
    """The user that the call names, or the one who calls.

    Raises:
        ServiceError: ValidationError when neither is a user.
    """
    name = params.get("UserName")
    if name is not None:
        return str(name)
    if ctx.principal.kind is not PrincipalKind.USER:
        raise validation_error("Must specify userName when calling with non-User credentials")
    return ctx.principal.arn.rpartition("/")[2]
