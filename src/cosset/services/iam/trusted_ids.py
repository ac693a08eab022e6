"""Whom a role's trust policy means: the users and roles that there were when it was set, and no successors of theirs.

AWS turns such names into unique ids when a policy is set, shows the name while it is the same entity's, and the id once
that is gone. Here the policy stays as it was given, and the ids stand beside it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, insert, select

from cosset.identity.arn import Arn
from cosset.identity.policy_document import PolicyDocument
from cosset.services.iam.records import Role, find_role, find_user
from cosset.services.iam.tables import trusted_ids
from cosset.store.database import Transaction

_FIND = {"user": find_user, "role": find_role}
_FIELDS = ("Principal", "NotPrincipal")


def keep_trusted_ids(tx: Transaction, role_id: str, trust: PolicyDocument) -> None:
    """Notes who is meant, in the place of who was before."""
    forget_trusted_ids(tx, role_id)
    named = {
        name
        for statement in trust.statements
        for listed in (statement.principals, statement.not_principals)
        for name in (listed or {}).get("AWS", ())
    }
    for name in sorted(named):
        unique_id = _unique_id(tx, name)
        if unique_id is not None:
            tx.execute(insert(trusted_ids).values(role_id=role_id, principal=name, unique_id=unique_id))


def forget_trusted_ids(tx: Transaction, role_id: str) -> None:
    tx.execute(delete(trusted_ids).where(trusted_ids.c.role_id == role_id))


def resolve_trust(tx: Transaction, role: Role) -> Role:
    """The role, with the unique id in its trust policy of whoever is not there any more under the name."""
    rows = tx.execute(select(trusted_ids).where(trusted_ids.c.role_id == role.unique_id)).all()
    return _with_ids(role, {row.principal: row.unique_id for row in rows if _is_gone(tx, row)})


def resolve_trusts(tx: Transaction, roles: Sequence[Role]) -> list[Role]:
    """The same for many at once."""
    gone: dict[str, dict[str, str]] = {}
    for row in tx.execute(select(trusted_ids)).all():
        if _is_gone(tx, row):
            gone.setdefault(row.role_id, {})[row.principal] = row.unique_id
    return [_with_ids(role, gone.get(role.unique_id, {})) for role in roles]


def _is_gone(tx: Transaction, row: Any) -> bool:
    return bool(_unique_id(tx, row.principal) != row.unique_id)


def _with_ids(role: Role, gone: Mapping[str, str]) -> Role:
    if not gone:
        return role
    document = json.loads(role.trust_policy)
    statements = document["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        for field in _FIELDS:
            listed = statement.get(field)
            if isinstance(listed, dict) and "AWS" in listed:
                listed["AWS"] = _renamed(listed["AWS"], gone)
    return replace(role, trust_policy=json.dumps(document))


def _renamed(names: Any, gone: Mapping[str, str]) -> Any:
    return [gone.get(name, name) for name in names] if isinstance(names, list) else gone.get(names, names)


def _unique_id(tx: Transaction, name: str) -> str | None:
    """Of the user or role that has exactly this ARN now."""
    arn = Arn.parse(name)
    if arn is None or arn.service != "iam":
        return None
    kind, _, rest = arn.resource.partition("/")
    find = _FIND.get(kind)
    found = None if find is None else find(tx, arn.account, rest.rpartition("/")[2])
    return found.unique_id if found is not None and found.arn == name else None
