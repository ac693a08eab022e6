"""What users, groups and roles have in common: they carry policies, and none goes while it does."""

from collections.abc import Callable
from typing import Literal

from sqlalchemy import delete, func, select, update

from cosset.services.iam.errors import delete_conflict, no_such_group, no_such_role, no_such_user, protected_role
from cosset.services.iam.records import Group, Role, User, find_group, find_role, find_user
from cosset.services.iam.tables import attachments, inline_policies
from cosset.services.operation import Params
from cosset.store.database import Transaction

OwnerKind = Literal["user", "group", "role"]
PARAMETER: dict[OwnerKind, str] = {"user": "UserName", "group": "GroupName", "role": "RoleName"}
SERVICE_LINKED = "/aws-service-role/"
"""The path of roles that belong to an AWS service."""


def need_role(tx: Transaction, account: str, name: str) -> Role:
    """The role. Raises ServiceError NoSuchEntity."""
    role = find_role(tx, account, name)
    if role is None:
        raise no_such_role(name)
    return role


def need_modifiable_role(tx: Transaction, account: str, name: str) -> Role:
    """The role. Raises ServiceError NoSuchEntity, or UnmodifiableEntity for one that belongs to a service."""
    role = need_role(tx, account, name)
    if role.path.startswith(SERVICE_LINKED):
        raise protected_role(name)
    return role


def need_group(tx: Transaction, account: str, name: str) -> Group:
    """The group. Raises ServiceError NoSuchEntity."""
    group = find_group(tx, account, name)
    if group is None:
        raise no_such_group(name)
    return group


def need_user(tx: Transaction, account: str, name: str) -> User:
    """The user. Raises ServiceError NoSuchEntity."""
    user = find_user(tx, account, name)
    if user is None:
        raise no_such_user(name)
    return user


_NEED: dict[OwnerKind, Callable[[Transaction, str, str], Role | User | Group]] = {
    "user": need_user,
    "group": need_group,
    "role": need_role,
}


def need_owner(tx: Transaction, account: str, kind: OwnerKind, params: Params) -> str:
    """The name that the call gives, once there is such a user, group or role. Raises ServiceError NoSuchEntity."""
    return _NEED[kind](tx, account, params[PARAMETER[kind]]).name


def need_modifiable_owner(tx: Transaction, account: str, kind: OwnerKind, params: Params) -> str:
    """As `need_owner`, for calls that change what it carries. Raises ServiceError UnmodifiableEntity too."""
    if kind == "role":
        return need_modifiable_role(tx, account, params["RoleName"]).name
    return need_owner(tx, account, kind, params)


def rename_owner(tx: Transaction, account: str, kind: OwnerKind, old: str, new: str) -> None:
    """Carries what is attached and embedded over to a new name."""
    for table in (attachments, inline_policies):
        mine = (table.c.account == account, table.c.owner_kind == kind, table.c.owner_key == old.lower())
        tx.execute(update(table).where(*mine).values(owner_key=new.lower()))


def forget_owner(tx: Transaction, account: str, kind: OwnerKind, name: str) -> None:
    """Takes everything off that is attached and embedded."""
    for table in (attachments, inline_policies):
        mine = (table.c.account == account, table.c.owner_kind == kind, table.c.owner_key == name.lower())
        tx.execute(delete(table).where(*mine))


def refuse_while_it_carries_policies(tx: Transaction, account: str, kind: OwnerKind, name: str) -> None:
    """Raises ServiceError DeleteConflict while policies are attached or embedded."""
    for table, sentence in (
        (attachments, "Cannot delete entity, must detach all policies first."),
        (inline_policies, "Cannot delete entity, must delete policies first."),
    ):
        count = select(func.count()).select_from(table)
        count = count.where(table.c.account == account, table.c.owner_kind == kind, table.c.owner_key == name.lower())
        if tx.execute(count).scalar_one():
            raise delete_conflict(sentence)
