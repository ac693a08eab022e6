"""Messages as calls carry them, read once: attributes by kind, the one system attribute there is."""

from dataclasses import replace
from typing import Any

from cosset.services.operation import Context, Params
from cosset.services.sqs.errors import invalid_parameter
from cosset.services.sqs.message_rules import check_attribute
from cosset.services.sqs.model import AttributeValue, NewMessage

TRACE_HEADER = "AWSTraceHeader"
MAX_TRACE_HEADER = 2048


def read_message(params: Params) -> NewMessage:
    """Of SendMessage, or of an entry of a batch. Raises ServiceError InvalidParameterValue for system attributes."""
    return NewMessage(
        body=params.get("MessageBody") or "",
        attributes={name: _value(given) for name, given in (params.get("MessageAttributes") or {}).items()},
        trace_header=_trace_header(params.get("MessageSystemAttributes") or {}),
        group_id=params.get("MessageGroupId"),
        deduplication_id=params.get("MessageDeduplicationId"),
        delay_s=params.get("DelaySeconds"),
    )


def traced(message: NewMessage, ctx: Context) -> NewMessage:
    """With the trace header of the call, unless the message has one: so a loop through a queue is told.

    Recorded: test_aws_trace_header_propagation.
    """
    if message.trace_header is not None or not ctx.trace_id or len(ctx.trace_id) > MAX_TRACE_HEADER:
        return message
    return replace(message, trace_header=ctx.trace_id)


def _value(given: dict[str, Any] | None) -> AttributeValue:
    given = given or {}
    if given.get("StringListValues") or given.get("BinaryListValues"):
        raise invalid_parameter("Message attribute list values in SendMessage operation are not supported.")
    return AttributeValue(given.get("DataType") or "", given.get("StringValue"), given.get("BinaryValue"))


def _trace_header(given: dict[str, Any]) -> str | None:
    for name, member in given.items():
        if name != TRACE_HEADER:
            raise invalid_parameter(
                f"Message system attribute name '{name}' is invalid. The only supported name is {TRACE_HEADER}."
            )
        value = _value(member)
        check_attribute(name, value, "system")
        if value.data_type != "String":
            raise invalid_parameter(f"The type of message (system) attribute '{name}' must be String.")
        return value.string
    return None
