"""Functions of S3's SQL by their names, each of values; what they are called with is checked where they are called.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-sql-functions.html
"""

import calendar
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cosset.services.s3.select.errors import wrong_arguments
from cosset.services.s3.select.values import as_number, cast, is_absent

Function = Callable[..., Any]
_MONTHS = {"YEAR": 12, "MONTH": 1}
_SECONDS = {"DAY": 86_400, "HOUR": 3_600, "MINUTE": 60, "SECOND": 1}
PARTS = frozenset({*_MONTHS, *_SECONDS, "TIMEZONE_HOUR", "TIMEZONE_MINUTE"})


def _text(value: Any, name: str) -> str:
    """Raises ServiceError EvaluatorInvalidArguments."""
    if not isinstance(value, str):
        raise wrong_arguments(name)
    return value


def _moment(value: Any, name: str) -> datetime:
    found = cast(value, "TIMESTAMP") if isinstance(value, str | datetime) else None
    if found is None:
        raise wrong_arguments(name)
    return found  # type: ignore[no-any-return]


def substring(value: Any, start: Any, length: Any = None) -> str:
    """From 1 on; what is before the text counts as length."""
    text, first = _text(value, "SUBSTRING"), int(as_number(start)) - 1
    if length is None:
        return text[max(first, 0) :]
    count = int(as_number(length))
    if count < 0:
        raise wrong_arguments("SUBSTRING")
    return text[max(first, 0) : max(first + count, 0)]


def trim(side: str, characters: Any, value: Any) -> str:
    text, which = _text(value, "TRIM"), _text(characters, "TRIM")
    if side in ("LEADING", "BOTH"):
        text = text.lstrip(which)
    return text.rstrip(which) if side in ("TRAILING", "BOTH") else text


def date_add(part: str, quantity: Any, value: Any) -> datetime:
    moment, count = _moment(value, "DATE_ADD"), int(as_number(quantity))
    try:
        if part in _SECONDS:
            return moment + timedelta(seconds=count * _SECONDS[part])
        months = moment.year * 12 + moment.month - 1 + count * _MONTHS[part]
        year, month = divmod(months, 12)
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        return moment.replace(year=year, month=month + 1, day=day)
    except (OverflowError, ValueError, KeyError, calendar.IllegalMonthError):
        raise wrong_arguments("DATE_ADD") from None


def date_diff(part: str, one: Any, other: Any) -> int:
    """How many whole parts from the one to the other."""
    first, second = _moment(one, "DATE_DIFF"), _moment(other, "DATE_DIFF")
    if part in _SECONDS:
        return int((second - first).total_seconds() / _SECONDS[part])
    if part not in _MONTHS:
        raise wrong_arguments("DATE_DIFF")
    sign = 1 if second >= first else -1
    early, late = (first, second) if sign > 0 else (second, first)
    months = (late.year - early.year) * 12 + late.month - early.month
    rest_early = (early.day, early.hour, early.minute, early.second, early.microsecond)
    if (late.day, late.hour, late.minute, late.second, late.microsecond) < rest_early:
        months -= 1
    return sign * (months // _MONTHS[part])


def extract(part: str, value: Any) -> int:
    moment = _moment(value, "EXTRACT")
    if part.startswith("TIMEZONE"):
        minutes = int((moment.utcoffset() or timedelta()).total_seconds()) // 60
        hours = int(minutes / 60)
        return hours if part == "TIMEZONE_HOUR" else minutes - hours * 60
    return int(getattr(moment, part.lower()))


_PATTERN = re.compile(r"'([^']*)'|y+|M+|d+|a|h+|H+|m+|s+|S+|n|X+|x+|[^A-Za-z]")


def to_string(value: Any, pattern: Any) -> str:
    moment, given = _moment(value, "TO_STRING"), _text(pattern, "TO_STRING")
    out, at = "", 0
    while at < len(given):
        found = _PATTERN.match(given, at)
        if found is None:
            raise wrong_arguments("TO_STRING")
        out += found[1] if found[1] is not None else _written(moment, found[0])
        at = found.end()
    return out


def _written(moment: datetime, letters: str) -> str:
    first, width = letters[0], len(letters)
    numbers = {"d": moment.day, "H": moment.hour, "h": moment.hour % 12 or 12, "m": moment.minute, "s": moment.second}
    if first in numbers:
        return f"{numbers[first]:0{width}d}"
    if first == "y":
        return f"{moment.year % 100:02d}" if width == 2 else f"{moment.year:0{width}d}"
    if first == "M":
        names = {3: calendar.month_abbr, 4: calendar.month_name, 5: calendar.month_name}
        if width in names:
            name = str(names[width][moment.month])
            return name[0] if width == 5 else name
        return f"{moment.month:0{width}d}"
    if first == "a":
        return "AM" if moment.hour < 12 else "PM"
    if first == "S":
        return f"{moment.microsecond:06d}000"[:width].ljust(width, "0")
    if first == "n":
        return str(moment.microsecond * 1000)
    return _zone(moment, first, width) if first in "Xx" else letters


def _zone(moment: datetime, letter: str, width: int) -> str:
    minutes = int((moment.utcoffset() or timedelta()).total_seconds()) // 60
    if not minutes and letter == "X":
        return "Z"
    sign, hours, rest = "-" if minutes < 0 else "+", abs(minutes) // 60, abs(minutes) % 60
    if width == 1:
        return f"{sign}{hours:02d}" + (f"{rest:02d}" if rest else "")
    return f"{sign}{hours:02d}{':' if width in (3, 5) else ''}{rest:02d}"


@lru_cache(maxsize=64)
def like_pattern(pattern: str, escape: str | None) -> tuple[str, ...]:
    """Characters one by one; `%` and `_` themselves stand behind a backslash. Raises ServiceError."""
    found: list[str] = []
    characters = iter(pattern)
    for each in characters:
        if escape is not None and each == escape:
            following = next(characters, None)
            if following is None:
                raise wrong_arguments("LIKE")
            found.append(f"\\{following}")
        else:
            found.append(each if each in "%_" else f"\\{each}")
    return tuple(found)


def is_like(text: str, pattern: tuple[str, ...]) -> bool:
    """No pattern makes it take longer than the text times the pattern."""
    at = place = 0
    star, resumed = -1, 0
    while at < len(text):
        wanted = pattern[place] if place < len(pattern) else ""
        if wanted == "%":
            star, resumed = place, at
            place += 1
        elif wanted == "_" or wanted == f"\\{text[at]}":
            at, place = at + 1, place + 1
        elif star >= 0:
            resumed += 1
            at, place = resumed, star + 1
        else:
            return False
    return all(each == "%" for each in pattern[place:])


def coalesce(*values: Any) -> Any:
    return next((value for value in values if not is_absent(value)), None)


def nullif(one: Any, other: Any) -> Any:
    return None if one == other else one


PLAIN: Mapping[str, tuple[Function, int, int]] = {
    "CHAR_LENGTH": (lambda value: len(_text(value, "CHAR_LENGTH")), 1, 1),
    "CHARACTER_LENGTH": (lambda value: len(_text(value, "CHARACTER_LENGTH")), 1, 1),
    "LOWER": (lambda value: _text(value, "LOWER").lower(), 1, 1),
    "UPPER": (lambda value: _text(value, "UPPER").upper(), 1, 1),
    "TO_STRING": (to_string, 2, 2),
    "TO_TIMESTAMP": (lambda value: _moment(_text(value, "TO_TIMESTAMP"), "TO_TIMESTAMP"), 1, 1),
}
"""With the fewest and the most arguments; where one of these is NULL or MISSING nothing is called."""
OF_ANYTHING: Mapping[str, tuple[Function, int, int]] = {"COALESCE": (coalesce, 1, 64), "NULLIF": (nullif, 2, 2)}
