"""Ranges of bytes. One range is honoured; what is no range, or several, is as if nothing was asked.

Recorded: test_get_object_range.
"""

import re

from cosset.services.s3.errors import invalid_argument
from cosset.services.s3.object_files import Span
from cosset.services.s3.versions import ObjectVersion
from cosset.wire.errors import ServiceError

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")

_COPY_RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})")
_COPY_RANGE_FORM = (
    "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based "
    "offsets of the first and last bytes to copy"
)


def read_range(header: str | None, size: int) -> Span | None:
    """The span that the header asks for, None for the whole. Raises ServiceError InvalidRange."""
    asked = _RANGE.fullmatch((header or "").strip())
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


def read_copy_range(header: str | None, size: int) -> Span | None:
    """Of `x-amz-copy-source-range`, which must lie within the source. Recorded: test_upload_part_copy_range.

    Raises: ServiceError InvalidArgument, InvalidRequest.
    """
    if header is None:
        return None
    asked = _COPY_RANGE.fullmatch(header)
    if asked is None or int(asked[2]) < int(asked[1]):
        raise invalid_argument(_COPY_RANGE_FORM, "x-amz-copy-source-range", header)
    first, last = int(asked[1]), int(asked[2])
    if first >= size:
        raise ServiceError("InvalidRequest", "The specified copy range is invalid for the source object size")
    if last >= size:
        sentence = f"Range specified is not valid for source object of size: {size}"
        raise invalid_argument(sentence, "x-amz-copy-source-range", header)
    return Span(first, last - first + 1)


def read_part(number: int, found: ObjectVersion) -> tuple[Span | None, int | None]:
    """The span of a part, and how many there are where it was uploaded in parts.

    Raises ServiceError InvalidPartNumber.
    """
    if found.parts is None:
        if number == 1:
            return (Span(0, found.size), None) if found.size else (None, None)
        count = 1
    else:
        count = len(found.parts)
        if number <= count:
            start = sum(part.size for part in found.parts[: number - 1])
            return Span(start, found.parts[number - 1].size), count
    fields = {"PartNumberRequested": str(number), "ActualPartCount": str(count)}
    raise ServiceError("InvalidPartNumber", "The requested partnumber is not satisfiable", status=416, fields=fields)


def content_range(span: Span, size: int) -> str:
    return f"bytes {span.start}-{span.start + span.length - 1}/{size}"


def unsatisfiable(asked: str, size: int) -> ServiceError:
    fields = {"RangeRequested": asked, "ActualObjectSize": str(size)}
    return ServiceError("InvalidRange", "The requested range is not satisfiable", status=416, fields=fields)
