"""The shares that functions have in their account's concurrency, as rows: reserved, and provisioned.

Decides nothing; read next: concurrency.py, provisioned.py.
"""

import dataclasses
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, func, insert, select

from cosset.functions.model import FunctionKey, ProvisionedConfig
from cosset.functions.records import at_function, named, of_function
from cosset.functions.tables import functions
from cosset.functions.tables import provisioned_configs as table
from cosset.store.database import Transaction
from cosset.store.prepared import Prepared

# What every cold start reads. No function's name is empty: so nothing is left out.
_PROVISIONED = Prepared(select(func.sum(table.c.requested)).where(at_function(table)))
_RESERVED = Prepared(
    select(func.sum(functions.c.reserved_concurrency)).where(
        functions.c.account == bindparam("of_account"),
        functions.c.region == bindparam("of_region"),
        functions.c.name != bindparam("but"),
    )
)
_SAME_FUNCTION = and_(
    functions.c.account == table.c.account, functions.c.region == table.c.region, functions.c.name == table.c.name
)
_PROVISIONED_BESIDE = Prepared(
    select(func.sum(table.c.requested))
    .select_from(table.join(functions, _SAME_FUNCTION))
    .where(
        table.c.account == bindparam("of_account"),
        table.c.region == bindparam("of_region"),
        functions.c.reserved_concurrency.is_(None),
        table.c.name != bindparam("but"),
    )
)


def read(tx: Transaction, key: FunctionKey, qualifier: str) -> ProvisionedConfig | None:
    row = tx.execute(select(table).where(of_function(table, key), table.c.qualifier == qualifier)).first()
    return None if row is None else _to_config(row)


def read_of(tx: Transaction, key: FunctionKey, *, after: str = "", limit: int | None = None) -> list[ProvisionedConfig]:
    """Of one function by qualifier; those after `after`."""
    query = select(table).where(of_function(table, key), table.c.qualifier > after).order_by(table.c.qualifier)
    return [_to_config(row) for row in tx.execute(query.limit(limit))]


def read_all(tx: Transaction) -> list[ProvisionedConfig]:
    """Of every function here."""
    return [_to_config(row) for row in tx.execute(select(table))]


def write(tx: Transaction, config: ProvisionedConfig) -> None:
    remove(tx, config.key, config.qualifier)
    tx.execute(
        insert(table).values(
            **dataclasses.asdict(config.key),
            qualifier=config.qualifier,
            requested=config.requested,
            modified_ms=config.modified_ms,
        )
    )


def remove(tx: Transaction, key: FunctionKey, qualifier: str) -> None:
    tx.execute(delete(table).where(of_function(table, key), table.c.qualifier == qualifier))


def sum_provisioned(tx: Transaction, key: FunctionKey, but: str | None = None) -> int:
    """Of one function, one qualifier's left out."""
    if but is None:
        return int(tx.run(_PROVISIONED, named(key)).scalar() or 0)
    query = select(func.sum(table.c.requested)).where(of_function(table, key), table.c.qualifier != but)
    return int(tx.execute(query).scalar() or 0)


def sum_reserved(tx: Transaction, account: str, region: str, but: FunctionKey | None = None) -> int:
    """Of all functions of an account, one left out."""
    left_out = "" if but is None else but.name
    return int(tx.run(_RESERVED, _place(account, region) | {"but": left_out}).scalar() or 0)


def sum_set_aside(tx: Transaction, account: str, region: str, but: FunctionKey | None = None) -> int:
    """What the functions without a share of their own cannot have: all that is reserved, and what is provisioned by
    functions that have reserved nothing (of the others it is part of what they reserved)."""
    left_out = "" if but is None else but.name
    provisioned = tx.run(_PROVISIONED_BESIDE, _place(account, region) | {"but": left_out}).scalar()
    return sum_reserved(tx, account, region, but) + int(provisioned or 0)


def _place(account: str, region: str) -> dict[str, str]:
    return {"of_account": account, "of_region": region}


def _to_config(row: Row[Any]) -> ProvisionedConfig:
    key = FunctionKey(row.account, row.region, row.name)
    return ProvisionedConfig(key, row.qualifier, row.requested, row.modified_ms)
