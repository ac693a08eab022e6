"""What is sent when an asynchronous event has ended: the record for a destination, the message for a dead-letter queue.

Pure: from an event, how it ended and what is configured to the deliveries. The shapes are AWS's (recorded:
TestLambdaDestinationEventbridge::test_invoke_lambda_eventbridge, TestLambdaConcurrency::test_reserved_concurrency,
TestLambdaDLQ::test_dead_letter_queue).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from cosset.invocation.async_policy import AsyncPolicy
from cosset.invocation.destinations import Delivery

ERROR_MESSAGE_BYTES = 1024
"""What a dead-letter message shows of the error."""


class Condition(Enum):
    """How an event ended. The first four are AWS's words; AWS writes down no word for the last two."""

    SUCCESS = "Success"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    EVENT_AGE_EXCEEDED = "EventAgeExceeded"
    ZERO_RESERVED_CONCURRENCY = "ZeroReservedConcurrency"
    RECURSIVE_INVOCATION = "RecursiveInvocation"
    FUNCTION_NOT_FOUND = "FunctionNotFound"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastAnswer:
    """What the function answered when it last ran."""

    payload: bytes
    executed_version: str
    function_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One event and its end. `function_arn` is qualified, `$LATEST` too; `invocations` counts how often it ran;
    `status` and `reason` say why it did not run, where it did not. `answer` is None when it never ran."""

    request_id: str
    function_arn: str
    condition: Condition
    invocations: int
    payload: bytes
    ended_ms: int
    trace_id: str
    answer: LastAnswer | None = None
    status: int = 200
    reason: str = ""


def deliveries(ending: Ending, policy: AsyncPolicy, new_id: Callable[[], str]) -> Iterator[Delivery]:
    """What to send where; nothing for a function that has configured nothing."""
    is_success = ending.condition is Condition.SUCCESS
    destination = policy.on_success if is_success else policy.on_failure
    if destination:
        yield _delivery(ending, policy, destination, new_id(), write_record(ending), {})
    if policy.dead_letter and not is_success:
        yield _delivery(ending, policy, policy.dead_letter, new_id(), ending.payload, dead_letter_attributes(ending))


def write_record(ending: Ending) -> bytes:
    """The record that destinations get, with the two payloads as they came."""
    head = {
        "version": "1.0",
        "timestamp": _timestamp(ending.ended_ms),
        "requestContext": {
            "requestId": ending.request_id,
            "functionArn": ending.function_arn,
            "condition": ending.condition.value,
            "approximateInvokeCount": ending.invocations,
        },
    }
    members = [_dump(head)[1:-1].encode(), b'"requestPayload":' + ending.payload]
    if ending.answer is not None:
        context: dict[str, Any] = {"statusCode": 200, "executedVersion": ending.answer.executed_version}
        if ending.answer.function_error is not None:
            context["functionError"] = ending.answer.function_error
        members.append(b'"responseContext":' + _dump(context).encode())
        members.append(b'"responsePayload":' + _as_json(ending.answer.payload))
    return b"{" + b",".join(members) + b"}"


def dead_letter_attributes(ending: Ending) -> Mapping[str, str]:
    message = ending.reason if ending.answer is None else _error_message(ending.answer.payload)
    status = ending.status if ending.answer is None else 200
    return {"RequestID": ending.request_id, "ErrorCode": str(status), "ErrorMessage": _cut(message)}


def _delivery(
    ending: Ending, policy: AsyncPolicy, target: str, new_id: str, body: bytes, attributes: Mapping[str, str]
) -> Delivery:
    return Delivery(
        id=new_id,
        target_arn=target,
        source_arn=ending.function_arn,
        condition=ending.condition.value,
        role=policy.role,
        trace_id=ending.trace_id,
        sent_ms=ending.ended_ms,
        body=body,
        attributes=attributes,
    )


def _as_json(payload: bytes) -> bytes:
    """A custom runtime may answer what is no JSON: then it is a text."""
    try:
        json.loads(payload)
    except (ValueError, RecursionError):
        return _dump(payload.decode(errors="replace")).encode()
    return payload


def _error_message(payload: bytes) -> str:
    try:
        answer = json.loads(payload)
    except (ValueError, RecursionError):
        return payload.decode(errors="replace")
    message = answer.get("errorMessage") if isinstance(answer, dict) else None
    return message if isinstance(message, str) else payload.decode(errors="replace")


def _cut(message: str) -> str:
    return message.encode()[:ERROR_MESSAGE_BYTES].decode(errors="ignore")


def _timestamp(now_ms: int) -> str:
    """2019-11-14T18:16:05.568Z"""
    from_ms = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"{from_ms:%Y-%m-%dT%H:%M:%S}.{now_ms % 1000:03d}Z"


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
