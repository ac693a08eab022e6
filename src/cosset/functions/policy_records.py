"""Statements of resource-based policies as rows. Decides nothing; read next: policies.py."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select

from cosset.functions.model import FunctionKey
from cosset.functions.records import at_function, named, of_function
from cosset.functions.tables import policy_heads as heads
from cosset.functions.tables import statements
from cosset.store.database import Transaction
from cosset.store.prepared import Prepared

_STATEMENTS = Prepared(
    select(statements.c.statement)
    .where(at_function(statements), statements.c.qualifier == bindparam("of_qualifier"))
    .order_by(statements.c.position)
)
_OWN_HEAD = {"Version": "2012-10-17", "Id": "default"}
"""Of a policy that AddPermission began."""


def read_statements(tx: Transaction, key: FunctionKey, qualifier: str) -> list[dict[str, Any]]:
    found = tx.run(_STATEMENTS, named(key) | {"of_qualifier": qualifier})
    return [json.loads(row.statement) for row in found.rows]


def sum_size(tx: Transaction, key: FunctionKey, qualifier: str) -> int:
    """Characters of all statements together."""
    query = select(func.sum(func.length(statements.c.statement))).where(
        of_function(statements, key), statements.c.qualifier == qualifier
    )
    return int(tx.execute(query).scalar() or 0)


def read_document(tx: Transaction, key: FunctionKey, qualifier: str) -> dict[str, Any] | None:
    """The whole policy; None when it has no statement."""
    found = read_statements(tx, key, qualifier)
    if not found:
        return None
    row = tx.execute(select(heads.c.head).where(of_function(heads, key), heads.c.qualifier == qualifier)).first()
    head = _OWN_HEAD if row is None else json.loads(row.head)
    return {**head, "Statement": found}


def replace(tx: Transaction, key: FunctionKey, qualifier: str, document: Mapping[str, Any]) -> None:
    """Puts a whole policy in the place of what there was."""
    delete_all(tx, key, qualifier)
    head = {name: value for name, value in document.items() if name != "Statement"}
    tx.execute(insert(heads).values(**dataclasses.asdict(key), qualifier=qualifier, head=json.dumps(head)))
    for number, statement in enumerate(document["Statement"]):
        # A statement without an id has one that none can be given: it only tells rows apart.
        insert_statement(tx, key, qualifier, statement, sid=statement.get("Sid") or f"#{number}")


def delete_all(tx: Transaction, key: FunctionKey, qualifier: str) -> None:
    for table in (statements, heads):
        tx.execute(delete(table).where(of_function(table, key), table.c.qualifier == qualifier))


def insert_statement(
    tx: Transaction, key: FunctionKey, qualifier: str, statement: Mapping[str, Any], *, sid: str
) -> None:
    last = select(func.max(statements.c.position)).where(
        of_function(statements, key), statements.c.qualifier == qualifier
    )
    tx.execute(
        insert(statements).values(
            account=key.account,
            region=key.region,
            name=key.name,
            qualifier=qualifier,
            sid=sid,
            position=(tx.execute(last).scalar() or 0) + 1,
            statement=json.dumps(statement),
        )
    )


def delete_statement(tx: Transaction, key: FunctionKey, qualifier: str, sid: str) -> bool:
    result = tx.execute(
        delete(statements).where(
            of_function(statements, key), statements.c.qualifier == qualifier, statements.c.sid == sid
        )
    )
    return bool(result.rowcount)
