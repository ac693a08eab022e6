"""Code signing configurations as rows. Decides nothing; read next: code_signing.py."""

import dataclasses
import json
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.sql.elements import ColumnElement

from cosset.functions.model import CodeSigningConfig, CodeSigningKey, FunctionKey
from cosset.functions.tables import code_signing_configs as table
from cosset.functions.tables import function_options
from cosset.store.database import Transaction


def read(tx: Transaction, key: CodeSigningKey) -> CodeSigningConfig | None:
    row = tx.execute(select(table).where(_of(key))).first()
    return None if row is None else _to_config(row)


def read_all(tx: Transaction, account: str, region: str, *, after: str, limit: int) -> list[CodeSigningConfig]:
    """By id; those after `after`."""
    query = select(table).where(table.c.account == account, table.c.region == region, table.c.id > after)
    return [_to_config(row) for row in tx.execute(query.order_by(table.c.id).limit(limit))]


def write(tx: Transaction, config: CodeSigningConfig) -> None:
    tx.execute(delete(table).where(_of(config.key)))
    kept = {
        "publishers": config.publishers,
        "policy": config.policy,
        "description": config.description,
        "last_modified": config.last_modified,
        "tags": dict(config.tags),
    }
    tx.execute(insert(table).values(**dataclasses.asdict(config.key), configuration=json.dumps(kept)))


def remove(tx: Transaction, key: CodeSigningKey) -> None:
    tx.execute(delete(table).where(_of(key)))


def functions_with(tx: Transaction, key: CodeSigningKey, *, after: str, limit: int) -> list[FunctionKey]:
    """Functions that have this configuration, by name; those after `after`."""
    query = select(function_options).where(
        function_options.c.code_signing_config == key.arn, function_options.c.name > after
    )
    found = tx.execute(query.order_by(function_options.c.name).limit(limit))
    return [FunctionKey(row.account, row.region, row.name) for row in found]


def _of(key: CodeSigningKey) -> ColumnElement[bool]:
    return (table.c.account == key.account) & (table.c.region == key.region) & (table.c.id == key.id)


def _to_config(row: Row[Any]) -> CodeSigningConfig:
    kept: dict[str, Any] = json.loads(row.configuration)
    kept["publishers"] = tuple(kept["publishers"])
    return CodeSigningConfig(key=CodeSigningKey(row.account, row.region, row.id), **kept)
