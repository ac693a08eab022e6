"""AddPermission and RemovePermission: statements of the queue's policy, by label.

Recorded: test_sqs_permission_lifecycle.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from cosset.services.operation import Context, Params, operation
from cosset.services.sqs.attributes import MAX_STATEMENTS
from cosset.services.sqs.book import QueueBook, QueueRecord
from cosset.services.sqs.errors import invalid_value, missing_parameter, too_many_statements
from cosset.services.sqs.model import QueueKey
from cosset.services.sqs.requirements import on_queue, required
from cosset.services.sqs.urls import queue_of
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

MAX_ACTIONS = 7
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_GRANTED = (
    *("*", "SendMessage", "ReceiveMessage", "DeleteMessage"),
    *("ChangeMessageVisibility", "GetQueueAttributes", "GetQueueUrl"),
)
_OWNERS_ONLY = (
    *("AddPermission", "CreateQueue", "DeleteQueue", "ListQueues", "RemovePermission", "SetQueueAttributes"),
    *("PurgeQueue", "ListDeadLetterSourceQueues", "ListQueueTags", "TagQueue", "UntagQueue"),
    *("StartMessageMoveTask", "CancelMessageMoveTask", "ListMessageMoveTasks"),
)


class PermissionOperations:
    def __init__(self, book: QueueBook) -> None:
        self._book = book

    @operation("AddPermission", on_queue("AddPermission"))
    async def add_permission(self, ctx: Context, params: Params) -> None:
        label = required(params, "Label")
        accounts, actions = params.get("AWSAccountIds"), params.get("Actions")
        if not accounts:
            raise missing_parameter("AWSAccountIds")
        if not actions:
            raise missing_parameter("Actions")
        _check(label, accounts, actions)

        def add(tx: Transaction, record: QueueRecord) -> dict[str, Any]:
            policy = _policy_of(record)
            statements = policy["Statement"]
            if any(each.get("Sid") == label for each in statements):
                raise invalid_value(label, "Label", "Already exists.")
            if len(statements) >= MAX_STATEMENTS:
                raise too_many_statements(len(statements) + 1, MAX_STATEMENTS)
            statements.append(_statement(record.key, label, accounts, actions))
            return {"attributes": {**record.attributes, "Policy": _dump(policy)}}

        await self._book.change(queue_of(ctx, params), add)

    @operation("RemovePermission", on_queue("RemovePermission"))
    async def remove_permission(self, ctx: Context, params: Params) -> None:
        label = required(params, "Label")

        def remove(tx: Transaction, record: QueueRecord) -> dict[str, Any]:
            policy = _policy_of(record)
            kept = [each for each in policy["Statement"] if each.get("Sid") != label]
            if len(kept) == len(policy["Statement"]):
                raise invalid_value(label, "Label", "can't find label.")
            attributes = dict(record.attributes)
            if kept:
                attributes["Policy"] = _dump({**policy, "Statement": kept})
            else:
                del attributes["Policy"]
            return {"attributes": attributes}

        await self._book.change(queue_of(ctx, params), remove)


def _check(label: str, accounts: Sequence[str], actions: Sequence[str]) -> None:
    if not _LABEL.fullmatch(label):
        reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length."
        raise invalid_value(label, "Label", reason)
    unknown = [each for each in accounts if not _ACCOUNT.fullmatch(each)]
    if unknown:
        raise invalid_value(f"[{', '.join(unknown)}]", "PrincipalId", "Unable to verify.")
    if len(actions) > MAX_ACTIONS:
        raise ServiceError(
            "OverLimit", f"{len(actions)} actions were found, maximum allowed is {MAX_ACTIONS}.", status=403
        )
    for action in actions:
        if action in _OWNERS_ONLY:
            reason = "Only the queue owner is allowed to invoke this action."
            raise invalid_value(f"SQS:{action}", "ActionName", reason)
        if action not in _GRANTED:
            reason = "Please refer to the appropriate WSDL for a list of valid actions."
            raise invalid_value(f"SQS:{action}", "ActionName", reason)


def _policy_of(record: QueueRecord) -> dict[str, Any]:
    """The queue's policy, its statements a list; a new one where there is none."""
    text = record.attributes.get("Policy")
    if text is None:
        return {"Version": "2008-10-17", "Id": f"{record.key.arn}/SQSDefaultPolicy", "Statement": []}
    policy: dict[str, Any] = json.loads(text)
    statements = policy["Statement"]
    return {**policy, "Statement": list(statements) if isinstance(statements, list) else [statements]}


def _statement(key: QueueKey, label: str, accounts: Sequence[str], actions: Sequence[str]) -> dict[str, Any]:
    return {
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": _one_or_all([f"arn:aws:iam::{account}:root" for account in accounts])},
        "Action": _one_or_all([f"SQS:{action}" for action in actions]),
        "Resource": key.arn,
    }


def _one_or_all(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def _dump(policy: dict[str, Any]) -> str:
    return json.dumps(policy, separators=(",", ":"))
