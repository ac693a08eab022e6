"""IAM's entities as the tables hold them, and how to find one by name. Handlers and the directory stand on these."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from cosset.services.iam.tables import access_keys, group_members, groups, roles, users
from cosset.store.database import Transaction

ADMINISTRATOR_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"
CHANGES = "iam"
"""The topic on which every change to IAM is announced; the key is the account."""


@dataclass(frozen=True, slots=True)
class User:
    account: str
    name: str
    path: str
    unique_id: str
    permissions_boundary: str | None
    tags: Mapping[str, str]
    created_ms: int

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:user{self.path}{self.name}"


@dataclass(frozen=True, slots=True)
class Role:
    account: str
    name: str
    path: str
    unique_id: str
    trust_policy: str
    description: str | None
    max_session_s: int
    permissions_boundary: str | None
    tags: Mapping[str, str]
    created_ms: int

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:role{self.path}{self.name}"


@dataclass(frozen=True, slots=True)
class Group:
    account: str
    name: str
    path: str
    unique_id: str
    created_ms: int

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:group{self.path}{self.name}"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A long-term key. `owner` is its user."""

    access_key_id: str
    secret: str = field(repr=False)
    active: bool
    owner: User


def user_of(row: Any) -> User:
    return User(row.account, row.name, row.path, row.user_id, row.permissions_boundary, dict(row.tags), row.created_ms)


def role_of(row: Any) -> Role:
    return Role(
        row.account,
        row.name,
        row.path,
        row.role_id,
        row.trust_policy,
        row.description,
        row.max_session_s,
        row.permissions_boundary,
        dict(row.tags),
        row.created_ms,
    )


def group_of(row: Any) -> Group:
    return Group(row.account, row.name, row.path, row.group_id, row.created_ms)


def find_group(tx: Transaction, account: str, name: str) -> Group | None:
    query = select(groups).where(groups.c.account == account, groups.c.name_key == name.lower())
    row = tx.execute(query).one_or_none()
    return group_of(row) if row is not None and row.name == name else None


def groups_of(tx: Transaction, account: str, user_name: str) -> list[Group]:
    """The groups that a user is in: it carries their policies too."""
    mine = (group_members.c.account == account, group_members.c.user_key == user_name.lower())
    keys = select(group_members.c.group_key).where(*mine)
    query = select(groups).where(groups.c.account == account, groups.c.name_key.in_(keys))
    return [group_of(row) for row in tx.execute(query.order_by(groups.c.name_key))]


def find_user(tx: Transaction, account: str, name: str) -> User | None:
    """Names are found as they are written, though unique without regard to case."""
    row = tx.execute(select(users).where(users.c.account == account, users.c.name_key == name.lower())).one_or_none()
    return user_of(row) if row is not None and row.name == name else None


def find_user_by_id(tx: Transaction, account: str, unique_id: str) -> User | None:
    """Whatever it is called by now."""
    row = tx.execute(select(users).where(users.c.account == account, users.c.user_id == unique_id)).one_or_none()
    return None if row is None else user_of(row)


def find_role(tx: Transaction, account: str, name: str) -> Role | None:
    row = tx.execute(select(roles).where(roles.c.account == account, roles.c.name_key == name.lower())).one_or_none()
    return role_of(row) if row is not None and row.name == name else None


def find_access_key(tx: Transaction, access_key_id: str) -> AccessKey | None:
    key = tx.execute(select(access_keys).where(access_keys.c.access_key_id == access_key_id)).one_or_none()
    if key is None:
        return None
    owner = tx.execute(
        select(users).where(users.c.account == key.account, users.c.name_key == key.user_key)
    ).one_or_none()
    if owner is None:
        return None
    secret = tx.unseal(access_keys.c.secret, (key.access_key_id,), key.secret)
    return AccessKey(key.access_key_id, secret, key.status == "Active", user_of(owner))
