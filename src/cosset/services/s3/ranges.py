"""Ranges of bytes. One range is honoured; what is no range, or several, is as if nothing was asked.

Recorded: test_get_object_range.
"""

import re

from cosset.services.s3.object_files import Span
from cosset.wire.errors import ServiceError

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")


def read_range(header: str | None, size: int) -> Span | None:
    """The span that the header asks for, None for the whole. Raises ServiceError InvalidRange."""
    asked = _RANGE.fullmatch(header or "")
    if asked is None or asked.groups() == ("", ""):
        return None
    first, last = asked.groups()
    if not first:
        length = min(int(last), size)
        if not length:
            raise unsatisfiable(header or "", size)
        return Span(size - length, length)
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise unsatisfiable(header or "", size)
    return Span(start, end - start + 1)


def content_range(span: Span, size: int) -> str:
    return f"bytes {span.start}-{span.start + span.length - 1}/{size}"


def unsatisfiable(asked: str, size: int) -> ServiceError:
    fields = {"RangeRequested": asked, "ActualObjectSize": str(size)}
    return ServiceError("InvalidRange", "The requested range is not satisfiable", status=416, fields=fields)
