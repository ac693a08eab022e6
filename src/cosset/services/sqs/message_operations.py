"""The operations on messages, one at a time: send, receive, delete, change of visibility. Next: batches.py."""

from cosset.observe.causes import StepKind
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.sqs.answers import message_shown, sent_shown
from cosset.services.sqs.errors import invalid_value, missing_parameter
from cosset.services.sqs.holding import MAX_VISIBILITY_S
from cosset.services.sqs.message_rules import check_group_text
from cosset.services.sqs.messages import read_message, traced
from cosset.services.sqs.queues import Queues
from cosset.services.sqs.requirements import on_queue, required
from cosset.services.sqs.selection import Selection
from cosset.services.sqs.urls import queue_of

MAX_WAIT_S = 20
MAX_MESSAGES = 10


class MessageOperations:
    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    @operation("SendMessage", on_queue("SendMessage"))
    async def send_message(self, ctx: Context, params: Params) -> Result:
        key = queue_of(ctx, params)
        required(params, "MessageBody")
        message = read_message(params)
        sent = await self._queues.send(key.arn, traced(message, ctx), sender_id=ctx.principal.user_id)
        ctx.led_to(StepKind.MESSAGE, sent.id, key.arn)
        return sent_shown(message, sent)

    @operation("ReceiveMessage", on_queue("ReceiveMessage"))
    async def receive_message(self, ctx: Context, params: Params) -> Result:
        key = queue_of(ctx, params)
        selection = Selection.read(params)
        limit = _between(params, "MaxNumberOfMessages", 1, MAX_MESSAGES, "Must be between 1 and 10, if provided.")
        wait_s = _between(params, "WaitTimeSeconds", 0, MAX_WAIT_S, "Must be >= 0 and <= 20, if provided.")
        reason = f"Must be between 0 and {MAX_VISIBILITY_S}, if provided."
        visibility_s = _between(params, "VisibilityTimeout", 0, MAX_VISIBILITY_S, reason)
        if wait_s is None:
            facts = await self._queues.facts(key.arn)
            wait_s = facts.wait_s if facts is not None else 0
        found = await self._queues.receive(
            key.arn,
            max_messages=1 if limit is None else limit,
            visibility_s=visibility_s,
            wait_s=wait_s,
            cancelled=ctx.cancelled,
            attempt=_attempt(params),
        )
        return {"Messages": [message_shown(message, selection) for message in found]} if found else {}

    @operation("DeleteMessage", on_queue("DeleteMessage"))
    async def delete_message(self, ctx: Context, params: Params) -> None:
        key = queue_of(ctx, params)
        (error,) = await self._queues.delete_batch(key.arn, [required(params, "ReceiptHandle")])
        if error is not None:
            raise error

    @operation("ChangeMessageVisibility", on_queue("ChangeMessageVisibility"))
    async def change_message_visibility(self, ctx: Context, params: Params) -> None:
        key, handle = queue_of(ctx, params), required(params, "ReceiptHandle")
        visibility_s = read_visibility(params)
        (error,) = await self._queues.change_visibility_batch(key.arn, [(handle, visibility_s)])
        if error is not None:
            raise error


def _attempt(params: Params) -> str | None:
    attempt: str | None = params.get("ReceiveRequestAttemptId")
    if attempt is not None:
        check_group_text("ReceiveRequestAttemptId", attempt)
    return attempt


def read_visibility(params: Params) -> int:
    """Raises ServiceError."""
    visibility_s = params.get("VisibilityTimeout")
    if visibility_s is None:
        raise missing_parameter("VisibilityTimeout")
    if not 0 <= visibility_s <= MAX_VISIBILITY_S:
        raise invalid_value(visibility_s, "VisibilityTimeout", f"Must be between 0 and {MAX_VISIBILITY_S}.")
    return int(visibility_s)


def _between(params: Params, name: str, lowest: int, highest: int, reason: str) -> int | None:
    value: int | None = params.get(name)
    if value is not None and not lowest <= value <= highest:
        raise invalid_value(value, name, reason)
    return value
