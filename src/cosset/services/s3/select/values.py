"""What expressions come to: NULL (None), MISSING, and how values of several kinds meet.

Fields of CSV are texts: beside a number they count as the number that they spell.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final

from cosset.services.s3.select.errors import cast_failed, not_a_number

Number = int | float | Decimal


class Missing(Enum):
    """What a record does not have."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
_LONGEST = 400
LARGEST = 1_000
"""The largest power of ten that is counted with."""
_TIMESTAMP = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?T?(?:(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:\d\d)?", re.ASCII
)


def is_absent(value: Any) -> bool:
    return value is None or value is MISSING


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def read_number(text: str) -> Number | None:
    """None for what is none, or longer than anybody counts with."""
    if len(text) > _LONGEST:
        return None
    try:
        return int(text)
    except ValueError:
        return read_decimal(text)


def read_decimal(text: str) -> Decimal | None:
    try:
        found = Decimal(text.strip()) if len(text) <= _LONGEST else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() and abs(found.adjusted()) <= LARGEST else None


def as_number(value: Any) -> Number:
    """Raises ServiceError InvalidDataType."""
    if is_number(value):
        number: Number = value
        return number
    found = read_number(value) if isinstance(value, str) else None
    if found is None:
        raise not_a_number(value)
    return found


def alike(one: Any, other: Any) -> tuple[Any, Any] | None:
    """Both as one kind, to be compared; None where they have none in common."""
    for given, beside, swapped in ((one, other, False), (other, one, True)):
        if not isinstance(given, str) or isinstance(beside, str):
            continue
        read: Any = None
        if is_number(beside):
            read = read_number(given)
        elif isinstance(beside, bool):
            read = {"true": True, "false": False}.get(given.lower())
        elif isinstance(beside, datetime):
            read = read_timestamp(given)
        if read is None:
            return None
        return (beside, read) if swapped else (read, beside)
    return (one, other) if type(one) is type(other) or (is_number(one) and is_number(other)) else None


def read_timestamp(text: str) -> datetime | None:
    found = _TIMESTAMP.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    written = f"{year}-{month or '01'}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}"
    written += f".{(fraction or '0')[:6].ljust(6, '0')}{(zone or 'Z').replace('Z', '+00:00')}"
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return None


def cast(value: Any, kind: str) -> Any:
    """Raises ServiceError CastFailed."""
    if is_absent(value):
        return value
    try:
        found = _CASTS[kind](value)
    except (ValueError, ArithmeticError, TypeError):
        found = None
    if found is None:
        raise cast_failed(value, kind)
    return found


def _to_int(value: Any) -> int | None:
    if not isinstance(value, str):
        return int(value)
    found = read_number(value)
    return None if found is None else int(found)


def _to_bool(value: Any) -> bool | None:
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else bool(value)


def _to_timestamp(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else read_timestamp(str(value))


def _to_decimal(value: Any) -> Decimal | None:
    return read_decimal(str(value))


def _to_float(value: Any) -> float | None:
    found = float(value)
    return found if math.isfinite(found) else None


_CASTS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("INT", "INTEGER"), _to_int),
    **dict.fromkeys(("STRING", "VARCHAR", "CHAR"), lambda value: write_text(value)),
    **dict.fromkeys(("FLOAT", "DOUBLE", "REAL"), _to_float),
    **dict.fromkeys(("DECIMAL", "NUMERIC"), _to_decimal),
    **dict.fromkeys(("BOOL", "BOOLEAN"), _to_bool),
    "TIMESTAMP": _to_timestamp,
}
KINDS = frozenset(_CASTS)


def write_text(value: Any) -> str:
    """As a field of CSV has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return write_time(value) if isinstance(value, datetime) else str(value)


def write_time(value: datetime) -> str:
    offset = value.strftime("%z")
    zone = "Z" if not value.utcoffset() else f"{offset[:3]}:{offset[3:]}"
    fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
    return value.strftime("%Y-%m-%dT%H:%M:%S") + fraction + zone
