"""Event-invoke configs as rows. Decides nothing; read next: event_invoke.py."""

import dataclasses
from typing import Any

from sqlalchemy import Row, delete, insert, select

from cosset.functions.model import EventInvokeConfig, FunctionKey
from cosset.functions.records import of_function
from cosset.functions.tables import event_invoke_configs as table
from cosset.store.database import Transaction

_SETTINGS = ("max_retries", "max_age_s", "on_success", "on_failure", "modified_ms")


def read(tx: Transaction, key: FunctionKey, qualifier: str) -> EventInvokeConfig | None:
    row = tx.execute(select(table).where(of_function(table, key), table.c.qualifier == qualifier)).first()
    return None if row is None else _to_config(row)


def read_all(tx: Transaction, key: FunctionKey, *, after: str, limit: int) -> list[EventInvokeConfig]:
    """By qualifier; those after `after`."""
    query = select(table).where(of_function(table, key), table.c.qualifier > after).order_by(table.c.qualifier)
    return [_to_config(row) for row in tx.execute(query.limit(limit))]


def write(tx: Transaction, config: EventInvokeConfig) -> None:
    remove(tx, config.key, config.qualifier)
    values = {name: getattr(config, name) for name in _SETTINGS}
    tx.execute(insert(table).values(**dataclasses.asdict(config.key), qualifier=config.qualifier, **values))


def remove(tx: Transaction, key: FunctionKey, qualifier: str) -> bool:
    """False when there was none."""
    found = tx.execute(delete(table).where(of_function(table, key), table.c.qualifier == qualifier))
    return bool(found.rowcount)


def _to_config(row: Row[Any]) -> EventInvokeConfig:
    settings = {name: getattr(row, name) for name in _SETTINGS}
    return EventInvokeConfig(key=FunctionKey(row.account, row.region, row.name), qualifier=row.qualifier, **settings)
