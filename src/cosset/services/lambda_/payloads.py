"""Whether a payload is JSON, and AWS's sentence when it is not.

AWS's own parser is Jackson, so the sentences follow it: what it met, where it stood. Numbers, texts, true and null
are JSON too. NaN and Infinity, which Python would take, are not.
"""

import json
import re
from typing import NoReturn

from cosset.wire.errors import ServiceError

MAX_DEPTH = 1000
_EXPECTED = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
_WORD = re.compile(r"[^\W\d][\w$]*")
_SHOWN_BYTES = 500
_SHOWN_WORD = 256
# What Jackson says where Python's parser says this.
_SENTENCES = {
    "Expecting property name enclosed in double quotes": "was expecting double-quote to start field name",
    "Expecting ',' delimiter": "was expecting comma to separate entries",
    "Expecting ':' delimiter": "was expecting a colon to separate field name and value",
}


class _ConstantError(Exception):
    """Python's parser met NaN or an Infinity, which are not JSON."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def check_json(payload: bytes) -> None:
    """Raises:
    ServiceError: InvalidRequestContentException.
    """
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        what = f"Invalid UTF-8 start byte 0x{payload[error.start]:02x}"
        raise _not_json(payload, what, payload[: error.start + 1].decode(errors="replace")) from error
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except _ConstantError as error:
        what = f"Unrecognized token '{error.name}': was expecting {_EXPECTED}"
        raise _not_json(payload, what, text[: text.index(error.name) + len(error.name)]) from error
    except json.JSONDecodeError as error:
        what, length = _describe(text, error)
        raise _not_json(payload, what, text[: error.pos + length]) from error
    except RecursionError as error:
        what = (
            f"Document nesting depth ({MAX_DEPTH + 1}) exceeds the maximum allowed ({MAX_DEPTH}, "
            "from `StreamReadConstraints.getMaxNestingDepth()`)"
        )
        raise _not_json(payload, what, "") from error
    except ValueError as error:  # an integer of thousands of digits, which Python refuses to convert
        raise _not_json(payload, "Number value length exceeds the maximum allowed", "") from error


def _describe(text: str, error: json.JSONDecodeError) -> tuple[str, int]:
    """What is wrong, and how many characters of it the parser has read."""
    rest = text[error.pos :]
    if not rest.strip() or error.msg.startswith("Unterminated string"):
        return "Unexpected end-of-input", len(rest)
    sentence = _SENTENCES.get(error.msg)
    if sentence is None and (word := _WORD.match(rest)):
        return f"Unrecognized token '{word[0][:_SHOWN_WORD]}': was expecting {_EXPECTED}", len(word[0])
    character = f"'{rest[0]}' (code {ord(rest[0])})" if rest[0] >= " " else f"(CTRL-CHAR, code {ord(rest[0])})"
    return f"Unexpected character ({character}): {sentence or f'expected a valid value {_EXPECTED}'}", 1


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


def _not_json(payload: bytes, what: str, read: str) -> ServiceError:
    """`read` is what the parser had read when it gave up: the position stands after it."""
    shown = payload[:_SHOWN_BYTES].decode(errors="replace")
    cut = f"[truncated {len(payload) - _SHOWN_BYTES} bytes]" if len(payload) > _SHOWN_BYTES else ""
    line = read.count("\n") + 1
    column = len(read) - read.rfind("\n")
    return ServiceError(
        "InvalidRequestContentException",
        f"Could not parse request body into json: Could not parse payload into json: {what}\n"
        f' at [Source: (byte[])"{shown}"{cut}; line: {line}, column: {column}]',
        fields={"Type": "User"},
    )
