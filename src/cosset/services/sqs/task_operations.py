"""StartMessageMoveTask, CancelMessageMoveTask, ListMessageMoveTasks. Recorded: test_sqs_move_task.py."""

from collections.abc import Sequence
from typing import Any

from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.sqs.book import QueueRecord
from cosset.services.sqs.errors import invalid_parameter, invalid_value, not_found
from cosset.services.sqs.model import QueueKey
from cosset.services.sqs.move_tasks import RUNNING, MoveTask, MoveTasks, read_handle
from cosset.services.sqs.queues import Queues
from cosset.services.sqs.requirements import required

MAX_PER_SECOND = 500
MAX_LISTED = 10
_SOURCE_ACTIONS = ("StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes")


def _to_start(ctx: Context, params: Params) -> Sequence[Requirement]:
    source = required(params, "SourceArn")
    needed = [Requirement(f"sqs:{action}", source) for action in _SOURCE_ACTIONS]
    destination = params.get("DestinationArn")
    return [*needed, Requirement("sqs:SendMessage", destination)] if destination else needed


def _to_cancel(ctx: Context, params: Params) -> Sequence[Requirement]:
    _, source = read_handle(required(params, "TaskHandle"))
    return [Requirement("sqs:CancelMessageMoveTask", source)]


def _to_list(ctx: Context, params: Params) -> Sequence[Requirement]:
    return [Requirement("sqs:ListMessageMoveTasks", required(params, "SourceArn"))]


class TaskOperations:
    def __init__(self, queues: Queues, tasks: MoveTasks) -> None:
        self._queues = queues
        self._tasks = tasks

    @operation("StartMessageMoveTask", _to_start)
    async def start_message_move_task(self, ctx: Context, params: Params) -> Result:
        source = await self._find(required(params, "SourceArn"), "SourceArn")
        destination_arn = params.get("DestinationArn")
        if destination_arn:
            destination = await self._find(destination_arn, "DestinationArn")
            _check_pair(source, destination)
        per_second = params.get("MaxNumberOfMessagesPerSecond")
        if per_second is not None and not 1 <= per_second <= MAX_PER_SECOND:
            reason = f"Must be between 1 and {MAX_PER_SECOND}, if provided."
            raise invalid_value(per_second, "MaxNumberOfMessagesPerSecond", reason)
        if not await self._queues.book.sources_of(source.key):
            raise invalid_parameter("Source queue must be configured as a Dead Letter Queue.")
        to_move = (await self._queues.depth(source.key.arn)).visible
        task = await self._tasks.start(source.key.arn, destination_arn, per_second, to_move)
        return {"TaskHandle": task.handle}

    @operation("CancelMessageMoveTask", _to_cancel)
    async def cancel_message_move_task(self, ctx: Context, params: Params) -> Result:
        task_id, source_arn = read_handle(required(params, "TaskHandle"))
        source = await self._find(source_arn, "SourceArn")
        return {"ApproximateNumberOfMessagesMoved": await self._tasks.cancel(task_id, source.key.arn)}

    @operation("ListMessageMoveTasks", _to_list)
    async def list_message_move_tasks(self, ctx: Context, params: Params) -> Result:
        limit = params.get("MaxResults")
        if limit is not None and not 1 <= limit <= MAX_LISTED:
            raise invalid_value(limit, "MaxResults", f"Must be between 1 and {MAX_LISTED}, if provided.")
        source = await self._find(required(params, "SourceArn"), "SourceArn")
        tasks = await self._tasks.list_tasks(source.key.arn, 1 if limit is None else limit)
        return {"Results": [_shown(task) for task in tasks]}

    async def _find(self, arn: str, parameter: str) -> QueueRecord:
        key = QueueKey.of_arn(arn)
        record = None if key is None else await self._queues.book.read(key)
        if record is None:
            raise not_found(f"The resource that you specified for the {parameter} parameter doesn't exist.")
        return record


def _check_pair(source: QueueRecord, destination: QueueRecord) -> None:
    if source.key == destination.key:
        raise invalid_parameter("Source queue arn and destination queue arn cannot be the same.")
    if source.settings.is_fifo != destination.settings.is_fifo:
        raise invalid_parameter("Source queue and destination queue must be of the same type.")


def _shown(task: MoveTask) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "TaskHandle": task.handle if task.status == RUNNING else None,
        "Status": task.status,
        "SourceArn": task.source_arn,
        "DestinationArn": task.destination_arn,
        "MaxNumberOfMessagesPerSecond": task.per_second,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "FailureReason": task.failure,
        "StartedTimestamp": task.started_ms,
    }
    return {name: value for name, value in shown.items() if value is not None}
