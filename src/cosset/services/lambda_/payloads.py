"""Whether a payload is JSON, and AWS's sentence when it is not.

AWS's own parser is Jackson, so the sentences follow it: what it met, and where it stood, counted in bytes. Numbers,
texts, true and null are JSON too. NaN and Infinity, which Python would take, are not.
"""

import json
import unicodedata
from typing import NoReturn

from cosset.wire.errors import ServiceError

MAX_DEPTH = 1000
_EXPECTED = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
_SHOWN_BYTES = 500
_SHOWN_TOKEN = 256
# What Jackson says of a character where Python's parser says this.
_SENTENCES = {
    "Expecting property name enclosed in double quotes": "was expecting double-quote to start field name",
    "Illegal trailing comma before end of object": "was expecting double-quote to start field name",
    "Expecting ',' delimiter": "was expecting comma to separate entries",
    "Expecting ':' delimiter": "was expecting a colon to separate field name and value",
    "Invalid control character at": "has to be escaped using backslash to be included in string value",
}


class _ConstantError(ValueError):
    """Python's parser met NaN or an Infinity, which are not JSON."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


_STRICT = json.JSONDecoder(parse_constant=_refuse_constant)


def check_json(payload: bytes) -> None:
    """Raises:
    ServiceError: InvalidRequestContentException.
    """
    try:
        _STRICT.decode(payload.decode())
    except RecursionError as error:
        what = (
            f"Document nesting depth ({MAX_DEPTH + 1}) exceeds the maximum allowed ({MAX_DEPTH}, "
            "from `StreamReadConstraints.getMaxNestingDepth()`)"
        )
        raise _not_json(payload, what, 0) from error
    except ValueError as error:
        raise _explain(payload) from error


def _explain(payload: bytes) -> ServiceError:
    """What is wrong with a payload that is known not to be JSON."""
    text = payload.decode("latin-1")  # so that a position is a byte's
    try:
        _STRICT.decode(text)
    except json.JSONDecodeError as error:
        at_end = error.msg.startswith("Unterminated string") or not text[error.pos :].strip()
        position, sentence = (len(text) if at_end else error.pos), _SENTENCES.get(error.msg)
        if error.msg == "Extra data" and text[position - 1].isdigit():
            sentence = "Expected space separating root-level values"
        if error.msg.startswith("Invalid \\escape") and position + 1 < len(text):
            escape = text[position + 1]
            return _not_json(payload, f"Unrecognized character escape '{escape}' (code {ord(escape)})", position + 2)
    except _ConstantError as error:
        what = f"Non-standard token '{error.name}': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow"
        return _not_json(payload, what, text.index(error.name) + len(error.name))
    except ValueError:  # an integer of thousands of digits, which Python refuses to convert
        return _not_json(payload, "Number value length exceeds the maximum allowed", 0)
    else:
        position, sentence = len(text), None
    broken = _broken_text(payload, 0, position)
    if broken is not None:
        return broken
    if position == len(text):
        return _not_json(payload, "Unexpected end-of-input", position)
    if sentence is None and _starts_identifier(text[position]):
        return _unrecognized_token(payload, position)
    return _unexpected_character(payload, position, sentence or f"expected a valid value {_EXPECTED}")


def _broken_text(payload: bytes, start: int, end: int) -> ServiceError | None:
    """The first byte before `end` that is no UTF-8, if there is one."""
    try:
        payload[start:end].decode()
    except UnicodeDecodeError as error:
        if error.reason == "invalid start byte":
            bad, kind = start + error.start, "start"
        elif start + error.end < len(payload):
            bad, kind = start + error.end, "middle"
        else:
            return _not_json(payload, "Unexpected end-of-input", len(payload))
        return _not_json(payload, f"Invalid UTF-8 {kind} byte 0x{payload[bad]:02x}", bad + 1)
    return None


def _unrecognized_token(payload: bytes, position: int) -> ServiceError:
    """The parser reads on to the end of the word, and one character more; the first byte it takes as it is."""
    word = chr(payload[position])
    rest = payload[position + 1 :].decode(errors="surrogateescape")
    length = 0
    while length < len(rest) and _continues_identifier(rest[length]) and length < _SHOWN_TOKEN - 1:
        length += 1
    read = position + 1 + len(rest[:length].encode(errors="surrogateescape"))
    broken = _broken_text(payload, position + 1, read + 1) if read < len(payload) and payload[read] >= 0x80 else None
    if broken is not None:
        return broken
    more = "..." if length == _SHOWN_TOKEN - 1 else ""
    what = f"Unrecognized token '{word}{rest[:length]}{more}': was expecting {_EXPECTED}"
    return _not_json(payload, what, min(read + 1, len(payload)))


def _unexpected_character(payload: bytes, position: int, sentence: str) -> ServiceError:
    code = payload[position]
    shown = f"(CTRL-CHAR, code {code})" if unicodedata.category(chr(code)) == "Cc" else f"'{chr(code)}' (code {code})"
    noun = "Illegal unquoted character" if sentence.startswith("has to be escaped") else "Unexpected character"
    return _not_json(payload, f"{noun} ({shown}): {sentence}", position + 1)


def _starts_identifier(character: str) -> bool:
    return character.isalpha() or character == "_" or unicodedata.category(character) == "Sc"


def _continues_identifier(character: str) -> bool:
    return _starts_identifier(character) or character.isdigit()


def _not_json(payload: bytes, what: str, read: int) -> ServiceError:
    """`read` bytes had been read when the parser gave up: the position stands after them."""
    shown = payload[:_SHOWN_BYTES].decode(errors="replace")
    cut = f"[truncated {len(payload) - _SHOWN_BYTES} bytes]" if len(payload) > _SHOWN_BYTES else ""
    line = payload.count(b"\n", 0, read) + 1
    column = read - payload.rfind(b"\n", 0, read)
    return ServiceError(
        "InvalidRequestContentException",
        f"Could not parse request body into json: Could not parse payload into json: {what}\n"
        f' at [Source: (byte[])"{shown}"{cut}; line: {line}, column: {column}]',
        fields={"Type": "User"},
    )
