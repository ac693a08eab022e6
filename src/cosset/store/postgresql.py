"""The engine for many nodes: PostgreSQL through psycopg. Imported only when a database is named.

Writes run SERIALIZABLE and run again when the database says that they collided; announcements travel by NOTIFY, in the
same transaction. Next: `listener.py` for the other end of that, `database.py` for the front.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any, NoReturn
from uuid import uuid4

import psycopg
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from cosset.clock import Clock
from cosset.store.changes import ChangeFeed
from cosset.store.errors import DiskFullError, OverloadedError, StoreError, UnavailableError
from cosset.store.listener import CHANNEL, Listener
from cosset.store.migrations import migrate
from cosset.store.pipeline import Pipeline
from cosset.store.postgresql_link import CommitUnknownError, Links
from cosset.store.sealing import Sealing
from cosset.store.threads import BoundedThreads
from cosset.store.transaction import Transaction

logger = logging.getLogger(__name__)

Fn = Callable[[Transaction], Any]

MAX_ATTEMPTS = 50
"""Of a write that collides with others. One of the colliding always gets through, so few need more than two."""
MAX_LOST_CONNECTIONS = 3
_MIGRATION_LOCK = 0x636F_7373_6574
_COLLISIONS = ("40001", "40P01", "26000")
"""Also where somebody has thrown away what the connection had made ready."""
_SERIALIZABLE = b"BEGIN ISOLATION LEVEL SERIALIZABLE"
_READ_COMMITTED = b"BEGIN ISOLATION LEVEL READ COMMITTED"
_READING = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_DUPLICATE = "23505"
_FULL = ("53100",)

# Serializable transactions track what they read: a sequential scan of a small table would collide with every write to
# it. And a query that is forced onto an index must not look expensive enough to be compiled.
_OPTIONS = "-c enable_seqscan=off -c jit=off"


class PostgresqlEngine:
    """`connections` writes and as many reads at once; more wait, within a bound."""

    shared = True

    def __init__(self, url: str, feed: ChangeFeed, clock: Clock, sealing: Sealing, *, connections: int = 8) -> None:
        self._node = uuid4().hex
        self._feed = feed
        self._sealing = sealing
        self._engine = make_engine(url, 2 * connections)
        self._links = Links(self._engine)
        self._writers = BoundedThreads("store-write", connections)
        self._readers = BoundedThreads("store-read", connections)
        self._listener = Listener(_plain(url), self._node, feed, clock)
        self._loop = asyncio.get_running_loop()

    @property
    def hearing(self) -> bool:
        return self._listener.hearing

    async def open(self) -> None:
        try:
            await asyncio.to_thread(self._migrate)
        except DBAPIError as error:
            await self._shut()
            raise StoreError(f"Cannot use the database {self._engine.url!r}: {_sentence(error)}") from error
        except StoreError:
            await self._shut()
            raise
        await self._listener.start()

    async def write(self, fn: Fn, *, serializable: bool = True, frees: bool = False) -> Any:
        how = _SERIALIZABLE if serializable else _READ_COMMITTED
        return await self._writers.run(lambda: self._write(fn, how))

    async def read(self, fn: Fn) -> Any:
        return await self._readers.run(lambda: self._read(fn))

    async def close(self) -> None:
        await self._listener.stop()
        await self._shut()

    async def _shut(self) -> None:
        await self._writers.close()
        await self._readers.close()
        self._links.close()
        self._engine.dispose()

    def _migrate(self) -> None:
        with self._engine.connect() as connection, connection.begin():
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            migrate(connection)
            self._sealing.prepare(connection)

    def _write(self, fn: Fn, how: bytes) -> Any:
        duplicates = lost = 0
        for _ in range(MAX_ATTEMPTS):
            try:
                return self._write_once(fn, how)
            except CommitUnknownError as error:
                raise UnavailableError from error
            except DBAPIError as error:
                code = _code(error)
                duplicates += code == _DUPLICATE
                lost += error.connection_invalidated
                again = code in _COLLISIONS or (code == _DUPLICATE and duplicates == 1) or error.connection_invalidated
                if lost >= MAX_LOST_CONNECTIONS or not again:
                    self._raise(error)
        raise OverloadedError

    def _write_once(self, fn: Fn, how: bytes) -> Any:
        with self._links.transaction(how) as link:
            transaction = Transaction(link.connection, self._sealing, writable=True, link=link)
            result = fn(transaction)
            for topic, key in dict.fromkeys(transaction.announcements):
                self._notify(link.pipeline, topic, key)
            link.commit()
        # Called before the write's own result is: both go through the loop, in this order.
        self._loop.call_soon_threadsafe(self._feed.settle, transaction.announcements, transaction.followers)
        return result

    def _read(self, fn: Fn) -> Any:
        lost = 0
        while True:
            try:
                with self._links.transaction(_READING) as link:
                    result = fn(Transaction(link.connection, self._sealing, writable=False, link=link))
                    link.end()
                return result
            except DBAPIError as error:
                lost += 1
                if not error.connection_invalidated or lost >= MAX_LOST_CONNECTIONS:
                    self._raise(error)

    def _notify(self, pipeline: Pipeline, topic: str, key: str) -> None:
        payload = json.dumps([self._node, topic, key], ensure_ascii=False)
        pipeline.send(b"SELECT pg_notify($1, $2)", [CHANNEL, payload])

    def _raise(self, error: DBAPIError) -> NoReturn:
        explained = self._explained(error)
        if explained is error:
            raise error
        raise explained from error

    def _explained(self, error: DBAPIError) -> Exception:
        if _code(error) in _FULL:
            return DiskFullError(repr(self._engine.url))
        if error.connection_invalidated or (_code(error) is None and isinstance(error.orig, psycopg.OperationalError)):
            logger.warning("the database cannot be reached: %s", _sentence(error))
            return UnavailableError()
        return error


def make_engine(url: str, pool_size: int) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError("The database is no URL. Write postgresql://user@host/name.") from error
    if parsed.get_backend_name() != "postgresql":
        raise StoreError(
            f"Cosset knows PostgreSQL databases, not {parsed.get_backend_name()}. Name none at all for SQLite."
        )
    arguments = {"options": _OPTIONS, "connect_timeout": 10}
    parsed = parsed.set(drivername="postgresql+psycopg")
    return create_engine(parsed, pool_size=pool_size, max_overflow=0, connect_args=arguments)


def _plain(url: str) -> str:
    """The URL as libpq reads it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _code(error: DBAPIError) -> str | None:
    code: str | None = getattr(error.orig, "sqlstate", None)
    return code


def _sentence(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())
