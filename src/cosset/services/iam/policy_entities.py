"""The operation that lists who uses a managed policy, by attachment or as a permissions boundary."""

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, or_, select

from cosset.services.iam.errors import no_such_policy
from cosset.services.iam.owners import OwnerKind
from cosset.services.iam.paging import page
from cosset.services.iam.policy_book import PolicyBook
from cosset.services.iam.requirements import on_policy
from cosset.services.iam.tables import attachments, groups, roles, users
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction


class _Entity(NamedTuple):
    kind: OwnerKind
    name: str
    unique_id: str


class _Kind(NamedTuple):
    table: Table
    filter_name: str
    member: str
    show: Callable[[_Entity], dict[str, str]]


_KINDS: dict[OwnerKind, _Kind] = {
    "group": _Kind(groups, "Group", "PolicyGroups", lambda each: {"GroupName": each.name, "GroupId": each.unique_id}),
    "role": _Kind(roles, "Role", "PolicyRoles", lambda each: {"RoleName": each.name, "RoleId": each.unique_id}),
    "user": _Kind(users, "User", "PolicyUsers", lambda each: {"UserName": each.name, "UserId": each.unique_id}),
}


class PolicyEntities:
    def __init__(self, store: Store, book: PolicyBook) -> None:
        self._store = store
        self._book = book

    @operation("ListEntitiesForPolicy", on_policy("ListEntitiesForPolicy"))
    async def list_entities_for_policy(self, ctx: Context, params: Params) -> Result:
        wanted = params.get("EntityFilter")

        def work(tx: Transaction) -> list[_Entity]:
            if self._book.find(tx, ctx.account, params["PolicyArn"]) is None:
                raise no_such_policy(params["PolicyArn"])
            kinds = [kind for kind, about in _KINDS.items() if wanted in (None, about.filter_name)]
            return [each for kind in kinds for each in _entities(tx, ctx.account, kind, params)]

        # One list of three kinds in pages; what it shows is parted by kind.
        entities = await self._store.read(work)
        shown = page("entities", entities, lambda each: f"{each.kind}/{each.name.lower()}", lambda each: each, params)
        found: list[_Entity] = shown.pop("entities")
        for kind, about in _KINDS.items():
            shown[about.member] = [about.show(each) for each in found if each.kind == kind]
        return shown


def _entities(tx: Transaction, account: str, kind: OwnerKind, params: Params) -> list[_Entity]:
    table, arn = _KINDS[kind].table, params["PolicyArn"]
    query = select(table).where(table.c.account == account, _uses(table, account, kind, arn, params))
    prefix = params.get("PathPrefix", "/")
    return [
        _Entity(kind, row.name, getattr(row, f"{kind}_id")) for row in tx.execute(query) if row.path.startswith(prefix)
    ]


def _uses(table: Table, account: str, kind: OwnerKind, arn: str, params: Params) -> ColumnElement[Any]:
    owners = select(attachments.c.owner_key).where(
        attachments.c.account == account, attachments.c.owner_kind == kind, attachments.c.policy_arn == arn
    )
    attached = table.c.name_key.in_(owners)
    if kind == "group":
        # A group has no boundary.
        return attached if params.get("PolicyUsageFilter") != "PermissionsBoundary" else table.c.name.is_(None)
    bounded = table.c.permissions_boundary == arn
    by_usage = {"PermissionsPolicy": attached, "PermissionsBoundary": bounded}
    usage: str | None = params.get("PolicyUsageFilter")
    return or_(attached, bounded) if usage is None else by_usage[usage]
