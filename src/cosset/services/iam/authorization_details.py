"""GetAccountAuthorizationDetails: everything that decides who may do what, in one list of four kinds, in pages."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import select

from cosset.services.iam.inline_policies import embedded_documents
from cosset.services.iam.instance_profiles import find_profiles, profile_shown
from cosset.services.iam.owners import OwnerKind
from cosset.services.iam.paging import page
from cosset.services.iam.policies import policy_shown, version_shown
from cosset.services.iam.policy_book import Policy, PolicyBook, attached_arns, attached_shown
from cosset.services.iam.records import Role, group_of, groups_of, role_of, user_of
from cosset.services.iam.requirements import on_everything
from cosset.services.iam.shapes import (
    boundary,
    document_text,
    group_shown,
    role_as_created,
    tag_list,
    user_in_list,
)
from cosset.services.iam.tables import groups, roles, users
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction

_LISTS = {"User": "UserDetailList", "Group": "GroupDetailList", "Role": "RoleDetailList", "Policy": "Policies"}


class _Detail(NamedTuple):
    kind: str
    key: str
    shown: dict[str, Any]


class AuthorizationDetails:
    def __init__(self, store: Store, book: PolicyBook) -> None:
        self._store = store
        self._book = book

    @operation("GetAccountAuthorizationDetails", on_everything("GetAccountAuthorizationDetails"))
    async def get_account_authorization_details(self, ctx: Context, params: Params) -> Result:
        wanted = set(params.get("Filter") or ("User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy"))
        details = await self._store.read(lambda tx: list(self._details(tx, ctx.account, wanted)))
        shown = page("details", details, lambda each: f"{each.kind}/{each.key}", lambda each: each, params)
        found: list[_Detail] = shown.pop("details")
        return {name: [each.shown for each in found if each.kind == kind] for kind, name in _LISTS.items()} | shown

    def _details(self, tx: Transaction, account: str, wanted: set[str]) -> Iterator[_Detail]:
        if "User" in wanted:
            yield from _users(tx, account)
        if "Group" in wanted:
            yield from _groups(tx, account)
        if "Role" in wanted:
            yield from _roles(tx, account)
        for scope, name in (("Local", "LocalManagedPolicy"), ("AWS", "AWSManagedPolicy")):
            if name in wanted:
                yield from self._policies(tx, account, scope)

    def _policies(self, tx: Transaction, account: str, scope: str) -> Iterator[_Detail]:
        """Of AWS's own only those that somebody has."""
        for policy in self._book.all(tx, account, scope):
            shown = policy_shown(tx, account, policy)
            if scope == "AWS" and not shown["AttachmentCount"] and not shown["PermissionsBoundaryUsageCount"]:
                continue
            yield _Detail("Policy", policy.arn, shown | {"PolicyVersionList": self._versions(tx, account, policy)})

    def _versions(self, tx: Transaction, account: str, policy: Policy) -> list[dict[str, Any]]:
        return [
            version_shown(policy, each) | {"Document": document_text(each.document)}
            for each in self._book.versions(tx, account, policy)
        ]


def _users(tx: Transaction, account: str) -> Iterator[_Detail]:
    for user in [user_of(row) for row in tx.execute(select(users).where(users.c.account == account))]:
        shown = user_in_list(user) | boundary(user.permissions_boundary)
        shown["GroupList"] = [group.name for group in groups_of(tx, account, user.name)]
        shown |= _carried(tx, account, "user", user.name, "UserPolicyList")
        yield _Detail("User", user.name.lower(), shown | {"Tags": tag_list(user.tags)})


def _groups(tx: Transaction, account: str) -> Iterator[_Detail]:
    for group in [group_of(row) for row in tx.execute(select(groups).where(groups.c.account == account))]:
        shown = group_shown(group) | _carried(tx, account, "group", group.name, "GroupPolicyList")
        yield _Detail("Group", group.name.lower(), shown)


def _roles(tx: Transaction, account: str) -> Iterator[_Detail]:
    profiles = find_profiles(tx, account)
    for role in [role_of(row) for row in tx.execute(select(roles).where(roles.c.account == account))]:
        shown = role_as_created(role) | boundary(role.permissions_boundary) | {"RoleLastUsed": {}}
        shown["InstanceProfileList"] = [profile_shown(each) for each in profiles if _has(each.role, role)]
        shown |= _carried(tx, account, "role", role.name, "RolePolicyList")
        yield _Detail("Role", role.name.lower(), shown | {"Tags": tag_list(role.tags)})


def _has(profiles_role: Role | None, role: Role) -> bool:
    return profiles_role is not None and profiles_role.unique_id == role.unique_id


def _carried(tx: Transaction, account: str, kind: OwnerKind, name: str, member: str) -> dict[str, Any]:
    embedded = embedded_documents(tx, account, kind, name)
    return {
        member: [{"PolicyName": each, "PolicyDocument": document_text(text)} for each, text in embedded.items()],
        "AttachedManagedPolicies": [attached_shown(arn) for arn in attached_arns(tx, account, kind, name)],
    }
