"""Export tasks in the database. Runs inside the caller's transactions. What has ended is forgotten some time later."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, and_, delete, insert, or_, select, update

from cosset.services.logs.export_ports import Exporter
from cosset.services.logs.tables import log_export_tasks as table
from cosset.store.transaction import Transaction

KEPT_MS = 30 * 24 * 3600 * 1000
"""How long a task that ended is still shown."""


class Status(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PENDING_CANCEL = "PENDING_CANCEL"
    CANCELLED = "CANCELLED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


ACTIVE = (Status.PENDING, Status.RUNNING, Status.PENDING_CANCEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTask:
    id: str
    account: str
    region: str
    name: str | None
    log_group: str
    stream_prefix: str
    from_ms: int
    to_ms: int
    bucket: str
    prefix: str
    status: Status
    message: str
    created_ms: int
    completed_ms: int | None = None

    @property
    def exporter(self) -> Exporter:
        return Exporter(self.account, self.region, self.log_group, self.id)


def add_task(tx: Transaction, task: ExportTask) -> None:
    tx.execute(delete(table).where(table.c.completed_ms < task.created_ms - KEPT_MS))
    tx.execute(insert(table).values(**asdict(task)))


def find_task(tx: Transaction, task_id: str) -> ExportTask | None:
    row = tx.execute(select(table).where(table.c.id == task_id)).one_or_none()
    return None if row is None else _task(row)


def has_active(tx: Transaction, account: str, region: str) -> bool:
    query = select(table.c.id).where(table.c.account == account, table.c.region == region)
    return tx.execute(query.where(table.c.status.in_(ACTIVE)).limit(1)).first() is not None


def list_tasks(
    tx: Transaction, account: str, region: str, *, status: str | None, after: tuple[int, str] | None, limit: int
) -> list[ExportTask]:
    """The newest first; `after` is the time and the id of the last one already seen."""
    query = select(table).where(table.c.account == account, table.c.region == region)
    if status is not None:
        query = query.where(table.c.status == status)
    if after is not None:
        created_ms, task_id = after
        same = and_(table.c.created_ms == created_ms, table.c.id < task_id)
        query = query.where(or_(table.c.created_ms < created_ms, same))
    rows = tx.execute(query.order_by(table.c.created_ms.desc(), table.c.id.desc()).limit(limit))
    return [_task(row) for row in rows]


def move_task(tx: Transaction, task_id: str, status: Status, message: str, *, completed_ms: int | None = None) -> None:
    values = {"status": status, "message": message, "completed_ms": completed_ms}
    tx.execute(update(table).where(table.c.id == task_id).values(**values))


def _task(row: Row[Any]) -> ExportTask:
    values = dict(row._mapping)
    return ExportTask(**{**values, "status": Status(values["status"])})
