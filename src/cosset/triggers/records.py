"""Event source mappings as rows. Decides nothing; read next: mappings.py."""

import dataclasses
import json
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.sql.elements import ColumnElement

from cosset.functions.names import parse_reference
from cosset.store.database import Transaction
from cosset.triggers.model import EventSourceMapping, MappingSettings
from cosset.triggers.tables import TOPIC, checkpoints, progress
from cosset.triggers.tables import event_source_mappings as table

DELETING = "Deleting"
_SHOWN = select(table, progress.c.result).outerjoin(progress, progress.c.uuid == table.c.uuid)
_LISTS = ("filters", "response_types", "metrics")


def read(tx: Transaction, account: str, region: str, uuid: str, *, now_ms: int) -> EventSourceMapping | None:
    row = tx.execute(_SHOWN.where(_of(account, region), table.c.uuid == uuid, _is_there(now_ms))).first()
    return None if row is None else _to_mapping(row)


def read_all(
    tx: Transaction,
    account: str,
    region: str,
    *,
    now_ms: int,
    source_arn: str | None = None,
    function_arn: str | None = None,
    after: str = "",
    limit: int | None = None,
) -> list[EventSourceMapping]:
    """By UUID; those after `after`, of one source or function where that is given."""
    query = _SHOWN.where(_of(account, region), table.c.uuid > after, _is_there(now_ms))
    if source_arn is not None:
        query = query.where(table.c.source_arn == source_arn)
    if function_arn is not None:
        query = query.where(table.c.function_arn == function_arn)
    return [_to_mapping(row) for row in tx.execute(query.order_by(table.c.uuid).limit(limit))]


def write(tx: Transaction, mapping: EventSourceMapping) -> None:
    tx.execute(delete(table).where(_of(mapping.account, mapping.region), table.c.uuid == mapping.uuid))
    tx.execute(
        insert(table).values(
            account=mapping.account,
            region=mapping.region,
            uuid=mapping.uuid,
            source_arn=mapping.source_arn,
            function_arn=mapping.function.arn,
            enabled=mapping.enabled,
            transition=mapping.transition,
            settles_at_ms=mapping.settles_at_ms,
            modified_ms=mapping.modified_ms,
            settings=json.dumps(dataclasses.asdict(mapping.settings)),
            tags=json.dumps(dict(mapping.tags)),
        )
    )
    tx.announce(TOPIC, mapping.uuid)


def read_every(tx: Transaction, *, now_ms: int) -> list[EventSourceMapping]:
    """Of every account and region."""
    return [_to_mapping(row) for row in tx.execute(_SHOWN.where(_is_there(now_ms)))]


def forget_deleted(tx: Transaction, now_ms: int) -> None:
    """Takes away the rows of mappings that are gone, and what was kept of their work."""
    gone = (table.c.transition == DELETING) & (table.c.settles_at_ms <= now_ms)
    for kept in (checkpoints, progress):
        tx.execute(delete(kept).where(kept.c.uuid.in_(select(table.c.uuid).where(gone))))
    tx.execute(delete(table).where(gone))


def _of(account: str, region: str) -> ColumnElement[bool]:
    return (table.c.account == account) & (table.c.region == region)


def _is_there(now_ms: int) -> ColumnElement[bool]:
    return (table.c.transition != DELETING) | (table.c.settles_at_ms > now_ms)


def _to_mapping(row: Row[Any]) -> EventSourceMapping:
    settings: dict[str, Any] = json.loads(row.settings)
    for name in _LISTS:
        settings[name] = None if settings[name] is None else tuple(settings[name])
    return EventSourceMapping(
        account=row.account,
        region=row.region,
        uuid=row.uuid,
        source_arn=row.source_arn,
        function=parse_reference(row.function_arn, None, account=row.account, region=row.region),
        settings=MappingSettings(**settings),
        enabled=row.enabled,
        transition=row.transition,
        settles_at_ms=row.settles_at_ms,
        modified_ms=row.modified_ms,
        tags=json.loads(row.tags),
        last_result=row.result or "",
    )
