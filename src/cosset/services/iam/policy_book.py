"""Managed policies, the customer's and AWS's, behind one look-up; and what is attached to whom."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import func, select

from cosset.identity.arn import Arn
from cosset.services.iam.errors import unparsable_arn
from cosset.services.iam.managed_policies import ManagedPolicy, managed_policies
from cosset.services.iam.tables import attachments, policies, policy_versions, roles, users
from cosset.store.database import Transaction


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    number: int
    document: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A managed policy. `aws` ones belong to nobody and never change; `key` finds a customer's own in the tables."""

    arn: str
    name: str
    path: str
    policy_id: str
    description: str | None
    default_version: int
    tags: dict[str, str]
    created_ms: int
    updated_ms: int
    aws: bool

    @property
    def key(self) -> str:
        return self.name.lower()


class PolicyBook:
    """Finds policies inside a transaction. AWS's own are made when the first is asked for."""

    @cached_property
    def _managed(self) -> dict[str, ManagedPolicy]:
        return managed_policies()

    def find(self, tx: Transaction, account: str, arn: str) -> Policy | None:
        """The policy that this account may use under this ARN.

        Raises:
            ServiceError: ValidationError when it is no policy's ARN.
        """
        parsed = Arn.parse(arn)
        if parsed is None or parsed.service != "iam" or not parsed.resource.startswith("policy/"):
            raise unparsable_arn()
        if parsed.account == "aws":
            managed = self._managed.get(arn)
            return None if managed is None else _of_managed(managed)
        if parsed.account != account:
            return None
        name = parsed.resource.rpartition("/")[2]
        row = tx.execute(
            select(policies).where(policies.c.account == account, policies.c.name_key == name.lower())
        ).one_or_none()
        found = None if row is None else _of_row(row)
        return found if found is not None and found.arn == arn else None

    def all(self, tx: Transaction, account: str, scope: str) -> list[Policy]:
        """`scope` is `All`, `AWS` or `Local`."""
        found: list[Policy] = []
        if scope in ("All", "AWS"):
            found += [_of_managed(each) for each in self._managed.values()]
        if scope in ("All", "Local"):
            found += [_of_row(row) for row in tx.execute(select(policies).where(policies.c.account == account))]
        return found

    def versions(self, tx: Transaction, account: str, policy: Policy) -> list[PolicyVersion]:
        """Newest first. Of AWS's policies only the default version is known."""
        if policy.aws:
            managed = self._managed[policy.arn]
            return [PolicyVersion(managed.version, managed.document, managed.updated_ms)]
        rows = tx.execute(
            select(policy_versions)
            .where(policy_versions.c.account == account, policy_versions.c.policy_key == policy.key)
            .order_by(policy_versions.c.version.desc())
        )
        return [PolicyVersion(row.version, row.document, row.created_ms) for row in rows]


def attachment_count(tx: Transaction, account: str, arn: str) -> int:
    query = select(func.count()).select_from(attachments)
    return int(tx.execute(query.where(attachments.c.account == account, attachments.c.policy_arn == arn)).scalar_one())


def boundary_count(tx: Transaction, account: str, arn: str) -> int:
    total = 0
    for table in (users, roles):
        query = select(func.count()).select_from(table)
        total += int(
            tx.execute(query.where(table.c.account == account, table.c.permissions_boundary == arn)).scalar_one()
        )
    return total


def attached_arns(tx: Transaction, account: str, owner_kind: str, owner_name: str) -> list[str]:
    rows = tx.execute(
        select(attachments.c.policy_arn).where(
            attachments.c.account == account,
            attachments.c.owner_kind == owner_kind,
            attachments.c.owner_key == owner_name.lower(),
        )
    )
    return [str(arn) for arn in rows.scalars()]


def name_of(arn: str) -> str:
    return arn.rpartition("/")[2]


def path_of(arn: str) -> str:
    """`/service-role/` of `arn:aws:iam::aws:policy/service-role/P`."""
    return arn.partition(":policy")[2].removesuffix(name_of(arn))


def attached_shown(arn: str) -> dict[str, str]:
    """As lists of attached policies show one; the policies of service-linked roles are not among those known here."""
    return {"PolicyName": name_of(arn), "PolicyArn": arn}


def _of_managed(policy: ManagedPolicy) -> Policy:
    return Policy(
        policy.arn,
        policy.name,
        policy.path,
        policy.policy_id,
        policy.description,
        policy.version,
        {},
        policy.created_ms,
        policy.updated_ms,
        aws=True,
    )


def _of_row(row: Any) -> Policy:
    return Policy(
        f"arn:aws:iam::{row.account}:policy{row.path}{row.name}",
        row.name,
        row.path,
        row.policy_id,
        row.description,
        row.default_version,
        dict(row.tags),
        row.created_ms,
        row.updated_ms,
        aws=False,
    )
