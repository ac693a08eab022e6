"""Reading the segment store: streams from the index, events from the days' files, in order and within limits.

Blocks; one reader serves one thread. Next: `segments.py`, which is what callers use, says what each answer means.
"""

import heapq
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from cosset.observe.ports import StreamKey
from cosset.store.log_rows import EVENT_OVERHEAD_BYTES, Position, Scan, StoredEvent, StreamRow
from cosset.store.segment_files import DAY_MS, LAST_MS, SegmentFiles

MAX_MERGED_STREAMS = 100
"""Up to so many streams are read one by one and merged; beyond, the whole group is scanned."""

_LARGEST = 2**63 - 1

_Row = tuple[int, int, int, int, bytes]  # seq, stream id, timestamp, ingested, message
_Rows = Generator[_Row, None, None]

_STREAMS = (
    "SELECT s.name, s.created_ms, s.first_ms, s.last_ms, s.ingested_ms, s.bytes, s.id "
    "FROM groups g JOIN streams s ON s.group_id = g.id WHERE g.account = ? AND g.region = ? AND g.name = ?"
)
_STARTS_WITH = "name >= ? AND name < ? || char(1114111)"  # the last of all characters


@dataclass(frozen=True, slots=True)
class Span:
    """Which events: start <= timestamp < end, beyond `position`, from the end where reading starts, within limits."""

    start_ms: int
    end_ms: int
    position: Position | None
    limit: int
    max_bytes: int
    backward: bool = False

    @classmethod
    def within(
        cls,
        start_ms: int,
        end_ms: int,
        position: Position | None,
        limit: int,
        max_bytes: int,
        backward: bool = False,
    ) -> "Span":
        """Of whatever numbers a client sent: none is beyond what SQLite can hold."""
        start, end = (min(max(time_ms, 0), LAST_MS) for time_ms in (start_ms, end_ms))
        if position is not None:
            position = Position(*(min(max(number, 0), _LARGEST) for number in position))
        return cls(start, end, position, limit, max_bytes, backward)

    def days(self, existing: Iterable[int]) -> list[int]:
        start, end = self.start_ms, self.end_ms
        if self.position is not None and self.backward:
            end = min(end, self.position.timestamp_ms + 1)
        elif self.position is not None:
            start = max(start, self.position.timestamp_ms)
        days = [day for day in existing if start // DAY_MS <= day <= (end - 1) // DAY_MS]
        return days[::-1] if self.backward else days

    def query(self, column: str) -> tuple[str, tuple[int, ...]]:
        """The events of one owner within one day, without the owner."""
        where = f"{column} = ? AND timestamp_ms >= ? AND timestamp_ms < ?"
        parameters: tuple[int, ...] = (self.start_ms, self.end_ms)
        if self.position is not None:
            where += f" AND (timestamp_ms, seq) {'<' if self.backward else '>'} (?, ?)"
            parameters += self.position
        columns = "seq, stream_id, timestamp_ms, ingested_ms, message"
        direction = "DESC" if self.backward else "ASC"
        order = f"timestamp_ms {direction}, seq {direction}"
        return f"SELECT {columns} FROM events WHERE {where} ORDER BY {order} LIMIT {self.limit:d}", parameters

    def take(self, rows: _Rows) -> tuple[list[_Row], bool]:
        """The first ones within both limits, one at least; and whether a limit ended it."""
        taken: list[_Row] = []
        size = 0
        with closing(rows):
            for row in rows:
                size += len(row[4]) + EVENT_OVERHEAD_BYTES
                if taken and size > self.max_bytes:
                    return taken, True
                taken.append(row)
                if len(taken) >= self.limit:
                    return taken, True
        return taken, False


class SegmentReader:
    """Each method sees one unchanging view of the index."""

    def __init__(self, files: SegmentFiles) -> None:
        self._files = files
        self._index = files.index(read_only=True)

    def close(self) -> None:
        self._index.close()

    def get_stream(self, key: StreamKey) -> StreamRow | None:
        found = self._find(key)
        return None if found is None else found[1]

    def list_streams(
        self,
        group: tuple[str, str, str],
        prefix: str,
        by_last_event: bool,
        descending: bool,
        after: tuple[int, str] | None,
        limit: int,
    ) -> list[StreamRow]:
        query, parameters = _STREAMS, [*group]
        sign, direction = ("<", "DESC") if descending else (">", "ASC")
        order = f"ifnull(s.last_ms, 0) {direction}, s.name {direction}" if by_last_event else f"s.name {direction}"
        if prefix:
            query += f" AND s.{_STARTS_WITH.replace('AND ', 'AND s.')}"
            parameters += [prefix, prefix]
        if after is not None and by_last_event:
            query += f" AND (ifnull(s.last_ms, 0), s.name) {sign} ({after[0]:d}, ?)"
        elif after is not None:
            query += f" AND s.name {sign} ?"
        parameters += after[1:] if after is not None else ()
        rows = self._index.execute(f"{query} ORDER BY {order} LIMIT {limit:d}", parameters)
        return [StreamRow(*row[:-1]) for row in rows]

    def stored_bytes(self, account: str, region: str, groups: Collection[str]) -> dict[str, int]:
        query = "SELECT bytes FROM groups WHERE account = ? AND region = ? AND name = ?"
        found = {group: self._index.execute(query, (account, region, group)).fetchone() for group in groups}
        return {group: row[0] if row else 0 for group, row in found.items()}

    def read_stream(self, key: StreamKey, span: Span) -> list[StoredEvent] | None:
        found = self._find(key)
        if found is None:
            return None
        stream_id, _ = found
        rows, _ = span.take(self._rows(span, "stream_id", [stream_id]))
        events = [_event(each, key.stream) for each in rows]
        return events[::-1] if span.backward else events

    def scan(self, group: tuple[str, str, str], streams: Collection[str] | None, prefix: str, span: Span) -> Scan:
        query = "SELECT id FROM groups WHERE account = ? AND region = ? AND name = ?"
        row = self._index.execute(query, group).fetchone()
        if row is None:
            return Scan((), None)
        chosen = self._choose(row[0], streams, prefix)
        reading = self._rows(span, "group_id", row) if chosen is None else self._rows(span, "stream_id", chosen)
        rows, more = span.take(reading)
        # What is not named has been deleted, and is not swept yet.
        names = self._names({row[1] for row in rows})
        events = [
            _event(row, name)
            for row in rows
            if (name := names.get(row[1])) is not None
            and name.startswith(prefix)
            and (streams is None or name in streams)
        ]
        return Scan(events, Position(rows[-1][2], rows[-1][0]) if more else None)

    def reading(self) -> "SegmentReader":
        """Begins the view; `done` ends it."""
        self._index.execute("BEGIN")
        return self

    def done(self) -> None:
        if self._index.in_transaction:
            self._index.execute("ROLLBACK")

    def _find(self, key: StreamKey) -> tuple[int, StreamRow] | None:
        row = self._index.execute(f"{_STREAMS} AND s.name = ?", (key.account, key.region, key.group, key.stream))
        found = row.fetchone()
        return None if found is None else (found[-1], StreamRow(*found[:-1]))

    def _rows(self, span: Span, column: str, owners: Sequence[int]) -> _Rows:
        """Rows of the owners in order, from one day's file after the other."""
        query, parameters = span.query(column)
        for day in span.days(self._files.days()):
            connection = self._files.read_day(day)
            if connection is None:
                continue
            with closing(connection):
                cursors = [connection.execute(query, (owner, *parameters)) for owner in owners]
                yield from heapq.merge(*cursors, key=_place, reverse=span.backward)

    def _choose(self, group_id: int, streams: Collection[str] | None, prefix: str) -> list[int] | None:
        """The streams to read one by one. None: scan the whole group, because all are wanted or too many."""
        if streams is not None and len(streams) <= MAX_MERGED_STREAMS:
            query = "SELECT id FROM streams WHERE group_id = ? AND name = ?"
            found = [self._index.execute(query, (group_id, name)).fetchone() for name in streams]
            return [row[0] for row in found if row is not None]
        if streams is None and prefix:
            query = f"SELECT id FROM streams WHERE group_id = ? AND {_STARTS_WITH} LIMIT {MAX_MERGED_STREAMS + 1}"
            rows = self._index.execute(query, (group_id, prefix, prefix)).fetchall()
            return [row[0] for row in rows] if len(rows) <= MAX_MERGED_STREAMS else None
        return None

    def _names(self, stream_ids: Iterable[int]) -> dict[int, str]:
        query = "SELECT id, name FROM streams WHERE id = ?"
        found = (self._index.execute(query, (stream_id,)).fetchone() for stream_id in stream_ids)
        return {row[0]: row[1] for row in found if row is not None}


def _event(row: _Row, stream: str) -> StoredEvent:
    seq, _, timestamp_ms, ingested_ms, message = row
    return StoredEvent(stream, timestamp_ms, ingested_ms, seq, message.decode("utf-8", "surrogatepass"))


def _place(row: _Row) -> tuple[int, int]:
    return row[2], row[0]
