"""Whether a payload is JSON, and AWS's sentence when it is not.

AWS's own parser is Jackson, so the sentences follow it: what it met, where it stood. Numbers, texts, true and null
are JSON too. NaN and Infinity, which Python would take, are not.
"""

import json
import re
from typing import Any, NoReturn

from cosset.wire.errors import ServiceError

MAX_DEPTH = 1000
_EXPECTED = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
_TOKEN = re.compile(r"[A-Za-z0-9_$.+-]+")
_SHOWN_TOKEN = 256


def check_json(payload: bytes) -> None:
    """Raises:
    ServiceError: InvalidRequestContentException.
    """
    try:
        text = payload.decode()
        json.loads(text, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise _not_json(f"Invalid UTF-8 start byte 0x{payload[error.start]:02x}", payload[: error.start]) from error
    except json.JSONDecodeError as error:
        raise _not_json(_describe(text, error.pos), text[: error.pos].encode()) from error
    except RecursionError as error:
        raise _not_json(
            f"Document nesting depth ({MAX_DEPTH + 1}) exceeds the maximum allowed ({MAX_DEPTH}, "
            "from `StreamReadConstraints.getMaxNestingDepth()`)",
            b"",
        ) from error


def _describe(text: str, position: int) -> str:
    rest = text[position:]
    if not rest.strip():
        return "Unexpected end-of-input"
    token = _TOKEN.match(rest)
    if token and token[0][0].isalpha():
        return f"Unrecognized token '{token[0][:_SHOWN_TOKEN]}': was expecting {_EXPECTED}"
    return f"Unexpected character ('{rest[0]}' (code {ord(rest[0])})): expected a valid value {_EXPECTED}"


def _refuse_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)


def _not_json(what: str, before: bytes) -> ServiceError:
    line = before.count(b"\n") + 1
    column = len(before) - (before.rfind(b"\n") + 1) + 1
    return ServiceError(
        "InvalidRequestContentException",
        f"Could not parse request body into json: Could not parse payload into json: {what}\n"
        f" at [Source: (byte[]); line: {line}, column: {column}]",
        fields=_USER,
    )


_USER: dict[str, Any] = {"Type": "User"}
