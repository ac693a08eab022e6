"""The policy document of a posted form: what its signer allows the form to be. Recorded: TestS3PresignedPost.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cosset.wire.errors import ServiceError

_UNCHECKED = frozenset({"policy", "file", "signature", "awsaccesskeyid", "x-amz-signature", "x-amz-algorithm"})
_RANGE = "content-length-range"
_DOLLAR = re.compile(r"(?<!\\)((?:\\\\)*)\\\$")
"""A dollar sign that is no variable is escaped, which JSON has no word for."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class SizeRange:
    least: int = 0
    most: int = 5 * 1024**3


def check_policy(encoded: str, fields: Mapping[str, str], now_ms: int) -> SizeRange:
    """How large the file may be. `fields` with `bucket`, by lower-case names.

    Raises: ServiceError AccessDenied, InvalidPolicyDocument.
    """
    document = _read(encoded)
    if _expires_ms(document.get("expiration")) <= now_ms:
        raise _denied("Policy expired.")
    conditions = document.get("conditions")
    if not isinstance(conditions, list):
        raise _invalid("Policy missing conditions.")
    named: set[str] = set()
    sizes = SizeRange()
    for condition in conditions:
        if isinstance(condition, dict):
            if len(condition) != 1:
                sentence = "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."
                raise _invalid(sentence)
            ((name, value),) = condition.items()
            condition = ["eq", f"${name}", value]
        if not isinstance(condition, list) or len(condition) != 3:
            raise _invalid("Invalid JSON.")
        if str(condition[0]).lower() == _RANGE:
            sizes = _size_range(condition)
        else:
            named.add(_check_condition(condition, fields))
    extra = [
        name for name in fields if name not in named and name not in _UNCHECKED and not name.startswith("x-ignore-")
    ]
    if extra:
        raise _denied(f"Extra input fields: {', '.join(sorted(extra))}")
    return sizes


def _check_condition(condition: list[Any], fields: Mapping[str, str]) -> str:
    """The field that it is about."""
    operator, subject, value = (str(each) if isinstance(each, int | float) else each for each in condition)
    failed = _denied(f"Policy Condition failed: {_shown(condition)}")
    if not all(isinstance(each, str) for each in (operator, subject, value)) or not subject.startswith("$"):
        raise failed
    name = subject[1:].lower()
    given = fields.get(name, "")
    kind = operator.lower()
    if kind == "eq" and given != value:
        raise failed
    if kind == "starts-with" and not all(each.startswith(value) for each in _parts(name, given)):
        raise failed
    if kind not in ("eq", "starts-with"):
        raise failed
    return str(name)


def _parts(name: str, given: str) -> list[str]:
    """A list of content types begins as wanted where each of them does."""
    return [each.strip() for each in given.split(",")] if name == "content-type" else [given]


def _size_range(condition: list[Any]) -> SizeRange:
    try:
        least, most = int(condition[1]), int(condition[2])
    except (TypeError, ValueError):
        raise _denied(f"Policy Condition failed: {_shown(condition)}") from None
    return SizeRange(least, most)


def _shown(condition: list[Any]) -> str:
    return "[" + ", ".join(json.dumps(each if isinstance(each, str) else str(each)) for each in condition) + "]"


def _read(encoded: str) -> Mapping[str, Any]:
    try:
        document = json.loads(_DOLLAR.sub(r"\1$", b64decode(encoded, validate=False).decode()))
    except (ValueError, binascii.Error, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    return document


def _expires_ms(text: Any) -> int:
    if text is None:
        raise _invalid("Policy missing expiration.")
    try:
        if _TIME.fullmatch(str(text)) is None:
            raise ValueError(text)
        found = datetime.fromisoformat(str(text))
    except ValueError:
        raise _invalid(f"Invalid 'expiration' value: '{str(text)[:100]}'") from None
    return int(found.timestamp() * 1000)


def _denied(why: str) -> ServiceError:
    return ServiceError("AccessDenied", f"Invalid according to Policy: {why}", status=403)


def _invalid(why: str) -> ServiceError:
    return ServiceError("InvalidPolicyDocument", f"Invalid Policy: {why}")
