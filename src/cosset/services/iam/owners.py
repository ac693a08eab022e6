"""What users and roles have in common: both carry policies, and neither goes while it does."""

from collections.abc import Callable
from typing import Literal

from sqlalchemy import func, select

from cosset.services.iam.errors import delete_conflict, no_such_role, no_such_user
from cosset.services.iam.records import Role, User, find_role, find_user
from cosset.services.iam.tables import attachments, inline_policies
from cosset.services.operation import Params
from cosset.store.database import Transaction

OwnerKind = Literal["user", "role"]
PARAMETER: dict[OwnerKind, str] = {"user": "UserName", "role": "RoleName"}


def need_role(tx: Transaction, account: str, name: str) -> Role:
    """The role. Raises ServiceError NoSuchEntity."""
    role = find_role(tx, account, name)
    if role is None:
        raise no_such_role(name)
    return role


def need_user(tx: Transaction, account: str, name: str) -> User:
    """The user. Raises ServiceError NoSuchEntity."""
    user = find_user(tx, account, name)
    if user is None:
        raise no_such_user(name)
    return user


_NEED: dict[OwnerKind, Callable[[Transaction, str, str], Role | User]] = {"user": need_user, "role": need_role}


def need_owner(tx: Transaction, account: str, kind: OwnerKind, params: Params) -> str:
    """The name that the call gives, once there is such a user or role. Raises ServiceError NoSuchEntity."""
    return _NEED[kind](tx, account, params[PARAMETER[kind]]).name


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
