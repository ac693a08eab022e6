"""Statements of resource-based policies as rows. Decides nothing; read next: policies.py."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, func, insert, select

from cosset.functions.model import FunctionKey
from cosset.functions.records import of_function
from cosset.functions.tables import statements
from cosset.store.database import Transaction


def read_statements(tx: Transaction, key: FunctionKey, qualifier: str) -> list[dict[str, Any]]:
    query = (
        select(statements.c.statement)
        .where(of_function(statements, key), statements.c.qualifier == qualifier)
        .order_by(statements.c.position)
    )
    return [json.loads(row.statement) for row in tx.execute(query)]


def sum_size(tx: Transaction, key: FunctionKey, qualifier: str) -> int:
    """Characters of all statements together."""
    query = select(func.sum(func.length(statements.c.statement))).where(
        of_function(statements, key), statements.c.qualifier == qualifier
    )
    return int(tx.execute(query).scalar() or 0)


def insert_statement(tx: Transaction, key: FunctionKey, qualifier: str, statement: Mapping[str, Any]) -> None:
    last = select(func.max(statements.c.position)).where(
        of_function(statements, key), statements.c.qualifier == qualifier
    )
    tx.execute(
        insert(statements).values(
            account=key.account,
            region=key.region,
            name=key.name,
            qualifier=qualifier,
            sid=statement["Sid"],
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
