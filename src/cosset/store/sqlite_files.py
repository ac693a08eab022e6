"""Files of SQLite: how each is opened, and what its errors mean for who owns it. Next: sqlite.py, segment_files.py."""

import sqlite3
from pathlib import Path

from cosset.store.disk import free_bytes
from cosset.store.errors import DiskFullError, StoreError

_NEARLY_NOTHING = 1024 * 1024
_PATIENCE_S = 2.0
"""How long whoever locks the file is waited for: everyone who writes waits behind it."""


def connect(path: Path, *, read_only: bool = False, cache_kb: int = 2048) -> sqlite3.Connection:
    """A connection whose transactions are begun and ended by hand."""
    connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, read_only=read_only, cache_kb=cache_kb)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, *, read_only: bool, cache_kb: int) -> None:
    """Raises: sqlite3.Error, where the file is no database or is damaged."""
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{cache_kb}")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
        return
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 67108864")


_CAUSES = {
    sqlite3.SQLITE_CORRUPT: ("is damaged", "Put back a copy of it, or move it away."),
    sqlite3.SQLITE_NOTADB: ("is damaged", "Put back a copy of it, or move it away."),
    sqlite3.SQLITE_READONLY: ("cannot be written", "Check the folder's owner and mode."),
    sqlite3.SQLITE_CANTOPEN: ("cannot be written", "Check the folder's owner and mode."),
    sqlite3.SQLITE_PERM: ("cannot be written", "Check the folder's owner and mode."),
    sqlite3.SQLITE_BUSY: ("is locked by another program", "Close that program."),
    sqlite3.SQLITE_LOCKED: ("is locked by another program", "Close that program."),
    sqlite3.SQLITE_IOERR: ("is on a disk that failed", "Look at the disk."),
}
"""What is wrong with the file by SQLite's code, and what its owner does about it."""


def explain(error: sqlite3.Error, path: Path) -> Exception:
    """The error in words that its reader can act on; the error itself where there are none."""
    code = code_of(error)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and free_bytes(path.parent) < _NEARLY_NOTHING):
        return DiskFullError(path.parent)
    if code in _CAUSES:
        what, advice = _CAUSES[code]
        return StoreError(f"The database {path} {what} ({error}). {advice}")
    return error


def code_of(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def trouble_of(error: sqlite3.Error) -> str | None:
    """What is wrong with the file, in a few words; None where it is not the file."""
    known = _CAUSES.get(code_of(error))
    return None if known is None else known[0]
