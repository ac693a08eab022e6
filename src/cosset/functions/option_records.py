"""Rows of what belongs to a whole function and few functions have set. Read next: model.FunctionOptions."""

import dataclasses
from typing import Any

from sqlalchemy import delete, insert, select

from cosset.functions.model import FunctionKey, FunctionOptions
from cosset.functions.records import at_function, named, of_function
from cosset.functions.tables import function_options as table
from cosset.store.database import Transaction
from cosset.store.prepared import Prepared

_OPTIONS = Prepared(select(table).where(at_function(table)))


def read(tx: Transaction, key: FunctionKey) -> FunctionOptions:
    """AWS's defaults for a function that has set none."""
    row = tx.run(_OPTIONS, named(key)).first()
    if row is None:
        return FunctionOptions()
    return FunctionOptions(row.recursive_loop, row.code_signing_config)


def change(tx: Transaction, key: FunctionKey, **changes: Any) -> None:
    """Sets these fields of FunctionOptions, keeps the others."""
    options = dataclasses.replace(read(tx, key), **changes)
    tx.execute(delete(table).where(of_function(table, key)))
    tx.execute(insert(table).values(**dataclasses.asdict(key), **dataclasses.asdict(options)))
