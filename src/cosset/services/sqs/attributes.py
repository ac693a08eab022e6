"""The attributes of a queue: which there are, what AWS takes for each, what they mean.

A queue keeps what was set, as text; `read_settings` gives it meaning, `shown` shows it with AWS's defaults. Sentences:
recorded, test_create_standard_queue_with_fifo_attribute_raises_error, test_sse_kms_and_sqs_are_mutually_exclusive,
test_set_queue_attributes_default_values (an empty value sets the default again).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cosset.identity.policy_document import MalformedPolicyError, parse_policy
from cosset.services.sqs.errors import (
    invalid_attribute_name,
    invalid_attribute_value,
    too_many_statements,
    unknown_attribute,
)
from cosset.services.sqs.model import QueueKey
from cosset.services.sqs.redrive import (
    RedriveAllowPolicy,
    RedrivePolicy,
    read_redrive_allow_policy,
    read_redrive_policy,
)

MAX_MESSAGE_BYTES = 1024 * 1024
MAX_STATEMENTS = 20
"""Of a queue's policy."""

# name -> default, lowest, highest
_NUMBERS = {
    "VisibilityTimeout": (30, 0, 43_200),
    "DelaySeconds": (0, 0, 900),
    "MaximumMessageSize": (MAX_MESSAGE_BYTES, 1024, MAX_MESSAGE_BYTES),
    "MessageRetentionPeriod": (345_600, 60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 0, 20),
    "KmsDataKeyReusePeriodSeconds": (300, 60, 86_400),
}
_CHOICES = {
    "FifoQueue": ("true",),
    "ContentBasedDeduplication": ("false", "true"),
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
    "SqsManagedSseEnabled": ("true", "false"),
}
_FIFO_ONLY = ("FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit")
_TEXTS = ("Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId")
SETTABLE = (*_NUMBERS, *_CHOICES, *_TEXTS)

COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
READABLE = ("QueueArn", "CreatedTimestamp", "LastModifiedTimestamp", *COUNTS, *SETTABLE)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the attributes of a queue mean."""

    is_fifo: bool
    visibility_s: int
    delay_s: int
    max_bytes: int
    retention_s: int
    wait_s: int
    deduplicates_by_content: bool
    deduplicates_by_group: bool
    redrive: RedrivePolicy | None
    allows: RedriveAllowPolicy


def read_settings(attributes: Mapping[str, str], key: QueueKey) -> Settings:
    """Of attributes that were checked."""

    def number(name: str) -> int:
        return int(attributes.get(name, _NUMBERS[name][0]))

    redrive, allows = attributes.get("RedrivePolicy"), attributes.get("RedriveAllowPolicy")
    return Settings(
        is_fifo="FifoQueue" in attributes,
        visibility_s=number("VisibilityTimeout"),
        delay_s=number("DelaySeconds"),
        max_bytes=number("MaximumMessageSize"),
        retention_s=number("MessageRetentionPeriod"),
        wait_s=number("ReceiveMessageWaitTimeSeconds"),
        deduplicates_by_content=attributes.get("ContentBasedDeduplication") == "true",
        deduplicates_by_group=attributes.get("DeduplicationScope") == "messageGroup",
        redrive=None if redrive is None else read_redrive_policy(redrive, key),
        allows=RedriveAllowPolicy() if allows is None else read_redrive_allow_policy(allows),
    )


def check_new(given: Mapping[str, str], key: QueueKey) -> dict[str, str]:
    """The attributes of a queue that is to be made. Raises ServiceError for what AWS refuses."""
    is_fifo = given.get("FifoQueue") == "true"
    return _checked({}, given, key, is_fifo=is_fifo)


def changed(now: Mapping[str, str], given: Mapping[str, str], key: QueueKey) -> dict[str, str]:
    """The attributes after SetQueueAttributes. Raises ServiceError for what AWS refuses."""
    is_fifo = "FifoQueue" in now
    if is_fifo and given.get("FifoQueue") not in (None, "true"):
        raise invalid_attribute_value("FifoQueue")
    return _checked(now, given, key, is_fifo=is_fifo)


def shown(attributes: Mapping[str, str], *, is_fifo: bool) -> dict[str, str]:
    """What GetQueueAttributes shows of them, with the defaults of those that always have a value."""
    result = dict(attributes)
    for name, (default, _, _) in _NUMBERS.items():
        if name != "KmsDataKeyReusePeriodSeconds" or "KmsMasterKeyId" in attributes:
            result.setdefault(name, str(default))
    result.setdefault("SqsManagedSseEnabled", "true")
    if is_fifo:
        for name in _FIFO_ONLY:
            result.setdefault(name, _CHOICES[name][0])
    return result


def _checked(now: Mapping[str, str], given: Mapping[str, str], key: QueueKey, *, is_fifo: bool) -> dict[str, str]:
    result = dict(now)
    for name, value in given.items():
        if name not in SETTABLE:
            raise unknown_attribute(name)
        if name in _FIFO_ONLY and not is_fifo:
            raise _not_fifo(name)
        if value == "":
            result.pop(name, None)
        else:
            result[name] = _checked_value(name, value, key)
    _check_encryption(given, result)
    limit, scope = result.get("FifoThroughputLimit"), result.get("DeduplicationScope")
    if limit == "perMessageGroupId" and scope != "messageGroup":
        raise invalid_attribute_value("FifoThroughputLimit")
    return result


def _not_fifo(name: str) -> Exception:
    if name in ("FifoQueue", "ContentBasedDeduplication"):
        return unknown_attribute(name)
    return invalid_attribute_name(f"You can specify the {name} only when FifoQueue is set to true.")


def _checked_value(name: str, value: str, key: QueueKey) -> str:
    """As it is kept."""
    if name in _NUMBERS:
        _, lowest, highest = _NUMBERS[name]
        if not (value.isascii() and value.isdigit() and len(value) < 10 and lowest <= int(value) <= highest):
            raise invalid_attribute_value(name)
        return str(int(value))
    if name in _CHOICES:
        if value.lower() not in (choice.lower() for choice in _CHOICES[name]):
            raise invalid_attribute_value(name)
        return next(choice for choice in _CHOICES[name] if choice.lower() == value.lower())
    if name == "RedrivePolicy":
        return read_redrive_policy(value, key).text
    if name == "RedriveAllowPolicy":
        return read_redrive_allow_policy(value).text
    if name == "Policy":
        return _checked_policy(value)
    return value


def _checked_policy(text: str) -> str:
    try:
        document = parse_policy(text)
    except MalformedPolicyError:
        raise invalid_attribute_value("Policy") from None
    if len(document.statements) > MAX_STATEMENTS:
        raise too_many_statements(len(document.statements), MAX_STATEMENTS)
    for statement in document.statements:
        names_nobody = statement.principals is None and statement.not_principals is None
        if names_nobody or not (statement.actions or statement.not_actions):
            raise invalid_attribute_value("Policy")
    return text


def _check_encryption(given: Mapping[str, str], result: dict[str, str]) -> None:
    """One kind at a time: a key of KMS turns SQS's own encryption off."""
    if "KmsMasterKeyId" not in result:
        return
    if given.get("SqsManagedSseEnabled", "").lower() == "true":
        raise invalid_attribute_name(
            "You can use one type of server-side encryption (SSE) at one time. "
            "You can either enable KMS SSE or SQS SSE."
        )
    result["SqsManagedSseEnabled"] = "false"
