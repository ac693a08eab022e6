"""Simple values as text: what headers, labels, query strings, forms and XML elements carry.

Makes one reader and one writer per shape, chosen once when an operation is compiled. Next: http_bindings.py,
xml_shapes.py, forms.py.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cosset.wire.errors import SerializationError
from cosset.wire.timestamps import read_timestamp, write_timestamp

if TYPE_CHECKING:
    from botocore.model import Shape

TextReader = Callable[[str], Any]
TextWriter = Callable[[Any], str]

_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SPECIAL_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

INTEGER_BITS = {"integer": 32, "long": 64}


def text_reader(shape: Shape) -> TextReader:
    """Text to value. Readers raise SerializationError for text that is no such value."""
    kind = shape.type_name
    if kind in INTEGER_BITS:
        return _integer_reader(INTEGER_BITS[kind])
    if kind in ("float", "double"):
        return read_float
    if kind == "boolean":
        return read_boolean
    if kind == "timestamp":
        return read_timestamp
    if kind == "blob":
        return read_base64
    return str


def text_writer(shape: Shape, timestamp_format: str) -> TextWriter:
    """Value to text. `timestamp_format` holds where the shape itself names none."""
    kind = shape.type_name
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    if kind in ("float", "double"):
        return write_float
    if kind == "timestamp":
        chosen = shape.serialization.get("timestampFormat", timestamp_format)
        return lambda value: write_timestamp(value, chosen)
    if kind == "blob":
        return write_base64
    return str


def _integer_reader(bits: int) -> TextReader:
    limit = 1 << (bits - 1)

    def read(text: str) -> int:
        if not _INTEGER.fullmatch(text) or not -limit <= (number := int(text)) < limit:
            raise SerializationError(f"Unable to parse number: {text[:100]}")
        return number

    return read


def read_float(text: str) -> float:
    special = _SPECIAL_FLOATS.get(text)
    if special is not None:
        return special
    if not _FLOAT.fullmatch(text):
        raise SerializationError(f"Unable to parse number: {text[:100]}")
    return float(text)


def write_float(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return repr(value) if isinstance(value, float) else str(value)


def read_boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ("true", "false"):
        raise SerializationError(f"Unable to parse boolean: {text[:100]}")
    return lowered == "true"


def read_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SerializationError("Invalid base64 encoding in a blob") from None


def write_base64(value: bytes | str) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode("ascii")


def read_json_header(text: str) -> Any:
    """A `jsonvalue` member bound to a header: JSON in base64."""
    try:
        return json.loads(read_base64(text))
    except (ValueError, RecursionError):
        raise SerializationError("Invalid JSON in a header that holds JSON") from None


def write_json_header(value: Any) -> str:
    return write_base64(json.dumps(value, separators=(",", ":")))
