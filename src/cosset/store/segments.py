"""Log events: append-only segments of their own, apart from the main database, with retention.

It knows streams and events, not log groups: what a group is (its retention, its tags) is a row of the Logs service.
One file per day of event time makes what is old cheap to drop. Next: `log_rows.py`, `segment_writer.py`.
"""

import asyncio
import heapq
import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from cosset.clock import Clock
from cosset.observe.ports import LogEvent, StreamKey
from cosset.store.disk import DiskWatch
from cosset.store.errors import StoreError
from cosset.store.group_commit import GroupCommitter
from cosset.store.log_rows import EVENT_OVERHEAD_BYTES, Position, Scan, StoredEvent, StreamRow
from cosset.store.segment_files import DAY_MS, LAST_MS, SegmentFiles
from cosset.store.segment_writer import SegmentWriter, Task
from cosset.store.sqlite import FolderLock, explain
from cosset.store.threads import BoundedThreads
from cosset.wire.errors import ServiceError

T = TypeVar("T")
logger = logging.getLogger(__name__)

MAX_EVENTS = 10_000
MAX_BYTES = 1024 * 1024
MAX_MERGED_STREAMS = 100
"""Up to so many streams are read one by one and merged; beyond, the whole group is scanned."""

_COLUMNS = "seq, stream_id, timestamp_ms, ingested_ms, message"
_Row = tuple[int, int, int, int, bytes]


class SegmentStore:
    """Every method may be called from the event loop: files are touched on threads only."""

    def __init__(self, files: SegmentFiles, writer: SegmentWriter, lock: FolderLock, clock: Clock) -> None:
        self._files = files
        self._writer = writer
        self._lock = lock
        self._clock = clock
        self._committer = GroupCommitter("log-write", writer.commit)
        self._readers = BoundedThreads("log-read", 2)
        self._own = threading.local()
        self._read_connections: list[sqlite3.Connection] = []
        self._sweep_wanted = asyncio.Event()
        self._sweep_wanted.set()
        self._sweeper = asyncio.create_task(self._sweep_deleted(), name="log-sweeper")

    @classmethod
    async def open(cls, folder: Path, clock: Clock, *, min_free_mb: int = 0) -> "SegmentStore":
        """Raises StoreError: in use by another process, read-only, damaged, written by a newer Cosset."""
        files, writer, lock = await asyncio.to_thread(_open, folder, min_free_mb)
        return cls(files, writer, lock, clock)

    async def append(self, batch: Sequence[tuple[StreamKey, Sequence[LogEvent]]]) -> None:
        """Durable on return. A stream that is not there is made. Raises DiskFullError, OverloadedError: nothing kept.

        `ingested_ms` 0 means now; within a stream it is never before that of an earlier event.
        """
        encoded = [(key, [_encode(event) for event in events]) for key, events in batch]
        now = self._clock.now_ms()
        await self._write(lambda writer: writer.append(now, encoded), grows=True)

    async def create_stream(self, key: StreamKey) -> bool:
        """An empty stream. False: it is there already."""
        now = self._clock.now_ms()
        return await self._write(lambda writer: writer.create_stream(key, now), grows=True)

    async def delete_stream(self, key: StreamKey) -> bool:
        """Gone on return; its events' space follows. False: there was none."""
        found = await self._write(lambda writer: writer.delete_stream(key))
        self._sweep_wanted.set()
        return found

    async def delete_group(self, account: str, region: str, group: str) -> bool:
        """All its streams, gone on return; their events' space follows. False: nothing was ever written to it."""
        found = await self._write(lambda writer: writer.delete_group(account, region, group))
        self._sweep_wanted.set()
        return found

    async def expire(self, account: str, region: str, group: str, before_ms: int) -> int:
        """Removes the group's events older than `before_ms`, a few at a time between others' writes; how many."""
        group_id = await self._write(lambda writer: writer.group_id(account, region, group))
        if group_id is None:
            return 0
        return await self._sweep("group_id", group_id, before_ms)

    async def get_stream(self, key: StreamKey) -> StreamRow | None:
        rows = await self._read(
            lambda index: index.execute(
                f"{_STREAMS} WHERE g.account = ? AND g.region = ? AND g.name = ? AND s.name = ?",
                (key.account, key.region, key.group, key.stream),
            ).fetchall()
        )
        return StreamRow(*rows[0]) if rows else None

    async def list_streams(
        self,
        account: str,
        region: str,
        group: str,
        *,
        prefix: str = "",
        by_last_event: bool = False,
        descending: bool = False,
        after: tuple[int, str] | None = None,
        limit: int = 50,
    ) -> list[StreamRow]:
        """Streams in order of name or of last event. `after` is the `cursor` of the last one already seen."""
        where, parameters = ["g.account = ?", "g.region = ?", "g.name = ?"], [account, region, group]
        if prefix:
            where.append("s.name >= ? AND substr(s.name, 1, ?) = ?")
            parameters += [prefix, len(prefix), prefix]  # type: ignore[list-item]
        if after is not None:
            sign = "<" if descending else ">"
            where.append(f"(ifnull(s.last_ms, 0), s.name) {sign} (?, ?)" if by_last_event else f"s.name {sign} ?")
            parameters += after if by_last_event else after[1:]  # type: ignore[arg-type]
        direction = "DESC" if descending else "ASC"
        order = f"ifnull(s.last_ms, 0) {direction}, s.name {direction}" if by_last_event else f"s.name {direction}"
        query = f"{_STREAMS} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT {limit:d}"
        return [StreamRow(*row) for row in await self._read(lambda index: index.execute(query, parameters).fetchall())]

    async def stored_bytes(self, account: str, region: str, groups: Collection[str]) -> dict[str, int]:
        """Bytes kept for each of the groups: 0 for one that nothing was written to."""

        def look_up(index: sqlite3.Connection) -> dict[str, int]:
            query = "SELECT bytes FROM groups WHERE account = ? AND region = ? AND name = ?"
            found = {group: index.execute(query, (account, region, group)).fetchone() for group in groups}
            return {group: row[0] if row else 0 for group, row in found.items()}

        return await self._read(look_up)

    async def read_stream(
        self,
        key: StreamKey,
        *,
        start_ms: int = 0,
        end_ms: int = LAST_MS,
        position: Position | None = None,
        backward: bool = False,
        limit: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
    ) -> list[StoredEvent] | None:
        """Events with start <= timestamp < end, oldest first. None: no such stream.

        Forward: the first ones after `position`. Backward: the last ones before it (or before the end), still given
        oldest first. To page on, pass the `position` of the last (forward) or first (backward) event.
        """

        def read(index: sqlite3.Connection) -> list[StoredEvent] | None:
            row = index.execute(
                "SELECT s.id, s.first_ms, s.last_ms FROM groups g JOIN streams s ON s.group_id = g.id "
                "WHERE g.account = ? AND g.region = ? AND g.name = ? AND s.name = ?",
                (key.account, key.region, key.group, key.stream),
            ).fetchone()
            if row is None:
                return None
            stream_id, first, last = row
            if last is None:
                return []
            span = _Span(max(start_ms, first), min(end_ms, last + 1), position, backward)
            rows, _ = _take(self._rows(span, "stream_id", [stream_id], limit), limit, max_bytes)
            events = [_event(each, key.stream) for each in rows]
            return events[::-1] if backward else events

        return await self._read(read)

    async def scan(
        self,
        account: str,
        region: str,
        group: str,
        *,
        streams: Collection[str] | None = None,
        prefix: str = "",
        start_ms: int = 0,
        end_ms: int = LAST_MS,
        position: Position | None = None,
        limit: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
    ) -> Scan:
        """Events of a group, of the named streams, or of those with the prefix, with start <= timestamp < end, by time.

        Looks at up to `limit` events; go on from `resume` until it is None.
        """

        def read(index: sqlite3.Connection) -> Scan:
            group_id = _group_id(index, account, region, group)
            if group_id is None:
                return Scan((), None)
            span = _Span(start_ms, end_ms, position, backward=False)
            chosen = _choose(index, group_id, streams, prefix)
            owners = ("group_id", [group_id]) if chosen is None else ("stream_id", chosen)
            rows, more = _take(self._rows(span, *owners, limit), limit, max_bytes)
            names = _names(index, {row[1] for row in rows})
            wanted = {
                stream_id: name
                for stream_id, name in names.items()
                if name.startswith(prefix) and (streams is None or name in streams)
            }
            events = [_event(row, wanted[row[1]]) for row in rows if row[1] in wanted]
            return Scan(events, Position(rows[-1][2], rows[-1][0]) if more else None)

        return await self._read(read)

    async def close(self) -> None:
        """Finishes what was submitted. What was deleted and not yet swept is swept after the next open."""
        self._sweeper.cancel()
        with suppress(asyncio.CancelledError):
            await self._sweeper
        await self._committer.close()
        await self._readers.close()
        for connection in self._read_connections:
            connection.close()
        await asyncio.to_thread(self._writer.close)
        self._lock.release()

    async def _write(self, run: Callable[[SegmentWriter], T], *, grows: bool = False) -> T:
        return cast(T, await self._committer.submit(Task(run, grows)))

    async def _read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        return await self._readers.run(lambda: self._read_here(fn))

    def _read_here(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        index: sqlite3.Connection | None = getattr(self._own, "index", None)
        if index is None:
            index = self._own.index = self._files.index(read_only=True)
            self._read_connections.append(index)
        index.execute("BEGIN")
        try:
            return fn(index)
        except sqlite3.Error as error:
            raise explain(error, self._files.folder / "index.db") from error
        finally:
            index.execute("ROLLBACK")

    def _rows(self, span: "_Span", column: str, owners: Sequence[int], limit: int) -> Generator[_Row, None, None]:
        """Rows of the owners in order, from one day's file after the other."""
        query, parameters = span.query(column, limit)
        for day in span.days(self._files.days()):
            connection = self._files.read_day(day)
            if connection is None:
                continue
            with closing(connection):
                cursors = [connection.execute(query, (owner, *parameters)) for owner in owners]
                yield from heapq.merge(*cursors, key=_place, reverse=span.backward)

    async def _sweep_deleted(self) -> None:
        while True:
            await self._sweep_wanted.wait()
            self._sweep_wanted.clear()
            try:
                for removal_id, group_id, stream_id in await self._write(lambda writer: writer.removals()):
                    column, owner_id = ("stream_id", stream_id) if group_id is None else ("group_id", group_id)
                    await self._sweep(column, owner_id or 0, None)
                    await self._write(partial(SegmentWriter.removed, removal_id=removal_id))
            except (StoreError, ServiceError, sqlite3.Error):
                logger.exception("deleted log events could not be swept; they are tried again later")

    async def _sweep(self, column: str, owner_id: int, before_ms: int | None) -> int:
        swept = 0
        for day in await asyncio.to_thread(self._files.days):
            if before_ms is not None and day * DAY_MS >= before_ms:
                break
            sweep = partial(SegmentWriter.sweep, day=day, column=column, owner_id=owner_id, before_ms=before_ms)
            while removed := await self._write(sweep):
                swept += removed
                await self._write(partial(SegmentWriter.vacuum, day=day))
        return swept


_STREAMS = (
    "SELECT s.name, s.created_ms, s.first_ms, s.last_ms, s.ingested_ms, s.bytes "
    "FROM groups g JOIN streams s ON s.group_id = g.id"
)


@dataclass(frozen=True, slots=True)
class _Span:
    """Which events, by time and place, and from which end."""

    start_ms: int
    end_ms: int
    position: Position | None
    backward: bool

    def days(self, existing: Sequence[int]) -> list[int]:
        start, end = self.start_ms, self.end_ms
        if self.position is not None and self.backward:
            end = min(end, self.position.timestamp_ms + 1)
        elif self.position is not None:
            start = max(start, self.position.timestamp_ms)
        days = [day for day in existing if start // DAY_MS <= day <= (end - 1) // DAY_MS]
        return days[::-1] if self.backward else days

    def query(self, column: str, limit: int) -> tuple[str, tuple[int, ...]]:
        """For one owner within one day."""
        where = f"{column} = ? AND timestamp_ms >= ? AND timestamp_ms < ?"
        parameters: tuple[int, ...] = (self.start_ms, self.end_ms)
        if self.position is not None:
            where += f" AND (timestamp_ms, seq) {'<' if self.backward else '>'} (?, ?)"
            parameters += self.position
        direction = "DESC" if self.backward else "ASC"
        order = f"timestamp_ms {direction}, seq {direction}"
        return f"SELECT {_COLUMNS} FROM events WHERE {where} ORDER BY {order} LIMIT {limit:d}", parameters


def _open(folder: Path, min_free_mb: int) -> tuple[SegmentFiles, SegmentWriter, FolderLock]:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"Cannot make the log folder {folder}: {error.strerror}.") from error
    lock = FolderLock(folder)
    try:
        files = SegmentFiles(folder)
        return files, SegmentWriter(files, DiskWatch(folder, min_free_mb)), lock
    except sqlite3.Error as error:
        lock.release()
        raise explain(error, folder / "index.db") from error
    except StoreError:
        lock.release()
        raise


def _encode(event: LogEvent) -> tuple[int, int, bytes]:
    if not 0 <= event.timestamp_ms < LAST_MS:
        raise ValueError(f"no time of a log event: {event.timestamp_ms}")
    # What JSON can carry must be kept: a lone surrogate is no UTF-8, but it is a Python string.
    return event.timestamp_ms, event.ingested_ms, event.message.encode("utf-8", "surrogatepass")


def _event(row: _Row, stream: str) -> StoredEvent:
    seq, _, timestamp_ms, ingested_ms, message = row
    return StoredEvent(stream, timestamp_ms, ingested_ms, seq, message.decode("utf-8", "surrogatepass"))


def _place(row: _Row) -> tuple[int, int]:
    return row[2], row[0]


def _take(rows: Generator[_Row, None, None], limit: int, max_bytes: int) -> tuple[list[_Row], bool]:
    """The first ones within both limits, one at least; and whether a limit ended it."""
    taken: list[_Row] = []
    size = 0
    with closing(rows):
        for row in rows:
            size += len(row[4]) + EVENT_OVERHEAD_BYTES
            if taken and size > max_bytes:
                return taken, True
            taken.append(row)
            if len(taken) >= limit:
                return taken, True
    return taken, False


def _group_id(index: sqlite3.Connection, account: str, region: str, group: str) -> int | None:
    query = "SELECT id FROM groups WHERE account = ? AND region = ? AND name = ?"
    row = index.execute(query, (account, region, group)).fetchone()
    return None if row is None else int(row[0])


def _choose(index: sqlite3.Connection, group_id: int, streams: Collection[str] | None, prefix: str) -> list[int] | None:
    """The streams to read one by one. None: scan the whole group, because all are wanted or too many."""
    if streams is not None and len(streams) <= MAX_MERGED_STREAMS:
        query = "SELECT id FROM streams WHERE group_id = ? AND name = ?"
        found = [index.execute(query, (group_id, name)).fetchone() for name in streams]
        return [row[0] for row in found if row is not None]
    if streams is None and prefix:
        rows = index.execute(
            "SELECT id FROM streams WHERE group_id = ? AND name >= ? AND substr(name, 1, ?) = ? LIMIT ?",
            (group_id, prefix, len(prefix), prefix, MAX_MERGED_STREAMS + 1),
        ).fetchall()
        return [row[0] for row in rows] if len(rows) <= MAX_MERGED_STREAMS else None
    return None


def _names(index: sqlite3.Connection, stream_ids: Iterable[int]) -> dict[int, str]:
    query = "SELECT id, name FROM streams WHERE id = ?"
    found = (index.execute(query, (stream_id,)).fetchone() for stream_id in stream_ids)
    return {row[0]: row[1] for row in found if row is not None}
