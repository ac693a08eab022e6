"""Aliases as rows: short functions of a transaction. Next: records.py, functions and versions."""

import json
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update

from cosset.functions.model import Alias, FunctionKey
from cosset.functions.records import at_function, delete_qualified, named, of_function
from cosset.functions.tables import aliases
from cosset.store.database import Transaction
from cosset.store.prepared import Prepared

_ALIASES = Prepared(
    select(aliases).where(at_function(aliases), aliases.c.alias > bindparam("after")).order_by(aliases.c.alias)
)


def read_alias(tx: Transaction, key: FunctionKey, alias: str) -> Alias | None:
    row = tx.execute(select(aliases).where(of_function(aliases, key), aliases.c.alias == alias)).first()
    return None if row is None else _to_alias(row)


def read_aliases(
    tx: Transaction, key: FunctionKey, *, version: str | None = None, after: str = "", limit: int | None = None
) -> list[Alias]:
    """By name; those after `after`, and those that point at `version` when that is given."""
    if version is None and limit is None:
        return [_to_alias(row) for row in tx.run(_ALIASES, named(key) | {"after": after}).rows]
    query = select(aliases).where(of_function(aliases, key), aliases.c.alias > after).order_by(aliases.c.alias)
    if version is not None:
        query = query.where(aliases.c.version == version)
    return [_to_alias(row) for row in tx.execute(query.limit(limit))]


def insert_alias(tx: Transaction, alias: Alias) -> None:
    key = alias.key
    tx.execute(
        insert(aliases).values(
            account=key.account, region=key.region, name=key.name, alias=alias.name, **_alias_values(alias)
        )
    )


def write_alias(tx: Transaction, alias: Alias) -> None:
    tx.execute(
        update(aliases)
        .where(of_function(aliases, alias.key), aliases.c.alias == alias.name)
        .values(**_alias_values(alias))
    )


def delete_alias(tx: Transaction, key: FunctionKey, alias: str) -> None:
    delete_qualified(tx, key, alias)
    tx.execute(delete(aliases).where(of_function(aliases, key), aliases.c.alias == alias))


def _alias_values(alias: Alias) -> dict[str, Any]:
    return {
        "version": alias.version,
        "description": alias.description,
        "revision_id": alias.revision_id,
        "weights": json.dumps(dict(alias.weights)),
    }


def _to_alias(row: Row[Any]) -> Alias:
    key = FunctionKey(row.account, row.region, row.name)
    return Alias(key, row.alias, row.version, row.description, row.revision_id, json.loads(row.weights))
