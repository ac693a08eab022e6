"""What arrives: a published message as queues, HTTP endpoints and functions see it.

Recorded: TestSNSSubscriptionSQS::test_subscribe_sqs_queue, TestSNSSubscriptionLambda, TestSNSSubscriptionHttp.
"""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from cosset.services.sns.model import Published, Subscription
from cosset.services.sns.signing import Signature


def timestamp(ms: int) -> str:
    """`2026-11-21T10:00:00.123Z`."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def signed_text(message: Published) -> str:
    """The text that the signature is over. Source: Amazon SNS developer guide, verifying signatures."""
    fields = [("Message", message.text), ("MessageId", message.id)]
    if message.token is not None:
        fields += [("SubscribeURL", _subscribe_url(message)), ("Timestamp", timestamp(message.sent_ms))]
        fields += [("Token", message.token)]
    else:
        if message.subject is not None:
            fields.append(("Subject", message.subject))
        fields.append(("Timestamp", timestamp(message.sent_ms)))
    fields += [("TopicArn", message.topic_arn), ("Type", message.type)]
    return "".join(f"{name}\n{value}\n" for name, value in fields)


def envelope(message: Published, subscription: Subscription, signature: Signature | None) -> str:
    """The JSON that wraps a message, laid out as AWS lays it out. Messages of FIFO topics are not signed."""
    fields: dict[str, Any] = {"Type": message.type, "MessageId": message.id}
    if message.number is not None:
        fields["SequenceNumber"] = message.number
    if message.token is not None:
        fields["Token"] = message.token
    fields["TopicArn"] = message.topic_arn
    if message.subject is not None:
        fields["Subject"] = message.subject
    fields["Message"] = message.text
    if message.token is not None:
        fields["SubscribeURL"] = _subscribe_url(message)
    fields["Timestamp"] = timestamp(message.sent_ms)
    if signature is not None:
        fields |= {"SignatureVersion": signature.version, "Signature": signature.value}
        fields["SigningCertURL"] = message.url + signature.certificate_path
    if message.token is None:
        fields["UnsubscribeURL"] = _unsubscribe_url(message, subscription)
    lines = [f"  {json.dumps(name)} : {_value(value)}" for name, value in fields.items()]
    if message.attributes:
        inner = ",\n".join(f"    {json.dumps(name)} : {_value(each)}" for name, each in _attributes(message).items())
        lines.append(f'  "MessageAttributes" : {{\n{inner}\n  }}')
    return "{\n" + ",\n".join(lines) + "\n}"


def function_event(message: Published, subscription: Subscription, signature: Signature | None) -> bytes:
    """The event that a function gets."""
    sns: dict[str, Any] = {
        "Type": message.type,
        "MessageId": message.id,
        "TopicArn": message.topic_arn,
        "Subject": message.subject,
        "Message": message.text,
        "Timestamp": timestamp(message.sent_ms),
    }
    if signature is not None:
        sns |= {"SignatureVersion": signature.version, "Signature": signature.value}
        sns["SigningCertUrl"] = message.url + signature.certificate_path
    sns["UnsubscribeUrl"] = _unsubscribe_url(message, subscription)
    sns["MessageAttributes"] = _attributes(message)
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription.key.arn,
        "Sns": sns,
    }
    return json.dumps({"Records": [record]}, ensure_ascii=False, separators=(",", ":")).encode()


def _attributes(message: Published) -> dict[str, dict[str, str]]:
    return {name: {"Type": each.data_type, "Value": each.value} for name, each in message.attributes.items()}


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _subscribe_url(message: Published) -> str:
    return f"{message.url}/?Action=ConfirmSubscription&TopicArn={_in_url(message.topic_arn)}&Token={message.token}"


def _unsubscribe_url(message: Published, subscription: Subscription) -> str:
    return f"{message.url}/?Action=Unsubscribe&SubscriptionArn={_in_url(subscription.key.arn)}"


def _in_url(arn: str) -> str:
    return quote(arn, safe=":")
