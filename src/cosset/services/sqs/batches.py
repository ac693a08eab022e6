"""The batch operations: up to ten entries, each with an answer of its own."""

import re
from collections.abc import Sequence
from typing import Any

from cosset.observe.causes import StepKind
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.sqs.answers import sent_shown
from cosset.services.sqs.errors import missing_parameter
from cosset.services.sqs.message_operations import read_visibility
from cosset.services.sqs.messages import read_message, traced
from cosset.services.sqs.queues import Queues
from cosset.services.sqs.requirements import on_queue
from cosset.services.sqs.urls import queue_of
from cosset.wire.errors import ServiceError

MAX_ENTRIES = 10
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)

Failures = dict[str, ServiceError]


class BatchOperations:
    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    @operation("SendMessageBatch", on_queue("SendMessage"))
    async def send_message_batch(self, ctx: Context, params: Params) -> Result:
        key = queue_of(ctx, params)
        entries = _entries(params, "SendMessageBatchRequestEntry")
        messages, failures = {}, Failures()
        for entry in entries:
            try:
                messages[entry["Id"]] = read_message(entry)
            except ServiceError as error:
                failures[entry["Id"]] = error
        sent = [traced(message, ctx) for message in messages.values()]
        outcomes = await self._queues.send_batch(key.arn, sent, sender_id=ctx.principal.user_id)
        successes: dict[str, dict[str, Any]] = {}
        for (entry_id, message), outcome in zip(messages.items(), outcomes, strict=True):
            if isinstance(outcome, ServiceError):
                failures[entry_id] = outcome
            else:
                ctx.led_to(StepKind.MESSAGE, outcome.id, key.arn)
                successes[entry_id] = sent_shown(message, outcome)
        return _answer(entries, successes, failures)

    @operation("DeleteMessageBatch", on_queue("DeleteMessage"))
    async def delete_message_batch(self, ctx: Context, params: Params) -> Result:
        key = queue_of(ctx, params)
        entries = _entries(params, "DeleteMessageBatchRequestEntry")
        answers = await self._queues.delete_batch(key.arn, [_handle(entry) for entry in entries])
        failures = {entry["Id"]: error for entry, error in zip(entries, answers, strict=True) if error is not None}
        return _answer(entries, {}, failures)

    @operation("ChangeMessageVisibilityBatch", on_queue("ChangeMessageVisibility"))
    async def change_message_visibility_batch(self, ctx: Context, params: Params) -> Result:
        key = queue_of(ctx, params)
        entries = _entries(params, "ChangeMessageVisibilityBatchRequestEntry")
        changes, failures = {}, Failures()
        for entry in entries:
            try:
                changes[entry["Id"]] = (_handle(entry), read_visibility(entry))
            except ServiceError as error:
                failures[entry["Id"]] = error
        answers = await self._queues.change_visibility_batch(key.arn, list(changes.values()))
        failures |= {entry_id: error for entry_id, error in zip(changes, answers, strict=True) if error is not None}
        return _answer(entries, {}, failures)


def _entries(params: Params, called: str) -> Sequence[Params]:
    """Raises ServiceError for what makes AWS refuse a batch whole."""
    entries: Sequence[Params] = params.get("Entries") or ()
    if not entries:
        raise ServiceError("EmptyBatchRequest", f"There should be at least one {called} in the request.")
    if len(entries) > MAX_ENTRIES:
        raise ServiceError(
            "TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are {MAX_ENTRIES}. You have sent {len(entries)}.",
        )
    seen = set()
    for entry in entries:
        entry_id = entry.get("Id")
        if entry_id is None:
            raise missing_parameter(f"{called}.Id")
        if not _ID.fullmatch(entry_id):
            raise ServiceError(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long.",
            )
        if entry_id in seen:
            raise ServiceError("BatchEntryIdsNotDistinct", f"Id {entry_id} repeated.")
        seen.add(entry_id)
    return entries


def _handle(entry: Params) -> str:
    handle = entry.get("ReceiptHandle")
    if not handle:
        raise missing_parameter("ReceiptHandle")
    return str(handle)


def _answer(entries: Sequence[Params], successes: dict[str, dict[str, Any]], failures: Failures) -> Result:
    """Both lists in the order of the entries; one that is empty is left out."""
    successful = [
        {"Id": entry["Id"], **successes.get(entry["Id"], {})} for entry in entries if entry["Id"] not in failures
    ]
    failed = [_failed(entry["Id"], failures[entry["Id"]]) for entry in entries if entry["Id"] in failures]
    return {name: found for name, found in (("Successful", successful), ("Failed", failed)) if found}


def _failed(entry_id: str, error: ServiceError) -> dict[str, Any]:
    code = _CODES.get(error.code, error.code)
    return {"Id": entry_id, "SenderFault": error.status < 500, "Code": code, "Message": error.message}


# An entry's code is the old one in both protocols (recorded: test_send_batch_message_size).
_CODES = {
    "InvalidParameterValueException": "InvalidParameterValue",
    "MissingRequiredParameterException": "MissingParameter",
}
