"""The front of the store: work is a short function of a transaction. Everything durable but blobs and logs is here.

It knows no table of its own; rooms declare theirs (`schema.py`). Two engines stand behind it: `sqlite.py`,
`postgresql.py`. No function given to it may do anything but read and write through its transaction: it may run again.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from cosset.clock import Clock
from cosset.store.changes import Callback, ChangeFeed
from cosset.store.disk import DiskWatch
from cosset.store.errors import StoreError
from cosset.store.root_key import FILE_NAME as KEY_FILE_NAME
from cosset.store.root_key import RootKeyFile
from cosset.store.sealing import Sealing
from cosset.store.sqlite import SqliteEngine
from cosset.store.transaction import Transaction

if TYPE_CHECKING:
    from cosset.store.postgresql import PostgresqlEngine

T = TypeVar("T")

__all__ = ["Store", "Transaction"]


class Engine(Protocol):
    """What a database must do for the store."""

    shared: bool

    @property
    def hearing(self) -> bool: ...

    async def write(self, fn: Callable[[Transaction], Any], *, serializable: bool, frees: bool) -> Any: ...

    async def read(self, fn: Callable[[Transaction], Any]) -> Any: ...

    async def close(self) -> None: ...


class Store:
    """Transactions over SQLite in the data folder, or over a PostgreSQL database that several nodes share."""

    def __init__(self, engine: Engine, feed: ChangeFeed, sealing: Sealing) -> None:
        self._engine = engine
        self._sealing = sealing
        self._feed = feed

    @classmethod
    async def open(
        cls,
        *,
        data: Path,
        database: str | None,
        clock: Clock,
        min_free_mb: int = 256,
        key_file: Path | None = None,
        is_key_lost: bool = False,
    ) -> "Store":
        """Makes or migrates the tables. Raises StoreError: newer schema, folder in use, read-only, damaged, no server.

        `database` is a SQLAlchemy URL of a PostgreSQL database, or None for SQLite in `data`. `key_file` holds the root
        key that seals secrets (None: one in `data`); it is made where nothing is sealed yet.
        `is_key_lost` goes on without it, and without what it sealed (`lost` says how much).
        """
        sealing = Sealing(RootKeyFile(key_file or data / KEY_FILE_NAME), is_key_lost=is_key_lost)
        _make_folder(data)
        feed = ChangeFeed()
        engine: SqliteEngine | PostgresqlEngine
        if database is None:
            engine = SqliteEngine(data, DiskWatch(data, min_free_mb), feed, sealing)
        else:
            engine = _postgresql(database, feed, clock, sealing)
        await engine.open()
        return cls(engine, feed, sealing)

    @property
    def hearing(self) -> bool:
        """Whether other nodes' announcements reach this one. While they do not, nothing cached may be trusted."""
        return self._engine.hearing

    @property
    def lost(self) -> int:
        """How many rows went with a lost root key when this store was opened."""
        return self._sealing.lost

    @property
    def shared(self) -> bool:
        """Whether other nodes may have the same data open."""
        return self._engine.shared

    async def write(self, fn: Callable[[Transaction], T], *, serializable: bool = True, frees: bool = False) -> T:
        """What `fn` returns, once it is committed and every callback of this node has heard of it.

        What `fn` raises undoes `fn` alone and comes out here. Raises DiskFullError and OverloadedError too, with
        nothing done. After a crash either all of `fn` is there or nothing. `serializable=False` is for work that locks
        the rows it takes; `frees` for work that deletes, which a full disk does not refuse.
        """
        return cast(T, await self._engine.write(fn, serializable=serializable, frees=frees))

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        """What `fn` returns, from one unchanging view of everything committed before the call."""
        return cast(T, await self._engine.read(fn))

    async def rotate_root_key(self) -> int:
        """A new root key, and everything that is sealed, sealed under it; how many values. Raises StoreError.

        Cut short at any point, nothing is lost: the next start, or the next rotation, ends it.
        """
        with self._sealing.rotating():
            in_use = await self.read(lambda tx: tx.root_keys_in_use())
            await asyncio.to_thread(self._sealing.begin_rotation, in_use)
            count = await self.write(lambda tx: tx.reseal())
            await asyncio.to_thread(self._sealing.end_rotation)
        return count

    def on_change(self, topic: str, callback: Callback) -> None:
        """`callback(key)` runs on the event loop for what any node announces, before the `write()` here returns.

        The key `changes.EVERYTHING` says that some announcements may have been missed.
        """
        self._feed.on_change(topic, callback)

    def off_change(self, topic: str, callback: Callback) -> None:
        """Ends `on_change`; may be said twice."""
        self._feed.off_change(topic, callback)

    def tell_here(self, topic: str, key: str) -> None:
        """As an announcement, to the callbacks of this node alone. On the event loop."""
        self._feed.deliver([(topic, key)])

    async def close(self) -> None:
        """Finishes what was submitted. Nothing else may be called afterwards."""
        await self._engine.close()


def _postgresql(url: str, feed: ChangeFeed, clock: Clock, sealing: Sealing) -> "PostgresqlEngine":
    try:
        from cosset.store.postgresql import PostgresqlEngine  # only who names a database pays for its driver
    except ImportError as error:
        raise StoreError("PostgreSQL needs its driver: pip install 'cosset[postgresql]'") from error
    return PostgresqlEngine(url, feed, clock, sealing)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"Cannot make the data folder {folder}: {error.strerror}.") from error
