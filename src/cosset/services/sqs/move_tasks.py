"""Message move tasks: what stands in a dead-letter queue goes back, or to another queue, at a rate.

A step moves some messages and counts them in one transaction, so a task goes on exactly where it was when its node
died. One node at a time is at a task: it holds it for a while with every step. Next: move_steps.py.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, insert, select, update

from cosset.clock import Clock
from cosset.services.sqs.errors import invalid_parameter, not_found
from cosset.services.sqs.tables import MOVES, move_tasks
from cosset.store.database import Store, Transaction

RUNNING, COMPLETED, CANCELLED, FAILED = "RUNNING", "COMPLETED", "CANCELLED", "FAILED"
_KEPT = 10
"""Tasks of a source that AWS lists at most; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class MoveTask:
    """`destination_arn` None: every message goes where it came from. `per_second` None: as fast as it can."""

    id: str
    source_arn: str
    destination_arn: str | None
    status: str
    started_ms: int
    per_second: int | None
    moved: int
    to_move: int
    failure: str | None

    @property
    def handle(self) -> str:
        text = json.dumps({"taskId": self.id, "sourceArn": self.source_arn})
        return base64.b64encode(text.encode()).decode()


class MoveTasks:
    """The records of tasks."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def start(
        self, source_arn: str, destination_arn: str | None, per_second: int | None, to_move: int
    ) -> MoveTask:
        """Raises ServiceError InvalidParameterValue: one is running."""
        now = self._clock.now_ms()
        task = MoveTask(str(uuid4()), source_arn, destination_arn, RUNNING, now, per_second, 0, to_move, None)

        def work(tx: Transaction) -> None:
            if any(each.status == RUNNING for each in _of_source(tx, source_arn)):
                raise invalid_parameter(
                    "There is already a task running. Only one active task is allowed for a source queue arn at a "
                    "given time."
                )
            _forget_oldest(tx, source_arn)
            row = {
                "id": task.id,
                "source_arn": source_arn,
                "destination_arn": destination_arn,
                "status": RUNNING,
                "started_ms": now,
                "per_second": per_second,
                "moved": 0,
                "to_move": to_move,
                "failure": None,
                "next_ms": now,
                "owner": None,
                "owned_until_ms": 0,
            }
            tx.execute(insert(move_tasks), row)
            tx.announce(MOVES, task.id)

        await self._store.write(work)
        return task

    async def list_tasks(self, source_arn: str, limit: int) -> list[MoveTask]:
        """The newest first."""
        return await self._store.read(lambda tx: _of_source(tx, source_arn)[:limit])

    async def cancel(self, task_id: str, source_arn: str) -> int:
        """How many messages it has moved. Raises ServiceError: there is no such task, or it is not running."""

        def work(tx: Transaction) -> int:
            task = next((each for each in _of_source(tx, source_arn) if each.id == task_id), None)
            if task is None:
                raise not_found("Task does not exist.")
            if task.status != RUNNING:
                raise invalid_parameter("Only active tasks can be cancelled.")
            tx.execute(update(move_tasks).where(move_tasks.c.id == task_id).values(status=CANCELLED))
            return task.moved

        return await self._store.write(work)


def read_handle(handle: str) -> tuple[str, str]:
    """Task id and source ARN. Raises ServiceError InvalidParameterValue."""
    try:
        read: Any = json.loads(base64.b64decode(handle, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        read = None
    if not isinstance(read, dict) or not all(isinstance(read.get(name), str) for name in ("taskId", "sourceArn")):
        raise invalid_parameter("Value for parameter TaskHandle is invalid.")
    return read["taskId"], read["sourceArn"]


def running(tx: Transaction) -> list[MoveTask]:
    return [task_of(row) for row in tx.execute(select(move_tasks).where(move_tasks.c.status == RUNNING))]


def task_of(row: Row[Any]) -> MoveTask:
    return MoveTask(
        row.id,
        row.source_arn,
        row.destination_arn,
        row.status,
        row.started_ms,
        row.per_second,
        row.moved,
        row.to_move,
        row.failure,
    )


def _of_source(tx: Transaction, source_arn: str) -> list[MoveTask]:
    statement = (
        select(move_tasks)
        .where(move_tasks.c.source_arn == source_arn)
        .order_by(move_tasks.c.started_ms.desc(), move_tasks.c.id)
    )
    return [task_of(row) for row in tx.execute(statement)]


def _forget_oldest(tx: Transaction, source_arn: str) -> None:
    for task in _of_source(tx, source_arn)[_KEPT - 1 :]:
        tx.execute(move_tasks.delete().where(move_tasks.c.id == task.id))
