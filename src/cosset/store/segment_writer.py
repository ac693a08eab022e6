"""The one writer of the segment store: what happens on its thread, several callers' work under one commit.

The index commits first, then each day's events: nothing that was acknowledged can lack its stream. Next: `segments.py`.
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cosset.observe.ports import StreamKey
from cosset.store.disk import DiskWatch
from cosset.store.errors import DiskFullError
from cosset.store.group_commit import Job
from cosset.store.log_rows import EVENT_OVERHEAD_BYTES
from cosset.store.segment_files import DAY_MS, SegmentFiles
from cosset.store.sqlite_files import explain

logger = logging.getLogger(__name__)

MAX_OPEN_DAYS = 8
MAX_KNOWN_STREAMS = 10_000
SWEEP_ROWS = 5_000

_EVENT_COLUMNS = 6
_ROWS_AT_ONCE = (64, 16, 4, 1)
"""Of one statement. For each statement the thread lets go of the interpreter and waits for it again: the event loop and
the writer would take turns at every row."""
_ROW = f"({', '.join('?' * _EVENT_COLUMNS)})"
_INSERTS = {count: f"INSERT INTO events VALUES {', '.join([_ROW] * count)}" for count in _ROWS_AT_ONCE}

EncodedEvents = Sequence[tuple[int, int, bytes]]
"""(timestamp_ms, ingested_ms or 0, message in UTF-8)"""


@dataclass(frozen=True, slots=True)
class Task:
    """Work for the writer's thread. `grows`: it needs room, and is refused when there is little."""

    run: "Callable[[SegmentWriter], object]"
    grows: bool


@dataclass(slots=True)
class _Stream:
    id: int
    group_id: int
    ingested_ms: int


class SegmentWriter:
    """Used by one thread at a time. Its methods run inside a group of tasks, through `commit`."""

    def __init__(self, files: SegmentFiles, watch: DiskWatch) -> None:
        self._files = files
        self._watch = watch
        self._index = files.index()
        (self._next_seq,) = self._index.execute("SELECT next_seq FROM counter").fetchone()
        self._days: dict[int, sqlite3.Connection] = {}
        self._known: dict[StreamKey, _Stream] = {}
        self._idle: list[int] = []
        self._added: dict[int, int] = {}  # stream id: bytes, in this group
        # What a commit that failed between two files left, for the next one to undo: its callers may try again.
        self._miscounted: dict[int, int] = {}
        self._stray: list[tuple[int, int, int]] = []  # day, first seq, end

    def commit(self, jobs: Sequence[Job[Task]]) -> None:
        """All of them together; where that fails, each alone, so that an error is only its owner's."""
        try:
            self._commit(jobs)
        except Exception as error:
            if len(jobs) == 1:
                raise
            logger.debug("a group of log writes failed and is tried one by one: %s", error)
            for job in jobs:
                self._commit_alone(job)

    def _commit_alone(self, job: Job[Task]) -> None:
        try:
            self._commit([job])
        except Exception as error:  # noqa: BLE001 -- the caller's to see
            job.error = error

    def _commit(self, jobs: Sequence[Job[Task]]) -> None:
        first_seq, committed = self._next_seq, None
        try:
            self._index.execute("BEGIN IMMEDIATE")
            self._undo()
            self._added.clear()
            for job in self._affordable(jobs):
                job.result = job.work.run(self)
            self._index.execute("UPDATE counter SET next_seq = ?", (self._next_seq,))
            self._index.execute("COMMIT")
            committed = []
            for day, connection in self._days.items():
                if connection.in_transaction:
                    connection.execute("COMMIT")
                    committed.append(day)
        except Exception as error:
            self._roll_back()
            if committed is not None:
                self._miscounted = dict(self._added)
                self._stray += [(day, first_seq, self._next_seq) for day in committed]
            if isinstance(error, sqlite3.Error):
                raise explain(error, self._files.folder / "index.db") from error
            raise
        self._miscounted.clear()
        self._stray.clear()
        self._drop_idle_days()

    def close(self) -> None:
        for connection in (*self._days.values(), self._index):
            connection.close()

    def append(self, now_ms: int, batch: Sequence[tuple[StreamKey, EncodedEvents]]) -> list[int]:
        """The numbers of each stream's first event."""
        firsts: list[int] = []
        for key, events in batch:
            firsts.append(self._next_seq)
            stream = self._stream(key, now_ms)
            rows: dict[int, list[tuple[Any, ...]]] = {}
            size = 0
            for timestamp_ms, ingested_ms, message in events:
                stream.ingested_ms = max(stream.ingested_ms, ingested_ms or now_ms)
                row = (self._next_seq, stream.group_id, stream.id, timestamp_ms, stream.ingested_ms, message)
                rows.setdefault(timestamp_ms // DAY_MS, []).append(row)
                self._next_seq += 1
                size += len(message) + EVENT_OVERHEAD_BYTES
            for day, added in rows.items():
                _insert(self._day(day), added)
            if rows:
                times = [timestamp_ms for timestamp_ms, _, _ in events]
                self._count(stream, min(times), max(times), size)
        return firsts

    def create_stream(self, key: StreamKey, now_ms: int) -> bool:
        if self._find(key) is not None:
            return False
        self._stream(key, now_ms)
        return True

    def delete_stream(self, key: StreamKey) -> bool:
        stream = self._find(key)
        if stream is None:
            return False
        del self._known[key]
        (size,) = self._index.execute("SELECT bytes FROM streams WHERE id = ?", (stream.id,)).fetchone()
        self._add_bytes(stream.id, -size)
        self._index.execute("DELETE FROM streams WHERE id = ?", (stream.id,))
        self._index.execute("INSERT INTO removals (stream_id) VALUES (?)", (stream.id,))
        return True

    def delete_group(self, account: str, region: str, group: str) -> bool:
        group_id = self.group_id(account, region, group)
        if group_id is None:
            return False
        self._known = {key: stream for key, stream in self._known.items() if stream.group_id != group_id}
        self._index.execute("DELETE FROM streams WHERE group_id = ?", (group_id,))
        self._index.execute("DELETE FROM groups WHERE id = ?", (group_id,))
        self._index.execute("INSERT INTO removals (group_id) VALUES (?)", (group_id,))
        return True

    def removals(self) -> list[tuple[int, int | None, int | None]]:
        """(id, group id, stream id) of what was deleted and whose events are still to go."""
        return self._index.execute("SELECT id, group_id, stream_id FROM removals ORDER BY id").fetchall()

    def removed(self, removal_id: int) -> None:
        self._index.execute("DELETE FROM removals WHERE id = ?", (removal_id,))

    def sweep(self, day: int, column: str, owner_id: int, before_ms: int | None) -> int:
        """Removes up to SWEEP_ROWS events of one group or stream from one day; how many."""
        connection = self._day(day)
        bound = "" if before_ms is None else f"AND timestamp_ms < {before_ms:d}"
        rows = connection.execute(
            f"SELECT seq, stream_id, length(message) FROM events WHERE {column} = ? {bound} LIMIT {SWEEP_ROWS}",
            (owner_id,),
        ).fetchall()
        connection.executemany("DELETE FROM events WHERE seq = ?", [(seq,) for seq, _, _ in rows])
        sizes: dict[int, int] = {}
        for _, stream_id, size in rows:
            sizes[stream_id] = sizes.get(stream_id, 0) + size + EVENT_OVERHEAD_BYTES
        for stream_id, freed in sizes.items():
            self._add_bytes(stream_id, -freed)
        if len(rows) < SWEEP_ROWS and connection.execute("SELECT 1 FROM events LIMIT 1").fetchone() is None:
            self._idle.append(day)
        return len(rows)

    def vacuum(self, day: int) -> None:
        """Gives the space of removed events back to the disk, some of it at a time."""
        if day in self._days:
            self._days[day].execute("PRAGMA incremental_vacuum(2000)").fetchall()

    def group_id(self, account: str, region: str, group: str) -> int | None:
        row = self._index.execute(
            "SELECT id FROM groups WHERE account = ? AND region = ? AND name = ?", (account, region, group)
        ).fetchone()
        return None if row is None else int(row[0])

    def _affordable(self, jobs: Sequence[Job[Task]]) -> list[Job[Task]]:
        try:
            self._watch.check()
        except DiskFullError as full:
            for job in jobs:
                job.error = full if job.work.grows else None
        return [job for job in jobs if job.error is None]

    def _roll_back(self) -> None:
        for connection in (self._index, *self._days.values()):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        self._known.clear()
        self._idle.clear()

    def _find(self, key: StreamKey) -> _Stream | None:
        known = self._known.get(key)
        if known is not None:
            return known
        row = self._index.execute(
            "SELECT s.id, s.group_id, ifnull(s.ingested_ms, 0) FROM groups g JOIN streams s ON s.group_id = g.id "
            "WHERE g.account = ? AND g.region = ? AND g.name = ? AND s.name = ?",
            (key.account, key.region, key.group, key.stream),
        ).fetchone()
        return None if row is None else self._remember(key, _Stream(*row))

    def _stream(self, key: StreamKey, now_ms: int) -> _Stream:
        found = self._find(key)
        if found is not None:
            return found
        group_id = self.group_id(key.account, key.region, key.group)
        if group_id is None:
            cursor = self._index.execute(
                "INSERT INTO groups (account, region, name) VALUES (?, ?, ?)", (key.account, key.region, key.group)
            )
            group_id = cursor.lastrowid or 0
        cursor = self._index.execute(
            "INSERT INTO streams (group_id, name, created_ms) VALUES (?, ?, ?)", (group_id, key.stream, now_ms)
        )
        return self._remember(key, _Stream(cursor.lastrowid or 0, group_id, 0))

    def _remember(self, key: StreamKey, stream: _Stream) -> _Stream:
        if len(self._known) >= MAX_KNOWN_STREAMS:
            del self._known[next(iter(self._known))]
        self._known[key] = stream
        return stream

    def _count(self, stream: _Stream, first_ms: int, last_ms: int, size: int) -> None:
        self._index.execute(
            "UPDATE streams SET first_ms = min(ifnull(first_ms, ?1), ?1), last_ms = max(ifnull(last_ms, ?2), ?2), "
            "ingested_ms = ?3 WHERE id = ?4",
            (first_ms, last_ms, stream.ingested_ms, stream.id),
        )
        self._add_bytes(stream.id, size)

    def _add_bytes(self, stream_id: int, size: int) -> None:
        self._added[stream_id] = self._added.get(stream_id, 0) + size
        self._index.execute(
            "UPDATE groups SET bytes = max(0, bytes + ?) WHERE id = (SELECT group_id FROM streams WHERE id = ?)",
            (size, stream_id),
        )
        self._index.execute("UPDATE streams SET bytes = max(0, bytes + ?) WHERE id = ?", (size, stream_id))

    def _undo(self) -> None:
        for stream_id, size in self._miscounted.items():
            self._add_bytes(stream_id, -size)
        for day, first_seq, end in self._stray:
            self._day(day).execute("DELETE FROM events WHERE seq >= ? AND seq < ?", (first_seq, end))

    def _day(self, day: int) -> sqlite3.Connection:
        """The day's file, in this group's transaction."""
        connection = self._days.pop(day, None) or self._files.write_day(day)
        self._days[day] = connection  # now the most recently used
        if not connection.in_transaction:
            connection.execute("BEGIN IMMEDIATE")
        return connection

    def _drop_idle_days(self) -> None:
        for day in self._idle:
            connection = self._days.pop(day, None)
            if connection is None:
                continue
            empty = connection.execute("SELECT 1 FROM events LIMIT 1").fetchone() is None
            connection.close()
            if empty:
                self._files.remove_day(day)
        self._idle.clear()
        while len(self._days) > MAX_OPEN_DAYS:
            self._days.pop(next(iter(self._days))).close()


def _insert(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    start = 0
    for count in _ROWS_AT_ONCE:
        while len(rows) - start >= count:
            connection.execute(_INSERTS[count], [value for row in rows[start : start + count] for value in row])
            start += count
