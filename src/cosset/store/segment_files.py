"""The files under the segment store: one SQLite file of events for each day of event time, one index of streams.

Whoever uses them knows which thread they are on; nothing here locks. Next: `segment_writer.py`, `segments.py`.
"""

import sqlite3
import threading
from contextlib import closing
from datetime import date
from pathlib import Path

from cosset.store.disk import sync_folder
from cosset.store.errors import StoreError
from cosset.store.sqlite_files import connect

DAY_MS = 86_400_000
LAST_MS = 253_402_300_800_000  # the year 10000
_EPOCH = date(1970, 1, 1).toordinal()
_VERSION = 1

_INDEX = """
CREATE TABLE counter (only_row INTEGER PRIMARY KEY, next_seq INTEGER NOT NULL);
INSERT INTO counter VALUES (1, 1);
CREATE TABLE groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0, UNIQUE (account, region, name)
);
CREATE TABLE streams (
    id INTEGER PRIMARY KEY AUTOINCREMENT, group_id INTEGER NOT NULL REFERENCES groups (id), name TEXT NOT NULL,
    created_ms INTEGER NOT NULL, first_ms INTEGER, last_ms INTEGER, ingested_ms INTEGER,
    bytes INTEGER NOT NULL DEFAULT 0, UNIQUE (group_id, name)
);
CREATE INDEX streams_by_last ON streams (group_id, ifnull(last_ms, 0), name);
CREATE TABLE removals (id INTEGER PRIMARY KEY, group_id INTEGER, stream_id INTEGER);
"""

_EVENTS = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, group_id INTEGER NOT NULL, stream_id INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL, ingested_ms INTEGER NOT NULL, message BLOB NOT NULL
);
CREATE INDEX events_by_stream ON events (stream_id, timestamp_ms);
CREATE INDEX events_by_group ON events (group_id, timestamp_ms);
"""


class SegmentFiles:
    """Opens, makes and removes the files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Between a reader's opening of a file and an unlink: SQLite's three files must be seen all or none.
        self._names = threading.Lock()

    def index(self, *, read_only: bool = False) -> sqlite3.Connection:
        return self._open(self.folder / "index.db", _INDEX, read_only=read_only)

    def days(self) -> list[int]:
        """Days (since the epoch) that have a file, in order."""
        return sorted(date.fromisoformat(path.stem).toordinal() - _EPOCH for path in self.folder.glob("????-??-??.db"))

    def write_day(self, day: int) -> sqlite3.Connection:
        return self._open(self._path(day), _EVENTS, read_only=False)

    def read_day(self, day: int) -> sqlite3.Connection | None:
        """A connection in a read transaction. None: the day has gone, or its file is just being made."""
        path = self._path(day)
        with self._names:
            if not path.exists():
                return None
            connection = connect(path, read_only=True)
            connection.execute("BEGIN")
            if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'events'").fetchone() is not None:
                return connection
            connection.close()
            return None

    def remove_day(self, day: int) -> None:
        """Only after the writer has closed it."""
        path = self._path(day)
        with self._names:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    def _path(self, day: int) -> Path:
        return self.folder / f"{date.fromordinal(day + _EPOCH).isoformat()}.db"

    def _open(self, path: Path, schema: str, *, read_only: bool) -> sqlite3.Connection:
        if read_only:
            return connect(path, read_only=True)
        if not path.exists():
            with closing(sqlite3.connect(path)) as fresh:
                fresh.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before anything else, or never
                fresh.execute("PRAGMA journal_mode = WAL")
        connection = connect(path)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise StoreError(f"{path} was written by a newer Cosset (version {version}; this one knows {_VERSION}).")
        if version == 0:
            connection.executescript(f"BEGIN; {schema} PRAGMA user_version = {_VERSION}; COMMIT;")
            sync_folder(self.folder)
        return connection
