"""IAM's lists: a page of at most MaxItems, and a marker for what follows. Lists are sorted by their key."""

import base64
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from cosset.services.iam.errors import validation_error

T = TypeVar("T")

_DEFAULT_ITEMS = 100


def page(
    member: str, items: Iterable[T], key: Callable[[T], str], show: Callable[[T], Any], params: dict[str, Any]
) -> dict[str, Any]:
    """One page of `items` as the result's list `member`, with IsTruncated, and Marker when there is more.

    Raises:
        ServiceError: ValidationError for a marker that no list gave.
    """
    after = _read_marker(params.get("Marker"))
    ordered = sorted((item for item in items if after is None or key(item) > after), key=key)
    limit = params.get("MaxItems", _DEFAULT_ITEMS)
    shown = ordered[:limit]
    result: dict[str, Any] = {member: [show(item) for item in shown], "IsTruncated": len(ordered) > len(shown)}
    if result["IsTruncated"]:
        result["Marker"] = base64.b64encode(key(shown[-1]).encode()).decode("ascii")
    return result


def _read_marker(marker: str | None) -> str | None:
    if marker is None:
        return None
    try:
        return base64.b64decode(marker.encode(), validate=True).decode()
    except ValueError:
        raise validation_error(f"Invalid Marker: {marker}") from None
