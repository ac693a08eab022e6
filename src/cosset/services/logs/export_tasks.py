"""The operations on export tasks: a log group's events of a span of time become objects in a bucket.

The bucket's policy must let `logs.amazonaws.com` in, and is asked when the task is made and for each object. One task
of an account runs at a time in a region, as on AWS. Read next: export_worker.py.
"""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from cosset.clock import Clock
from cosset.identity.ports import Requirement
from cosset.observe.causes import StepKind
from cosset.services.logs.errors import invalid_parameter
from cosset.services.logs.export_book import (
    ACTIVE,
    ExportTask,
    Status,
    add_task,
    find_task,
    has_active,
    list_tasks,
    move_task,
)
from cosset.services.logs.export_ports import BucketRefusedError, ExportBuckets
from cosset.services.logs.groups import need_group
from cosset.services.logs.names import on_all_groups, on_group
from cosset.services.logs.places import TEST_OBJECT
from cosset.services.logs.tokens import read_cursor, write_token
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction
from cosset.store.queue import DurableQueue
from cosset.wire.errors import ServiceError

_DEFAULT_PREFIX = "exportedlogs"
_DEFAULT_LIMIT = 50
_CANCELLED = "Cancelled by the user"


def _on_create(ctx: Context, params: Params) -> Sequence[Requirement]:
    """Who asks for an export must be allowed to write there too: the right of CloudWatch Logs is not lent."""
    place = f"{params['destination']}/{params.get('destinationPrefix') or _DEFAULT_PREFIX}/{TEST_OBJECT}"
    return [*on_group("CreateExportTask")(ctx, params), Requirement("s3:PutObject", f"arn:aws:s3:::{place}")]


class LogExports:
    def __init__(self, store: Store, queue: DurableQueue, buckets: ExportBuckets, clock: Clock) -> None:
        self._store = store
        self._queue = queue
        self._buckets = buckets
        self._clock = clock

    @operation("CreateExportTask", _on_create)
    async def create_export_task(self, ctx: Context, params: Params) -> Result:
        group, task_id = params["logGroupName"], str(uuid4())
        if params["from"] >= params["to"]:
            raise invalid_parameter("Invalid time range: from must be less than to.")
        task = ExportTask(
            id=task_id,
            account=ctx.account,
            region=ctx.region,
            name=params.get("taskName"),
            log_group=group,
            stream_prefix=params.get("logStreamNamePrefix", ""),
            from_ms=params["from"],
            to_ms=params["to"],
            bucket=params["destination"],
            prefix=params.get("destinationPrefix") or _DEFAULT_PREFIX,
            status=Status.PENDING,
            message="Task is pending",
            created_ms=self._clock.now_ms(),
        )
        await self._store.read(lambda tx: need_group(tx, ctx, group))
        try:
            await self._buckets.check(task.bucket, task.prefix, task.exporter)
        except BucketRefusedError as error:
            raise invalid_parameter(str(error)) from error

        def work(tx: Transaction) -> None:
            need_group(tx, ctx, group)
            if has_active(tx, ctx.account, ctx.region):
                raise ServiceError("LimitExceededException", "Resource limit exceeded.")
            add_task(tx, task)
            self._queue.send(tx, task_id.encode())

        await self._store.write(work)
        ctx.led_to(StepKind.EXPORT, task_id, task.exporter.source_arn)
        return {"taskId": task_id}

    @operation("DescribeExportTasks", on_all_groups("DescribeExportTasks"))
    async def describe_export_tasks(self, ctx: Context, params: Params) -> Result:
        if "taskId" in params:
            found = await self._store.read(lambda tx: _find_own(tx, ctx, params["taskId"]))
            return {"exportTasks": [] if found is None else [_shown(found)]}
        after = read_cursor(params["nextToken"]) if "nextToken" in params else None
        limit, status = params.get("limit", _DEFAULT_LIMIT), params.get("statusCode")
        tasks = await self._store.read(
            lambda tx: list_tasks(tx, ctx.account, ctx.region, status=status, after=after, limit=limit + 1)
        )
        shown = tasks[:limit]
        result: Result = {"exportTasks": [_shown(task) for task in shown]}
        if len(tasks) > limit:
            result["nextToken"] = write_token([shown[-1].created_ms, shown[-1].id])
        return result

    @operation("CancelExportTask", on_all_groups("CancelExportTask"))
    async def cancel_export_task(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            task = _find_own(tx, ctx, params["taskId"])
            if task is None:
                raise ServiceError("ResourceNotFoundException", "The specified export task does not exist.")
            if task.status not in ACTIVE:
                raise ServiceError("InvalidOperationException", "The specified export task has already finished.")
            if task.status is Status.PENDING:
                move_task(tx, task.id, Status.CANCELLED, _CANCELLED, completed_ms=self._clock.now_ms())
            else:
                move_task(tx, task.id, Status.PENDING_CANCEL, _CANCELLED)

        await self._store.write(work)


def _find_own(tx: Transaction, ctx: Context, task_id: str) -> ExportTask | None:
    task = find_task(tx, task_id)
    return task if task is not None and (task.account, task.region) == (ctx.account, ctx.region) else None


def _shown(task: ExportTask) -> dict[str, Any]:
    execution: dict[str, Any] = {"creationTime": task.created_ms}
    if task.completed_ms is not None:
        execution["completionTime"] = task.completed_ms
    shown = {
        "taskId": task.id,
        "logGroupName": task.log_group,
        "from": task.from_ms,
        "to": task.to_ms,
        "destination": task.bucket,
        "destinationPrefix": task.prefix,
        "status": {"code": task.status.value, "message": task.message},
        "executionInfo": execution,
    }
    return shown if task.name is None else {"taskName": task.name, **shown}
