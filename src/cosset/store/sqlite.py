"""The embedded engine: SQLite in WAL with synchronous FULL, one writer with group commit, a few readers.

Refuses a data folder that another process has open. Next: `group_commit.py` (the writer), `database.py` (the front).
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from cosset.store.changes import ChangeFeed
from cosset.store.disk import DiskWatch, sync_folder
from cosset.store.errors import DiskFullError, StoreError, UnusableError
from cosset.store.folder_lock import FolderLock
from cosset.store.group_commit import GroupCommitter, Job
from cosset.store.migrations import migrate
from cosset.store.sealing import Sealing
from cosset.store.sqlite_files import code_of, connect, explain, trouble_of
from cosset.store.threads import BoundedThreads
from cosset.store.transaction import Transaction

logger = logging.getLogger(__name__)

Fn = Callable[[Transaction], Any]

FILE_NAME = "cosset.db"
_TOLD_EVERY_S = 10.0


class GroupLostError(Exception):
    """SQLite undid the whole group because of one job (a full disk does that). Each must be tried by itself."""


class _Freeing:
    """Work that leaves less on the disk than there was, so that it may be done below the mark."""

    def __init__(self, fn: Fn) -> None:
        self._fn = fn

    def __call__(self, tx: Transaction) -> Any:
        return self._fn(tx)


class SqliteEngine:
    """Where `Store` keeps its rows when no database server is named."""

    shared = False
    hearing = True  # there is nobody else

    def __init__(self, folder: Path, watch: DiskWatch, feed: ChangeFeed, sealing: Sealing, *, readers: int = 4) -> None:
        self._path = folder / FILE_NAME
        self._watch = watch
        self._sealing = sealing
        self._feed = feed
        self._readers = BoundedThreads("store-read", readers)
        self._own = threading.local()
        self._read_connections: list[Connection] = []
        self._told_s = -_TOLD_EVERY_S
        self._writer: GroupCommitter[Fn]

    async def open(self) -> None:
        await asyncio.to_thread(self._open)
        self._writer = GroupCommitter("store-write", self._commit, settled=self._settled)

    def _open(self) -> None:
        self._lock = FolderLock(self._path.parent)
        try:
            self._make_ready()
        except (sqlite3.Error, DBAPIError, StoreError) as error:
            self._lock.release()
            self._raise(error)

    def _make_ready(self) -> None:
        new = not self._path.exists()
        self._engine = _engine(self._path, read_only=False)
        self._read_engine = _engine(self._path, read_only=True)
        self._connection = self._engine.connect()
        self._raw = _raw(self._connection)
        self._raw.execute("BEGIN IMMEDIATE")
        try:
            migrate(self._connection)
            self._sealing.prepare(self._connection)
            self._raw.execute("COMMIT")
        except BaseException:
            self._connection.close()
            raise
        self._wipe()
        if new:
            sync_folder(self._path.parent)

    async def write(self, fn: Fn, *, serializable: bool = True, frees: bool = False) -> Any:
        """One writer: every transaction is serializable anyway."""
        return await self._writer.submit(_Freeing(fn) if frees else fn)

    async def read(self, fn: Fn) -> Any:
        return await self._readers.run(lambda: self._read(fn))

    async def close(self) -> None:
        await self._writer.close()
        await self._readers.close()
        for connection in self._read_connections:
            connection.close()
        await asyncio.to_thread(self._wipe)
        self._connection.close()
        self._lock.release()

    def _wipe(self) -> None:
        """Leaves nothing in free pages of what was sealed anew: in clear, or under a root key that is no more."""
        if not self._sealing.has_replaced:
            return
        try:
            self._raw.execute("VACUUM")
            self._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            logger.warning("what was sealed anew may still be read in free pages of %s: %s", self._path, error)
        self._sealing.has_replaced = False

    def _read(self, fn: Fn) -> Any:
        connection: Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._read_engine.connect()
            self._read_connections.append(connection)
        raw = _raw(connection)
        try:
            raw.execute("BEGIN")
            return fn(Transaction(connection, self._sealing, writable=False, raw=raw))
        except (sqlite3.Error, DBAPIError) as error:
            if _is_refused(error):  # a function that writes in a read: its author's mistake, not the disk's
                raise
            explained = self._at_work(error)
            if explained is error:
                raise
            raise explained from error
        finally:
            if raw.in_transaction:
                raw.execute("ROLLBACK")

    def _commit(self, jobs: Sequence[Job[Fn]]) -> None:
        jobs = self._allowed(jobs)
        try:
            self._commit_together(jobs)
        except GroupLostError:
            for job in jobs:
                self._commit_alone(job)

    def _allowed(self, jobs: Sequence[Job[Fn]]) -> Sequence[Job[Fn]]:
        """All while there is room; below the mark those that free some, and the others are refused."""
        try:
            self._watch.check()
        except DiskFullError as full:
            for job in jobs:
                job.error = None if isinstance(job.work, _Freeing) else full
            return [job for job in jobs if job.error is None]
        return jobs

    def _commit_alone(self, job: Job[Fn]) -> None:
        try:
            self._commit_together([job])
        except GroupLostError as lost:
            job.error = lost.__cause__
        except Exception as error:  # noqa: BLE001 -- this job's alone: those before it are committed
            job.error = error

    def _commit_together(self, jobs: Sequence[Job[Fn]]) -> None:
        """Every job in a savepoint of its own, one commit for all. Raises GroupLostError with nothing committed.

        What cannot even be begun would not be begun for one of them alone either: that is every job's error.
        """
        try:
            self._raw.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise self._at_work(error) from error
        try:
            for job in jobs:
                self._run(job)
            self._raw.execute("COMMIT")
        except sqlite3.Error as error:
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK")
            raise GroupLostError from self._at_work(error)

    def _run(self, job: Job[Fn]) -> None:
        self._raw.execute("SAVEPOINT job")
        transaction = Transaction(self._connection, self._sealing, writable=True, raw=self._raw)
        try:
            job.result = job.work(transaction)
            job.error = None
            job.announcements, job.followers = transaction.announcements, transaction.followers
        except Exception as error:  # noqa: BLE001 -- whatever the caller's function raises is the caller's to see
            if not self._raw.in_transaction:
                raise GroupLostError from self._at_work(error)
            self._raw.execute("ROLLBACK TO job")
            job.error = self._at_work(error)
        self._raw.execute("RELEASE job")

    def _settled(self, jobs: Sequence[Job[Fn]]) -> None:
        done = [job for job in jobs if job.error is None]
        self._feed.settle(
            [each for job in done for each in job.announcements], [each for job in done for each in job.followers]
        )

    def _raise(self, error: Exception) -> NoReturn:
        """While the database is opened: to the owner, who waits for it."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        explained = explain(cause, self._path) if isinstance(cause, sqlite3.Error) else error
        if explained is error or explained is cause:
            raise error
        raise explained from error

    def _at_work(self, error: Exception) -> Exception:
        """What a caller is told, who can only try again; the owner finds the rest in the log."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(cause, sqlite3.Error):
            return error
        explained = explain(cause, self._path)
        if isinstance(explained, StoreError):
            self._tell(explained)
            return UnusableError(trouble_of(cause) or "is not to be used")
        return error if explained is cause else explained

    def _tell(self, error: StoreError) -> None:
        if (now_s := time.monotonic()) - self._told_s >= _TOLD_EVERY_S:
            self._told_s = now_s
            logger.error("%s", error)


def _is_refused(error: Exception) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, sqlite3.Error) and code_of(cause) == sqlite3.SQLITE_READONLY


def _engine(path: Path, *, read_only: bool) -> Engine:
    cache_kb = 2048 if read_only else 8192
    creator: Callable[[], Any] = lambda: connect(path, read_only=read_only, cache_kb=cache_kb)  # noqa: E731
    return create_engine("sqlite://", creator=creator, poolclass=NullPool)


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw
