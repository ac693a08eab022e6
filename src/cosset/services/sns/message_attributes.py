"""Message attributes as a caller gives them: checked in SNS's own sentences, and in the form that is kept.

Recorded: test_empty_or_wrong_message_attributes.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from cosset.services.sns.model import MessageAttribute
from cosset.wire.errors import ServiceError, ValidationError

_NAME = re.compile(r"[A-Za-z0-9_.-]")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_PREFIXES = ("Binary", "Number", "String")


def read_attributes(given: Mapping[str, Mapping[str, Any]], place: str) -> dict[str, MessageAttribute]:
    """`place` is what a violation calls them. Raises ServiceError ParameterValueInvalid, ValidationError."""
    read: dict[str, MessageAttribute] = {}
    for name, value in given.items():
        if "DataType" not in value:
            violation = (
                f"Value null at '{place}.{name}.member.dataType' failed to satisfy constraint: Member must not be null"
            )
            raise ValidationError([violation], "ValidationError")
        _check_name(name)
        read[name] = _attribute(name, value)
    return read


def size_of(attributes: Mapping[str, MessageAttribute]) -> int:
    """Bytes that count towards the size of the message."""
    total = 0
    for name, attribute in attributes.items():
        value = base64.b64decode(attribute.value) if attribute.kind == "Binary" else attribute.value.encode()
        total += len(name.encode()) + len(attribute.data_type.encode()) + len(value)
    return total


def _attribute(name: str, value: Mapping[str, Any]) -> MessageAttribute:
    data_type = value["DataType"]
    prefix = data_type.split(".")[0]
    if prefix not in _PREFIXES or len(data_type) > 256:
        raise _refuse(
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported type "
            "prefixes is Binary, Number, and String."
        )
    text, binary = value.get("StringValue"), value.get("BinaryValue")
    wanted, other, field = (binary, text, "Binary") if prefix == "Binary" else (text, binary, "String")
    if not wanted:
        if other:
            raise _refuse(f"The message attribute '{name}' with type '{prefix}' must use field '{field}'.")
        raise _refuse(
            f"The message attribute '{name}' must contain non-empty message attribute value for message attribute "
            f"type '{prefix}'."
        )
    if prefix == "Binary":
        return MessageAttribute(data_type, base64.b64encode(wanted).decode())
    if prefix == "Number" and not (_NUMBER.fullmatch(wanted) and len(wanted) <= 256):
        raise _refuse(f"Could not cast message attribute '{name}' value to number.")
    if data_type == "String.Array":
        _check_array(name, wanted)
    return MessageAttribute(data_type, wanted)


def _check_array(name: str, text: str) -> None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(each is None or isinstance(each, str | int | float) for each in found):
        raise _refuse(f"The message attribute '{name}' with type 'String.Array' must be a JSON array of primitives.")


def _check_name(name: str) -> None:
    if len(name.encode()) > 256 or not name:
        raise _refuse("Length of message attribute name must be less than 256 bytes.")
    for character in name:
        if not _NAME.fullmatch(character):
            raise _refuse(
                f"Invalid non-alphanumeric character '#x{ord(character):X}' was found in the message attribute name. "
                "Can only include alphanumeric characters, hyphens, underscores, or dots."
            )
    if name.startswith("."):
        raise _refuse("Invalid message attribute name starting with character '.' was found.")
    if name.endswith("."):
        raise _refuse("Invalid message attribute name ending with character '.' was found.")
    if ".." in name:
        raise _refuse("Message attribute name can not have successive '.' character.")


def _refuse(sentence: str) -> ServiceError:
    return ServiceError("ParameterValueInvalid", sentence)
