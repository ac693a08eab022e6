"""Where a subscription's messages go: which protocols there are, and what an endpoint of each looks like."""

import re
from urllib.parse import urlsplit

from cosset.services.sns.errors import invalid
from cosset.services.sns.model import FIFO_SUFFIX, TopicKey
from cosset.wire.errors import OperationNotImplementedError, ServiceError

_NOT_HERE = ("email", "email-json", "sms", "application", "firehose")
_PHONE = re.compile(r"\+?[0-9]([./-]?[0-9])*")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LONGEST = 2048


def check_endpoint(topic: TopicKey, protocol: str, endpoint: str | None) -> str:
    """The endpoint. Raises ServiceError InvalidParameter."""
    if protocol not in ("sqs", "lambda", "http", "https", *_NOT_HERE):
        raise invalid(f"Amazon SNS does not support this protocol string: {protocol}")
    if not endpoint or len(endpoint) > _LONGEST:
        raise invalid("Endpoint")
    if topic.is_fifo and protocol != "sqs":
        raise invalid("Invalid parameter: Endpoint Reason: Please use FIFO SQS queue")
    if protocol == "sqs":
        _check_queue(topic, endpoint)
    elif protocol == "lambda":
        parts = endpoint.split(":")
        if len(parts) not in (7, 8) or parts[:3] != ["arn", "aws", "lambda"] or parts[5] != "function":
            raise invalid("Lambda endpoint ARN")
    elif protocol in ("http", "https"):
        _check_url(protocol, endpoint)
    elif protocol in ("email", "email-json") and not _EMAIL.fullmatch(endpoint):
        raise invalid("Email address")
    elif protocol == "sms" and not is_phone_number(endpoint):
        raise ServiceError("InvalidParameter", f"Invalid SMS endpoint: {endpoint}")
    return endpoint


def check_is_here(protocol: str) -> None:
    """Says by name that the protocol is not there. For last: AWS refuses everything else in its own words first."""
    if protocol in _NOT_HERE:
        raise OperationNotImplementedError("sns", f"Subscribe with the protocol {protocol}")


def is_phone_number(text: str) -> bool:
    """E.164 with the signs that AWS lets people write between digits, one at a time."""
    return _PHONE.fullmatch(text) is not None and 1 <= sum(each.isdigit() for each in text) <= 15


def _check_queue(topic: TopicKey, endpoint: str) -> None:
    parts = endpoint.split(":")
    if len(parts) != 6 or parts[:3] != ["arn", "aws", "sqs"] or not all(parts[3:]):
        raise invalid("SQS endpoint ARN")
    if endpoint.endswith(FIFO_SUFFIX) and not topic.is_fifo:
        # Recorded so, with the opening twice: test_validations_for_fifo.
        sentence = "FIFO SQS Queues can not be subscribed to standard SNS topics"
        raise invalid(f"Invalid parameter: Endpoint Reason: {sentence}")


def _check_url(protocol: str, endpoint: str) -> None:
    if not endpoint.startswith(f"{protocol}://"):
        raise invalid("Endpoint must match the specified protocol")
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        raise invalid("Endpoint") from None
    clean = endpoint.isascii() and endpoint.isprintable() and " " not in endpoint
    if not parts.hostname or port == 0 or not clean:
        raise invalid("Endpoint")
