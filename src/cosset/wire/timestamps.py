"""Timestamps as AWS writes them: ISO 8601, RFC 822 (HTTP dates) and seconds since the epoch.

Inside Cosset a timestamp is an aware `datetime` in UTC; writers also take seconds since the epoch as a number.
Next: scalars.py.
"""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from cosset.wire.errors import SerializationError

ISO8601 = "iso8601"
EXACT = "iso8601 with milliseconds"
RFC822 = "rfc822"
UNIX = "unixTimestamp"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?([eE][+-]?\d{1,3})?", re.ASCII)
_HTTP_DATE = re.compile(
    r"\w{3}, (\d{1,2}) (\w{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))? (?:GMT|UTC|[+-]0000)", re.ASCII
)


def read_timestamp(value: Any) -> datetime:
    """Reads any of the three formats: which one a client chose is plain from the value, and AWS too is lenient here.

    Raises:
        SerializationError: the value is no point in time between the years 1 and 9999.
    """
    try:
        if isinstance(value, str):
            return _from_text(value.strip())
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _from_seconds(value)
    except (ValueError, OverflowError):
        pass
    raise SerializationError(f"Unable to parse timestamp: {str(value)[:100]}")


def _from_text(text: str) -> datetime:
    if _NUMBER.fullmatch(text):
        return _from_seconds(float(text))
    date = _HTTP_DATE.fullmatch(text)
    if date is None:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    day, month, year, hour, minute, second, fraction = date.groups()
    micros = int((fraction or "0").ljust(6, "0")[:6])
    return datetime(
        int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), micros, tzinfo=UTC
    )


def _from_seconds(seconds: float) -> datetime:
    if not math.isfinite(seconds):
        raise ValueError("not a point in time")
    # Milliseconds are the finest that AWS keeps: rounding to them undoes what a float does to the fraction.
    return _EPOCH + timedelta(milliseconds=round(seconds * 1000))


def as_datetime(value: Any) -> datetime:
    """What a handler gave as a timestamp: a `datetime` (naive means UTC) or seconds since the epoch."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return _from_seconds(value)


def write_iso8601(value: Any, *, exact: bool = False) -> str:
    """`exact`: with milliseconds, also where they are none."""
    moment = as_datetime(value)
    stem = (
        f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"
        f"T{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"
    )
    millis = moment.microsecond // 1000
    return f"{stem}.{millis:03d}Z" if millis or exact else f"{stem}Z"


def write_rfc822(value: Any) -> str:
    moment = as_datetime(value)
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day:02d} {_MONTHS[moment.month - 1]} {moment.year:04d} "
        f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d} GMT"
    )


def write_epoch(value: Any) -> int | float:
    """Seconds, whole where they are whole, else with milliseconds."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    millis = (as_datetime(value) - _EPOCH) // timedelta(milliseconds=1)
    return millis // 1000 if millis % 1000 == 0 else millis / 1000


def write_timestamp(value: Any, timestamp_format: str) -> str:
    if timestamp_format in (ISO8601, EXACT):
        return write_iso8601(value, exact=timestamp_format == EXACT)
    if timestamp_format == RFC822:
        return write_rfc822(value)
    return str(write_epoch(value))
