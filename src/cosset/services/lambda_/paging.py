"""Markers: where the next page of a list begins, as a text that means nothing to the caller."""

import base64
import binascii
import json

from cosset.functions import errors

MAX_ITEMS = 50
"""What a page holds when the caller asks for no less, or for more (AWS's own limit)."""


def page_size(asked: int | None, *, at_most: int = MAX_ITEMS) -> int:
    return min(asked or at_most, at_most)


def write_marker(position: list[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def read_marker(marker: str | None, *, of: tuple[type, ...]) -> list[str | int] | None:
    """The position that a marker was made from, None without one.

    Raises:
        ServiceError: it is none of ours.
    """
    if not marker:
        return None
    try:
        position = json.loads(base64.urlsafe_b64decode(marker))
    except (binascii.Error, ValueError) as error:
        raise _bad_marker(marker) from error
    if not isinstance(position, list) or tuple(type(item) for item in position) != of:
        raise _bad_marker(marker)
    return position


def _bad_marker(marker: str) -> Exception:
    return errors.invalid_parameter(f"Invalid Marker: {marker}")
