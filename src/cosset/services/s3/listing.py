"""Walks the keys of a bucket in order, page by page, folding those below a delimiter into common prefixes.

A page costs what it shows, not what it skips: behind a common prefix the walk goes on with the first key after it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from cosset.services.s3.tables import s3_versions
from cosset.store.transaction import Transaction

_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Walk:
    """What to list: keys of `bucket` that begin with `prefix`, after `after` (a key, or a common prefix)."""

    bucket: str
    prefix: bytes = b""
    delimiter: bytes = b""
    after: bytes = b""
    includes_after: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list: an object, or a common prefix."""

    name: bytes
    row: Row[Any] | None = None

    @property
    def is_prefix(self) -> bool:
        return self.row is None


def list_latest(tx: Transaction, walk: Walk, limit: int) -> tuple[list[Entry], bool]:
    """Up to `limit` entries of current objects, and whether there are more."""
    found: list[Entry] = []
    for entry in _entries(tx, walk):
        if len(found) == limit:
            return found, True
        found.append(entry)
    return found, False


def _entries(tx: Transaction, walk: Walk) -> Iterator[Entry]:
    at, inclusive = max(walk.after, b""), walk.includes_after
    if walk.prefix > at:
        at, inclusive = walk.prefix, True
    if walk.delimiter and walk.after and (folded := _fold(walk, walk.after)) == walk.after:
        at, inclusive = _beyond(folded), True  # the page before ended with this common prefix
    columns = s3_versions.c
    shown = (columns.key, columns.size, columns.etag, columns.modified_ms, columns.facts)
    while True:
        query = select(*shown).where(
            columns.bucket == walk.bucket,
            columns.is_latest,
            columns.is_marker.is_(False),
            columns.key >= at if inclusive else columns.key > at,
        )
        end = _beyond(walk.prefix) if walk.prefix else b""
        query = query.where(columns.key < end) if end else query
        rows = tx.execute(query.order_by(columns.key).limit(_BATCH)).all()
        for row in rows:
            key = bytes(row.key)
            folded = _fold(walk, key)
            if folded is not None:
                yield Entry(folded)
                at, inclusive = _beyond(folded), True
                break
            yield Entry(key, row)
            at, inclusive = key, False
        else:
            if len(rows) < _BATCH:
                return
        if not at:
            return


def _fold(walk: Walk, key: bytes) -> bytes | None:
    """The common prefix that stands for the key, None where it stands for itself."""
    if not walk.delimiter or not key.startswith(walk.prefix):
        return None
    end = key.find(walk.delimiter, len(walk.prefix))
    return None if end < 0 else key[: end + len(walk.delimiter)]


def _beyond(prefix: bytes) -> bytes:
    """The first key that does not begin with the prefix; empty where there is none."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else b""
