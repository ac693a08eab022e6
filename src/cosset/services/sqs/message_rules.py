"""What SQS takes as a message: characters, sizes, attributes, groups. Sentences as AWS says them.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html and recorded:
test_send_message_with_empty_string_attribute, test_posting_to_fifo_requires_deduplicationid_group_id,
test_send_message_to_standard_queue_with_invalid_message_group_id.
"""

import re
from collections.abc import Mapping

from cosset.services.sqs.attributes import Settings
from cosset.services.sqs.errors import invalid_parameter, invalid_value, missing_parameter
from cosset.services.sqs.model import AttributeValue, NewMessage
from cosset.wire.errors import ServiceError

MAX_ATTRIBUTES = 10
MAX_DELAY_S = 900
_ALLOWED = "#x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]"
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}", re.ASCII)
_TYPE = re.compile(r"(String|Number|Binary)(\..+)?", re.ASCII | re.DOTALL)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_GROUP = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}", re.ASCII)
_NOT_FOR_THIS_TYPE = "The request include parameter that is not valid for this queue type."


def check_message(message: NewMessage, settings: Settings, *, in_batch: bool = False) -> None:
    """Raises ServiceError for what the queue does not take."""
    check_body(message.body)
    _check_attributes(message.attributes)
    if message.delay_s is not None and not 0 <= message.delay_s <= MAX_DELAY_S:
        reason = f"DelaySeconds must be >= 0 and <= {MAX_DELAY_S}."
        raise invalid_value(message.delay_s, "DelaySeconds", reason)
    size = size_of(message)
    if size > settings.max_bytes:
        verb = "cannot be validated" if in_batch else "are invalid"
        raise invalid_parameter(
            f"One or more parameters {verb}. Reason: Message must be shorter than {settings.max_bytes} bytes."
        )


def check_body(body: str) -> None:
    if not body:
        raise missing_parameter("MessageBody")
    illegal = _ILLEGAL.search(body)
    if illegal is not None:
        raise ServiceError(
            "InvalidMessageContents",
            f"Invalid binary character '#x{ord(illegal[0]):X}' was found in the message body, "
            f"the set of allowed characters is {_ALLOWED}.",
        )


def check_order(message: NewMessage, settings: Settings) -> None:
    """Group, deduplication and delay, by the kind of the queue. A batch is refused whole for these."""
    group, deduplication_id = message.group_id, message.deduplication_id
    if settings.is_fifo:
        if group is None:
            raise missing_parameter("MessageGroupId")
        if message.delay_s:
            raise invalid_value(message.delay_s, "DelaySeconds", _NOT_FOR_THIS_TYPE)
    elif deduplication_id is not None:
        raise invalid_value(deduplication_id, "MessageDeduplicationId", _NOT_FOR_THIS_TYPE)
    for name, value in (("MessageGroupId", group), ("MessageDeduplicationId", deduplication_id)):
        if value is not None:
            check_group_text(name, value)
    if settings.is_fifo and deduplication_id is None and not settings.deduplicates_by_content:
        raise invalid_parameter(
            "The queue should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly"
        )


def check_group_text(name: str, value: str) -> None:
    """Raises ServiceError InvalidParameterValue."""
    if not _GROUP.fullmatch(value):
        reason = f"{name} can only include alphanumeric and punctuation characters. 1 to 128 in length."
        raise invalid_value(value, name, reason)


def size_of(message: NewMessage) -> int:
    """Bytes that count: the body, and names, types and values of the attributes."""
    size = len(message.body.encode("utf-8", "surrogatepass"))
    for name, value in message.attributes.items():
        size += len(name.encode()) + len(value.data_type.encode())
        size += len(value.binary if value.binary is not None else (value.string or "").encode("utf-8", "surrogatepass"))
    return size


def _check_attributes(attributes: Mapping[str, AttributeValue]) -> None:
    if len(attributes) > MAX_ATTRIBUTES:
        raise invalid_parameter(
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [{MAX_ATTRIBUTES}]."
        )
    for name, value in attributes.items():
        check_attribute_name(name)
        check_attribute(name, value)


def check_attribute_name(name: str) -> None:
    if not name:
        raise invalid_parameter("The request must contain non-empty message (user) attribute names.")
    if len(name) > 256:
        raise invalid_parameter("The length of message (user) attribute name must be between 1 and 256 characters.")
    if not _ATTRIBUTE_NAME.fullmatch(name):
        raise invalid_parameter(
            "Message (user) attributes name can only contain upper and lower score characters, digits, periods, "
            "hyphens and underscores."
        )
    if name.lower().startswith(("aws.", "amazon.")):
        raise invalid_parameter(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. "
            "These strings are reserved for internal use."
        )
    if name[0] == "." or name[-1] == "." or ".." in name:
        raise invalid_parameter(
            "Message (user) attribute names can't start or end with a period, or have periods in succession."
        )


def check_attribute(name: str, value: AttributeValue, kind: str = "user") -> None:
    called = f"essage ({kind}) attribute '{name}'"
    if not value.data_type:
        raise invalid_parameter(f"M{called} must contain a non-empty attribute type.")
    match = _TYPE.fullmatch(value.data_type)
    if match is None:
        raise invalid_parameter(
            f"The type of m{called} is invalid. You must use only the following supported type prefixes: "
            "Binary, Number, String."
        )
    if len(value.data_type) > 256:
        raise invalid_parameter(f"The length of the type of m{called} must be between 1 and 256 characters.")
    given = value.binary if match[1] == "Binary" else value.string
    if not given or (value.binary if match[1] != "Binary" else value.string):
        raise invalid_parameter(f"M{called} must contain a non-empty value of type '{match[1]}'.")
    if isinstance(given, str) and (illegal := _ILLEGAL.search(given)) is not None:
        raise invalid_parameter(
            f"Invalid binary character '#x{ord(illegal[0]):X}' was found in the value of m{called}, "
            f"the set of allowed characters is {_ALLOWED}."
        )
    if match[1] == "Number" and not _NUMBER.fullmatch(str(given)):
        raise invalid_parameter(f"Can't cast the value of m{called} to a number.")
