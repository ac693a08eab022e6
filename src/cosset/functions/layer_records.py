"""Layers as rows: short functions of a transaction. Decides nothing; read next: layers.py."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, Table, and_, delete, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from cosset.functions.model import Code
from cosset.functions.tables import layer_statements, layer_versions, layers
from cosset.store.database import Transaction


@dataclass(frozen=True, slots=True)
class LayerKey:
    """Where a layer lives."""

    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:layer:{self.name}"

    def version_arn(self, number: int) -> str:
        return f"{self.arn}:{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerVersion:
    """One version of a layer, which never changes. None is unset, which AWS omits. `revision_id` is its policy's."""

    key: LayerKey
    number: int
    code: Code
    description: str
    created: str
    runtimes: tuple[str, ...] | None = None
    architectures: tuple[str, ...] | None = None
    license_info: str | None = None
    revision_id: str | None = field(default=None, compare=False)

    @property
    def arn(self) -> str:
        return self.key.version_arn(self.number)


def take_number(tx: Transaction, key: LayerKey) -> int:
    """The next number; never given twice, even when versions are deleted."""
    number = tx.execute(select(layers.c.next_version).where(_of(layers, key))).scalar()
    if number is None:
        tx.execute(insert(layers).values(account=key.account, region=key.region, name=key.name, next_version=2))
        return 1
    tx.execute(update(layers).where(_of(layers, key)).values(next_version=number + 1))
    return int(number)


def insert_version(tx: Transaction, layer: LayerVersion) -> None:
    configuration = {
        "description": layer.description,
        "created": layer.created,
        "runtimes": layer.runtimes,
        "architectures": layer.architectures,
        "license_info": layer.license_info,
        "code_sha256": layer.code.sha256,
    }
    tx.execute(
        insert(layer_versions).values(
            account=layer.key.account,
            region=layer.key.region,
            name=layer.key.name,
            number=layer.number,
            code_digest=layer.code.digest,
            code_size=layer.code.size_bytes,
            configuration=json.dumps(configuration),
        )
    )


def read_version(tx: Transaction, key: LayerKey, number: int) -> LayerVersion | None:
    row = tx.execute(select(layer_versions).where(_of_version(layer_versions, key, number))).first()
    return None if row is None else _to_layer(row)


def read_versions(tx: Transaction, key: LayerKey, *, below: int | None) -> list[LayerVersion]:
    """The newest first; those whose number is less than `below`."""
    query = select(layer_versions).where(_of(layer_versions, key)).order_by(layer_versions.c.number.desc())
    if below is not None:
        query = query.where(layer_versions.c.number < below)
    return [_to_layer(row) for row in tx.execute(query)]


def read_all(tx: Transaction, account: str, region: str, *, after: str) -> list[LayerVersion]:
    """Every version of every layer whose name comes after `after`: by name, the newest first."""
    query = (
        select(layer_versions)
        .where(layer_versions.c.account == account, layer_versions.c.region == region, layer_versions.c.name > after)
        .order_by(layer_versions.c.name, layer_versions.c.number.desc())
    )
    return [_to_layer(row) for row in tx.execute(query)]


def delete_version(tx: Transaction, key: LayerKey, number: int) -> None:
    tx.execute(delete(layer_statements).where(_of_version(layer_statements, key, number)))
    tx.execute(delete(layer_versions).where(_of_version(layer_versions, key, number)))


def write_revision(tx: Transaction, layer: LayerVersion, revision_id: str) -> None:
    tx.execute(
        update(layer_versions)
        .where(_of_version(layer_versions, layer.key, layer.number))
        .values(revision_id=revision_id)
    )


def sum_sizes(tx: Transaction, account: str, region: str) -> int:
    total = select(func.sum(layer_versions.c.code_size)).where(
        layer_versions.c.account == account, layer_versions.c.region == region
    )
    return int(tx.execute(total).scalar() or 0)


def read_statements(tx: Transaction, key: LayerKey, number: int) -> list[dict[str, Any]]:
    query = (
        select(layer_statements.c.statement)
        .where(_of_version(layer_statements, key, number))
        .order_by(layer_statements.c.position)
    )
    return [json.loads(row.statement) for row in tx.execute(query)]


def insert_statement(tx: Transaction, key: LayerKey, number: int, statement: Mapping[str, Any]) -> None:
    last = select(func.max(layer_statements.c.position)).where(_of_version(layer_statements, key, number))
    tx.execute(
        insert(layer_statements).values(
            **dataclasses.asdict(key),
            number=number,
            sid=statement["Sid"],
            position=(tx.execute(last).scalar() or 0) + 1,
            statement=json.dumps(statement),
        )
    )


def delete_statement(tx: Transaction, key: LayerKey, number: int, sid: str) -> bool:
    result = tx.execute(
        delete(layer_statements).where(_of_version(layer_statements, key, number), layer_statements.c.sid == sid)
    )
    return bool(result.rowcount)


def _of(table: Table, key: LayerKey) -> ColumnElement[bool]:
    return and_(table.c.account == key.account, table.c.region == key.region, table.c.name == key.name)


def _of_version(table: Table, key: LayerKey, number: int) -> ColumnElement[bool]:
    return and_(_of(table, key), table.c.number == number)


def _to_layer(row: Row[Any]) -> LayerVersion:
    kept: dict[str, Any] = json.loads(row.configuration)
    return LayerVersion(
        key=LayerKey(row.account, row.region, row.name),
        number=row.number,
        code=Code(row.code_digest, kept["code_sha256"], row.code_size),
        description=kept["description"],
        created=kept["created"],
        runtimes=None if kept["runtimes"] is None else tuple(kept["runtimes"]),
        architectures=None if kept["architectures"] is None else tuple(kept["architectures"]),
        license_info=kept["license_info"],
        revision_id=row.revision_id,
    )
