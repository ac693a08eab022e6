"""The group operations: make, show, rename and delete groups, and who is in them."""

from typing import Any

from sqlalchemy import delete, func, insert, select, update

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes, new_unique_id
from cosset.services.iam.errors import already_exists, delete_conflict, limit_exceeded, no_such_user
from cosset.services.iam.owners import need_group, need_user, refuse_while_it_carries_policies, rename_owner
from cosset.services.iam.paging import page
from cosset.services.iam.records import CHANGES, Group, User, group_of, groups_of, user_of
from cosset.services.iam.requirements import on_everything, on_group, on_new, on_renamed, on_user
from cosset.services.iam.shapes import group_shown, user_in_list
from cosset.services.iam.tables import group_members, groups, users
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction

_GROUPS_PER_USER = 10


class Groups:
    def __init__(self, store: Store, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("CreateGroup", on_new("CreateGroup", "group", "GroupName"))
    async def create_group(self, ctx: Context, params: Params) -> Result:
        unique_id = new_unique_id("AGPA", self._random_bytes)
        group = Group(ctx.account, params["GroupName"], params.get("Path", "/"), unique_id, self._clock.now_ms())

        def work(tx: Transaction) -> None:
            _refuse_taken_name(tx, group.account, group.name)
            tx.execute(
                insert(groups).values(
                    account=group.account,
                    name_key=group.name.lower(),
                    name=group.name,
                    path=group.path,
                    group_id=group.unique_id,
                    created_ms=group.created_ms,
                )
            )
            tx.announce(CHANGES, group.account)

        await self._store.write(work)
        return {"Group": group_shown(group)}

    @operation("GetGroup", on_group("GetGroup"))
    async def get_group(self, ctx: Context, params: Params) -> Result:
        """The group, and its members in pages."""

        def work(tx: Transaction) -> tuple[Group, list[User]]:
            group = need_group(tx, ctx.account, params["GroupName"])
            return group, _members(tx, group)

        group, members = await self._store.read(work)
        shown = page("Users", members, lambda user: user.name.lower(), user_in_list, params)
        return {"Group": group_shown(group)} | shown

    @operation("ListGroups", on_everything("ListGroups", "group/"))
    async def list_groups(self, ctx: Context, params: Params) -> Result:
        prefix = params.get("PathPrefix", "/")
        query = select(groups).where(groups.c.account == ctx.account)
        found = await self._store.read(lambda tx: [group_of(row) for row in tx.execute(query)])
        matching = [group for group in found if group.path.startswith(prefix)]
        return page("Groups", matching, lambda group: group.name.lower(), group_shown, params)

    @operation("UpdateGroup", on_renamed("UpdateGroup", "group", "GroupName", "NewGroupName"))
    async def update_group(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            group = need_group(tx, ctx.account, params["GroupName"])
            name = params.get("NewGroupName", group.name)
            if name.lower() != group.name.lower():
                _refuse_taken_name(tx, ctx.account, name)
                rename_owner(tx, ctx.account, "group", group.name, name)
                tx.execute(update(group_members).where(*_membership(group)).values(group_key=name.lower()))
            changes = {"name_key": name.lower(), "name": name, "path": params.get("NewPath", group.path)}
            tx.execute(update(groups).where(*_row_of(group)).values(**changes))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    @operation("DeleteGroup", on_group("DeleteGroup"))
    async def delete_group(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            group = need_group(tx, ctx.account, params["GroupName"])
            if _members(tx, group):
                raise delete_conflict("Cannot delete entity, must remove users from group first.")
            refuse_while_it_carries_policies(tx, ctx.account, "group", group.name)
            tx.execute(delete(groups).where(*_row_of(group)))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    @operation("AddUserToGroup", on_group("AddUserToGroup"))
    async def add_user_to_group(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            group = need_group(tx, ctx.account, params["GroupName"])
            user = need_user(tx, ctx.account, params["UserName"])
            current = groups_of(tx, ctx.account, user.name)
            if group in current:
                return
            if len(current) >= _GROUPS_PER_USER:
                raise limit_exceeded(f"Cannot exceed quota for GroupsPerUser: {_GROUPS_PER_USER}")
            member = {"user_key": user.name.lower(), "group_key": group.name.lower()}
            tx.execute(insert(group_members).values(account=ctx.account, **member))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    @operation("RemoveUserFromGroup", on_group("RemoveUserFromGroup"))
    async def remove_user_from_group(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            group = need_group(tx, ctx.account, params["GroupName"])
            user = need_user(tx, ctx.account, params["UserName"])
            mine = (*_membership(group), group_members.c.user_key == user.name.lower())
            if not tx.execute(delete(group_members).where(*mine)).rowcount:
                raise no_such_user(user.name)
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    @operation("ListGroupsForUser", on_user("ListGroupsForUser"))
    async def list_groups_for_user(self, ctx: Context, params: Params) -> Result:
        def work(tx: Transaction) -> list[Group]:
            return groups_of(tx, ctx.account, need_user(tx, ctx.account, params["UserName"]).name)

        found = await self._store.read(work)
        return page("Groups", found, lambda group: group.name.lower(), group_shown, params)


def _members(tx: Transaction, group: Group) -> list[User]:
    keys = select(group_members.c.user_key).where(*_membership(group))
    query = select(users).where(users.c.account == group.account, users.c.name_key.in_(keys))
    return [user_of(row) for row in tx.execute(query)]


def _refuse_taken_name(tx: Transaction, account: str, name: str) -> None:
    query = select(func.count()).select_from(groups)
    if tx.execute(query.where(groups.c.account == account, groups.c.name_key == name.lower())).scalar_one():
        raise already_exists(f"Group with name {name} already exists.")


def _row_of(group: Group) -> tuple[Any, ...]:
    return groups.c.account == group.account, groups.c.name_key == group.name.lower()


def _membership(group: Group) -> tuple[Any, ...]:
    return group_members.c.account == group.account, group_members.c.group_key == group.name.lower()
