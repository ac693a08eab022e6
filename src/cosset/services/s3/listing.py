"""Walks the keys of a bucket in order, page by page, folding those below a delimiter into common prefixes.

A page costs what it shows, not what it skips: behind a common prefix the walk goes on with the first key after it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, or_, select

from cosset.services.s3.tables import IS_LATEST, s3_versions
from cosset.store.transaction import Transaction

_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Walk:
    """What to list: keys of `bucket` that begin with `prefix`, after `after` (a key, or a common prefix).

    `below`, for lists of versions: of the key `after` itself those that are older than this number.
    """

    bucket: str
    prefix: bytes = b""
    delimiter: bytes = b""
    after: bytes = b""
    below: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list: an object, a version of one, or a common prefix."""

    name: bytes
    row: Row[Any] | None = None

    @property
    def is_prefix(self) -> bool:
        return self.row is None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a batch begins: with `key` itself or behind it; `below`: with the versions of it that are older."""

    key: bytes
    is_in: bool
    below: int | None = None


def list_latest(tx: Transaction, walk: Walk, limit: int) -> tuple[list[Entry], bool]:
    """Up to `limit` entries of current objects, and whether there are more."""
    columns = s3_versions.c
    shown = (columns.key, columns.seq, columns.size, columns.etag, columns.modified_ms, columns.facts)
    query = select(*shown).where(columns.bucket == walk.bucket, IS_LATEST, columns.is_marker.is_(False))
    return _take(_entries(tx, walk, limit, query.order_by(columns.key), by_version=False), limit)


def list_versions(tx: Transaction, walk: Walk, limit: int) -> tuple[list[Entry], bool]:
    """The same of all versions and delete markers, the newest of a key first."""
    columns = s3_versions.c
    shown = (columns.key, columns.seq, columns.version, columns.is_latest, columns.is_marker, columns.size)
    query = select(*shown, columns.etag, columns.modified_ms, columns.facts).where(columns.bucket == walk.bucket)
    return _take(_entries(tx, walk, limit, query.order_by(columns.key, columns.seq.desc()), by_version=True), limit)


def _take(entries: Iterator[Entry], limit: int) -> tuple[list[Entry], bool]:
    found: list[Entry] = []
    for entry in entries:
        if len(found) == limit:
            return found, True
        found.append(entry)
    return found, False


def _entries(tx: Transaction, walk: Walk, limit: int, query: Select[Any], *, by_version: bool) -> Iterator[Entry]:
    """In batches. What is below a common prefix is skipped: row by row in a batch, and the next begins behind it."""
    if end := beyond(walk.prefix):
        query = query.where(s3_versions.c.key < end)
    place, size, folded = _start(walk), limit + 1, None
    while place is not None:
        rows = tx.execute(_from(query, place).limit(size)).all()
        for row in rows:
            key, before = bytes(row.key), folded
            folded = fold(key, walk.prefix, walk.delimiter)
            if folded is None:
                yield Entry(key, row)
            elif folded != before:
                yield Entry(folded)
        if len(rows) < size:
            return
        place = _next(bytes(rows[-1].key), rows[-1].seq if by_version else None, folded)
        size = min(2 * size, _BATCH)


def _start(walk: Walk) -> _Place | None:
    """A marker below a common prefix stands for all of it: the page before ended with that
    (recorded: test_list_objects_marker_common_prefixes)."""
    if walk.prefix > walk.after:
        return _Place(walk.prefix, is_in=True)
    if not walk.after:
        return _Place(b"", is_in=True)
    return _next(walk.after, walk.below, fold(walk.after, walk.prefix, walk.delimiter))


def _next(key: bytes, below: int | None, folded: bytes | None) -> _Place | None:
    if folded is None:
        return _Place(key, is_in=below is not None, below=below)
    behind = beyond(folded)
    return _Place(behind, is_in=True) if behind else None


def _from(query: Select[Any], place: _Place) -> Select[Any]:
    columns = s3_versions.c
    if place.below is not None:
        older = or_(columns.key > place.key, columns.seq < place.below)
        return query.where(columns.key >= place.key, older)
    return query.where(columns.key >= place.key if place.is_in else columns.key > place.key)


def fold(key: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    """The common prefix that stands for the key, None where it stands for itself."""
    if not delimiter or not key.startswith(prefix):
        return None
    end = key.find(delimiter, len(prefix))
    return None if end < 0 else key[: end + len(delimiter)]


def beyond(prefix: bytes) -> bytes:
    """The first key that does not begin with the prefix; empty where there is none."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else b""
