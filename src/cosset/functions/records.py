"""Functions and versions as rows: short functions of a transaction. What else belongs to a function has a module of its
own (alias_records.py, policy_records.py ...).

Decides nothing: what is allowed is the registry's to say. `announce` tells the caches of every node.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Row, Table, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from cosset.functions.model import (
    LATEST,
    Code,
    FunctionKey,
    FunctionSettings,
    FunctionState,
    FunctionVersion,
    LayerUse,
    LoggingConfig,
    UpdateStatus,
)
from cosset.functions.tables import (
    activity,
    aliases,
    event_invoke_configs,
    function_options,
    functions,
    layer_uses,
    policy_heads,
    provisioned_configs,
    statements,
    versions,
)
from cosset.functions.url_tables import function_urls
from cosset.store.database import Transaction
from cosset.store.prepared import Prepared

TOPIC = "lambda.function"
CONCURRENCY_TOPIC = "lambda.concurrency"
"""Keyed by account and region: the shares of functions in the account's concurrency have changed."""

# Fields of FunctionVersion that have a column of their own, and so are not in the JSON text.
_OWN_COLUMNS = frozenset({"key", "version", "state", "last_update_status", "revision_id", "code", "logging", "layers"})
_PLAIN_FIELDS = tuple(field.name for field in dataclasses.fields(FunctionVersion) if field.name not in _OWN_COLUMNS)


def announce(tx: Transaction, key: FunctionKey) -> None:
    tx.announce(TOPIC, topic_key(key))


def announce_concurrency(tx: Transaction, key: FunctionKey) -> None:
    """What all functions of the account may run has changed, not only this one."""
    announce(tx, key)
    tx.announce(CONCURRENCY_TOPIC, account_key(key.account, key.region))


def topic_key(key: FunctionKey) -> str:
    return f"{account_key(key.account, key.region)}{key.name}"


def account_key(account: str, region: str) -> str:
    """What the topic keys of all functions of an account in a region begin with."""
    return f"{account}/{region}/"


# -- functions ---------------------------------------------------------------------------------------------------------


def read_settings(tx: Transaction, key: FunctionKey) -> FunctionSettings | None:
    row = tx.run(_SETTINGS, named(key)).first()
    if row is None:
        return None
    return FunctionSettings(key, json.loads(row.tags), row.reserved_concurrency)


def insert_function(tx: Transaction, key: FunctionKey, tags: Mapping[str, str]) -> None:
    tx.execute(
        insert(functions).values(
            account=key.account, region=key.region, name=key.name, next_version=1, tags=json.dumps(dict(tags))
        )
    )


def write_tags(tx: Transaction, key: FunctionKey, tags: Mapping[str, str]) -> None:
    tx.execute(update(functions).where(of_function(functions, key)).values(tags=json.dumps(dict(tags))))


def write_reserved_concurrency(tx: Transaction, key: FunctionKey, reserved: int | None) -> None:
    tx.execute(update(functions).where(of_function(functions, key)).values(reserved_concurrency=reserved))


def take_version_number(tx: Transaction, key: FunctionKey) -> int:
    """The next number; never given twice, even when versions are deleted."""
    number = tx.execute(select(functions.c.next_version).where(of_function(functions, key))).scalar_one()
    tx.execute(update(functions).where(of_function(functions, key)).values(next_version=number + 1))
    return int(number)


def delete_function(tx: Transaction, key: FunctionKey) -> bool:
    """With everything that belongs to it. False when there was none."""
    belongings = (
        versions,
        aliases,
        activity,
        statements,
        policy_heads,
        layer_uses,
        event_invoke_configs,
        provisioned_configs,
        function_options,
        function_urls,
    )
    for table in belongings:
        tx.execute(delete(table).where(of_function(table, key)))
    return bool(tx.execute(delete(functions).where(of_function(functions, key))).rowcount)


def count_functions(tx: Transaction, account: str, region: str) -> tuple[int, int]:
    """How many functions there are, and the bytes of all their packages, versions included."""
    count = tx.execute(
        select(func.count()).select_from(functions).where(functions.c.account == account, functions.c.region == region)
    ).scalar_one()
    size = tx.execute(
        select(func.sum(versions.c.code_size)).where(versions.c.account == account, versions.c.region == region)
    ).scalar()
    return int(count), int(size or 0)


# -- versions ----------------------------------------------------------------------------------------------------------


def read_version(tx: Transaction, key: FunctionKey, version: str = LATEST) -> FunctionVersion | None:
    row = tx.run(_VERSION, named(key) | {"of_version": version}).first()
    return None if row is None else _to_version(row)


def read_versions(
    tx: Transaction, key: FunctionKey, *, after: int = -1, limit: int | None = None
) -> list[FunctionVersion]:
    """In the order of their numbers, `$LATEST` first; those whose number is greater than `after`."""
    query = select(versions).where(of_function(versions, key), versions.c.number > after).order_by(versions.c.number)
    return [_to_version(row) for row in tx.execute(query.limit(limit))]


def read_last_published(tx: Transaction, key: FunctionKey) -> FunctionVersion | None:
    query = select(versions).where(of_function(versions, key), versions.c.number > 0).order_by(versions.c.number.desc())
    row = tx.execute(query.limit(1)).first()
    return None if row is None else _to_version(row)


def list_versions(
    tx: Transaction, account: str, region: str, *, everything: bool, after: tuple[str, int] | None, limit: int
) -> list[FunctionVersion]:
    """Of all functions, by name and number; only `$LATEST` unless `everything`."""
    query = select(versions).where(versions.c.account == account, versions.c.region == region)
    if not everything:
        query = query.where(versions.c.number == 0)
    if after is not None:
        name, number = after
        query = query.where((versions.c.name > name) | and_(versions.c.name == name, versions.c.number > number))
    return [_to_version(row) for row in tx.execute(query.order_by(versions.c.name, versions.c.number).limit(limit))]


def insert_version(tx: Transaction, version: FunctionVersion) -> None:
    tx.execute(insert(versions).values(**_identity(version), **_values(version)))
    _insert_layer_uses(tx, version)


def write_version(tx: Transaction, version: FunctionVersion) -> None:
    tx.execute(
        update(versions)
        .where(of_function(versions, version.key), versions.c.version == version.version)
        .values(**_values(version))
    )
    _delete_layer_uses(tx, version.key, version.version)
    _insert_layer_uses(tx, version)


def delete_version(tx: Transaction, key: FunctionKey, version: str) -> bool:
    delete_qualified(tx, key, version)
    _delete_layer_uses(tx, key, version)
    result = tx.execute(delete(versions).where(of_function(versions, key), versions.c.version == version))
    return bool(result.rowcount)


def _insert_layer_uses(tx: Transaction, version: FunctionVersion) -> None:
    for position, layer in enumerate(version.layers):
        tx.execute(
            insert(layer_uses).values(
                account=version.key.account,
                region=version.key.region,
                name=version.key.name,
                version=version.version,
                position=position,
                code_digest=layer.digest,
            )
        )


def _delete_layer_uses(tx: Transaction, key: FunctionKey, version: str) -> None:
    tx.execute(delete(layer_uses).where(of_function(layer_uses, key), layer_uses.c.version == version))


def unsettled_keys(tx: Transaction) -> list[FunctionKey]:
    """Functions that a stop caught between two states."""
    query = (
        select(versions.c.account, versions.c.region, versions.c.name)
        .where(
            (versions.c.state == FunctionState.PENDING.value)
            | (versions.c.last_update_status == UpdateStatus.IN_PROGRESS.value)
        )
        .distinct()
    )
    return [FunctionKey(row.account, row.region, row.name) for row in tx.execute(query)]


def delete_qualified(tx: Transaction, key: FunctionKey, qualifier: str) -> None:
    """What belongs to one version or alias goes with it."""
    for table in (statements, policy_heads, event_invoke_configs, provisioned_configs):
        tx.execute(delete(table).where(of_function(table, key), table.c.qualifier == qualifier))


# -- rows and values ---------------------------------------------------------------------------------------------------


def of_function(table: Table, key: FunctionKey) -> ColumnElement[bool]:
    """The rows of a function, in any table that has them."""
    return and_(table.c.account == key.account, table.c.region == key.region, table.c.name == key.name)


def at_function(table: Table) -> ColumnElement[bool]:
    """The same in a `Prepared`, whose parameters `named` gives."""
    columns = table.c
    return and_(
        columns.account == bindparam("of_account"),
        columns.region == bindparam("of_region"),
        columns.name == bindparam("of_name"),
    )


def named(key: FunctionKey) -> dict[str, Any]:
    return {"of_account": key.account, "of_region": key.region, "of_name": key.name}


# What every cold start reads.
_SETTINGS = Prepared(select(functions).where(at_function(functions)))
_VERSION = Prepared(select(versions).where(at_function(versions), versions.c.version == bindparam("of_version")))


def _identity(version: FunctionVersion) -> dict[str, Any]:
    return {
        "account": version.key.account,
        "region": version.key.region,
        "name": version.key.name,
        "version": version.version,
        "number": version.number,
    }


def _values(version: FunctionVersion) -> dict[str, Any]:
    configuration: dict[str, Any] = {name: _plain(getattr(version, name)) for name in _PLAIN_FIELDS}
    configuration["code_sha256"] = version.code.sha256
    configuration["logging"] = dataclasses.asdict(version.logging)
    configuration["layers"] = [dataclasses.asdict(layer) for layer in version.layers]
    status = version.last_update_status
    return {
        "state": version.state.value,
        "last_update_status": None if status is None else status.value,
        "revision_id": version.revision_id,
        "code_digest": version.code.digest,
        "code_size": version.code.size_bytes,
        "configuration": json.dumps(configuration),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def _to_version(row: Row[Any]) -> FunctionVersion:
    configuration: dict[str, Any] = json.loads(row.configuration)
    plain = {name: configuration[name] for name in _PLAIN_FIELDS if name in configuration}
    plain["architectures"] = tuple(plain["architectures"])
    status = row.last_update_status
    return FunctionVersion(
        key=FunctionKey(row.account, row.region, row.name),
        version=row.version,
        code=Code(row.code_digest, configuration["code_sha256"], row.code_size),
        logging=LoggingConfig(**configuration["logging"]),
        layers=tuple(LayerUse(**layer) for layer in configuration["layers"]),
        revision_id=row.revision_id,
        state=FunctionState(row.state),
        last_update_status=None if status is None else UpdateStatus(status),
        **plain,
    )
