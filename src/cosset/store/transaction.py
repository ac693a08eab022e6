"""What a function given to `Store.write` or `Store.read` works with."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, CursorResult, Executable

from cosset.store.prepared import Found, Parameters, Prepared

if TYPE_CHECKING:
    import sqlite3

    from cosset.store.postgresql_link import Link
    from cosset.store.sealing import Sealing


class Transaction:
    """One transaction under way. Usable only inside the function it was given to.

    A database error ends the transaction on PostgreSQL, so let it out: ask before writing, or use `on_conflict`.
    """

    def __init__(
        self,
        connection: Connection,
        sealing: "Sealing",
        *,
        writable: bool,
        raw: "sqlite3.Connection | None" = None,
        link: "Link | None" = None,
    ) -> None:
        """`raw` is SQLite's own connection, `link` PostgreSQL's: one of them is there."""
        self._connection = connection
        self._raw = raw
        self._link = link
        self._sealing = sealing
        self._writable = writable
        self.announcements: list[tuple[str, str]] = []
        self.followers: list[Callable[[], None]] = []

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`, for the few statements that Core writes apart."""
        return self._connection.dialect.name

    def execute(self, statement: Executable, parameters: Parameters | None = None) -> CursorResult[Any]:
        return self._core().execute(statement, parameters)

    def run(self, prepared: Prepared, parameters: Parameters) -> Found:
        """As `execute`, of a statement that runs all the time.

        On PostgreSQL it travels when somebody looks at what it, or a later one, found, or with the commit.
        """
        if self._raw is not None:
            return prepared.run_on_sqlite(self._connection, self._raw, parameters)
        assert self._link is not None
        return prepared.run_on_postgresql(self._link.pipeline, parameters)

    def seal(self, column: Column[Any], row: Sequence[str], plain: str | bytes) -> str:
        """A secret as this column keeps it, in the row with this primary key. Raises StoreError: no root key."""
        plain = plain.encode() if isinstance(plain, str) else plain
        return self._sealing.seal(self._core(), column, row, plain)

    def unseal(self, column: Column[Any], row: Sequence[str], kept: str) -> str:
        """The reverse. Raises StoreError: another root key's, or not what was written there."""
        return self.unseal_bytes(column, row, kept).decode()

    def unseal_bytes(self, column: Column[Any], row: Sequence[str], kept: str) -> bytes:
        return self._sealing.unseal(column, row, kept)

    def root_keys_in_use(self) -> frozenset[str]:
        return self._sealing.keys_in_use(self._core())

    def reseal(self) -> int:
        """Seals everything under the newest root key; how many values (`Store.rotate_root_key`)."""
        return self._sealing.reseal(self._core())

    def announce(self, topic: str, key: str) -> None:
        """Tells the change feed, on every node, once this transaction has committed, and only then."""
        if not self._writable:
            raise RuntimeError("nothing changes in a read: announce in a write")
        if not topic or len(topic) + len(key) > 1500:  # PostgreSQL carries 8,000 bytes
            raise ValueError("a topic and its key have up to 1,500 characters together")
        self.announcements.append((topic, key))

    def follow(self, callback: Callable[[], None]) -> None:
        """Runs it on this node's event loop once this transaction has committed, and only then, before `write()`
        returns. As short as a callback for changes: it may start a task, and does no I/O itself."""
        if not self._writable:
            raise RuntimeError("nothing follows from a read")
        self.followers.append(callback)

    def _core(self) -> Connection:
        return self._connection if self._link is None else self._link.core()
