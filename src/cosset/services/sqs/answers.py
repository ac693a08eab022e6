"""Messages as SQS shows them."""

from collections.abc import Mapping
from typing import Any

from cosset.services.sqs.digests import attributes_digest, body_digest
from cosset.services.sqs.messages import TRACE_HEADER
from cosset.services.sqs.model import AttributeValue, NewMessage, ReceivedMessage, SentMessage
from cosset.services.sqs.selection import Selection


def sent_shown(message: NewMessage, sent: SentMessage) -> dict[str, Any]:
    system = {}
    if message.trace_header is not None:
        system[TRACE_HEADER] = AttributeValue("String", message.trace_header)
    shown = {
        "MD5OfMessageBody": body_digest(message.body),
        "MD5OfMessageAttributes": attributes_digest(message.attributes),
        "MD5OfMessageSystemAttributes": attributes_digest(system),
        "MessageId": sent.id,
        "SequenceNumber": sent.sequence_number,
    }
    return {name: value for name, value in shown.items() if value is not None}


def message_shown(message: ReceivedMessage, selection: Selection) -> dict[str, Any]:
    """The digest of attributes is that of those that are shown."""
    shown: dict[str, Any] = {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt_handle,
        "MD5OfBody": body_digest(message.body),
        "Body": message.body,
    }
    if system := selection.of_system(message.system):
        shown["Attributes"] = system
    if own := selection.of_own(message.attributes):
        shown["MD5OfMessageAttributes"] = attributes_digest(own)
        shown["MessageAttributes"] = _attributes_shown(own)
    return shown


def _attributes_shown(attributes: Mapping[str, AttributeValue]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in attributes.items():
        given = {"BinaryValue": value.binary} if value.binary is not None else {"StringValue": value.string}
        shown[name] = {**given, "DataType": value.data_type}
    return shown
