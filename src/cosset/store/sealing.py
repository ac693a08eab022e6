"""Seals secrets at rest: columns that are declared `info=SEALED` hold nothing that opens without the root key.

Which root key a column is sealed under stands in the database, and is asked within the transaction that seals: so a
rotation and a write on another node cannot miss each other. A value is bound to its table, column and row. It stays
as it is until `Transaction.unseal`; caches above hold the plain value in memory. docs/decisions/0021.
"""

import base64
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Column, Connection, LargeBinary, MetaData, String, Table, delete, insert, select, update

from cosset.identity.sealing import NONCE_BYTES, open_sealed, seal
from cosset.store.errors import StoreError
from cosset.store.root_key import KEY_BYTES, RootKey, RootKeyFile
from cosset.store.schema import metadata

_PREFIX = "sealed:"

# Under which root key each sealed column is; a column without a row here is still in clear.
sealed_columns = Table(
    "store_sealed_columns",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("key_id", String(16), nullable=False),
)

SealedColumn = Column[Any]


class Sealing:
    """Holds the root keys in memory; reads their file again for one that it does not know. For several threads."""

    def __init__(
        self,
        file: RootKeyFile,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        tables: MetaData = metadata,
        *,
        is_key_lost: bool = False,
    ) -> None:
        """`is_key_lost`: start anew with a new root key, without what only the old one opens; `lost` counts that.

        `has_replaced`: values were sealed anew, so that what they were may still stand in free pages of the database.
        """
        self.lost = 0
        self.has_replaced = False
        self._is_key_lost = is_key_lost
        self._file = file
        self._random_bytes = random_bytes
        self._tables = tables
        self._keys: tuple[RootKey, ...] = ()
        self._reading = threading.Lock()

    def prepare(self, connection: Connection) -> None:
        """Makes the first root key; seals what an older Cosset left in clear; ends a rotation that was cut short.

        To be called in the transaction that migrates, with all tables there. Raises StoreError: the key is not here.
        """
        columns = list(self._columns())
        if not columns:
            return
        under = _sealed_under(connection)
        self._keys = self._file.read()
        if self._is_key_lost and under:
            self._abandon(connection, columns)
            return
        if not self._keys:
            if under:
                raise self._missing(next(iter(under.values())))
            self._keys = self._file.make(RootKey(self._random_bytes(KEY_BYTES)))
        for column in columns:
            if under.get(_name(column)) != self._keys[0].id:
                self._reseal(connection, column, under.get(_name(column)))

    def seal(self, connection: Connection, column: SealedColumn, row: Sequence[str], plain: bytes) -> str:
        """`plain` as it is kept in this column of the row with this primary key. Raises StoreError."""
        query = select(sealed_columns.c.key_id).where(sealed_columns.c.name == _name(column))
        return self._sealed(self._key(str(connection.execute(query).scalar_one())), column, row, plain)

    def unseal(self, column: SealedColumn, row: Sequence[str], kept: str) -> bytes:
        """The reverse. Raises StoreError: another root key's, or not what was written here."""
        return self._opened(column, row, kept)

    def rotating(self) -> AbstractContextManager[None]:
        return self._file.rotating()

    def keys_in_use(self, connection: Connection) -> frozenset[str]:
        """The ids of those that something is sealed under."""
        return frozenset(_sealed_under(connection).values())

    def begin_rotation(self, in_use: frozenset[str]) -> None:
        """Puts a new root key before those that are in use. Raises StoreError."""
        former = self._file.read()
        kept = [key for key in former if key.id in in_use or key is former[0]]
        self._keys = (RootKey(self._random_bytes(KEY_BYTES)), *kept)
        self._file.write(self._keys)

    def reseal(self, connection: Connection) -> int:
        """Seals everything under the first key, within the caller's transaction; how many values. Raises StoreError."""
        known, under = list(self._columns()), _sealed_under(connection)
        strangers = set(under) - {_name(column) for column in known}
        if strangers:
            raise StoreError(f"This Cosset does not know what is sealed in {', '.join(sorted(strangers))}.")
        return sum(self._reseal(connection, column, under.get(_name(column))) for column in known)

    def end_rotation(self) -> None:
        """Forgets all keys but the first: nothing is sealed under them any more. Raises StoreError."""
        self._keys = self._keys[:1]
        self._file.write(self._keys)

    def _columns(self) -> Iterator[SealedColumn]:
        for table in self._tables.sorted_tables:
            yield from (column for column in table.columns if column.info.get("sealed"))

    def _abandon(self, connection: Connection, columns: Sequence[SealedColumn]) -> None:
        """Every row goes that no key opens; the rest is sealed anew."""
        self._keys = self._keys or self._file.make(RootKey(self._random_bytes(KEY_BYTES)))
        for column in columns:
            for row, kept in self._rows(connection, column):
                try:
                    self._opened(column, row, kept)
                except StoreError:
                    connection.execute(delete(column.table).where(*_is(column, row)))
                    self.lost += 1
            self._reseal(connection, column, self._keys[0].id)

    def _rows(self, connection: Connection, column: SealedColumn) -> list[tuple[tuple[str, ...], str]]:
        found = connection.execute(select(*column.table.primary_key.columns, column).where(column.is_not(None)))
        return [(tuple(str(each) for each in row[:-1]), _text(row[-1])) for row in found]

    def _reseal(self, connection: Connection, column: SealedColumn, under: str | None) -> int:
        """`under` None: it is in clear."""
        key = self._keys[0]
        rows = connection.execute(select(*column.table.primary_key.columns, column).where(column.is_not(None))).all()
        for found in rows:
            row, kept = tuple(str(each) for each in found[:-1]), found[-1]
            plain = _bytes(kept) if under is None else self._opened(column, row, _text(kept))
            sealed = self._sealed(key, column, row, plain)
            value: str | bytes = sealed.encode() if isinstance(column.type, LargeBinary) else sealed
            connection.execute(update(column.table).where(*_is(column, row)).values({column.name: value}))
            self.has_replaced = True
        connection.execute(delete(sealed_columns).where(sealed_columns.c.name == _name(column)))
        connection.execute(insert(sealed_columns).values(name=_name(column), key_id=key.id))
        return len(rows)

    def _sealed(self, key: RootKey, column: SealedColumn, row: Sequence[str], plain: bytes) -> str:
        data = seal(key.secret, _context(column, row), plain, self._random_bytes(NONCE_BYTES))
        return f"{_PREFIX}{key.id}:{base64.b64encode(data).decode('ascii')}"

    def _opened(self, column: SealedColumn, row: Sequence[str], kept: str) -> bytes:
        prefix, _, rest = kept.partition(":")
        key_id, _, data = rest.partition(":")
        if f"{prefix}:" != _PREFIX:
            raise StoreError(f"{_name(column)} holds a value that is not sealed. Was the database changed by hand?")
        plain = open_sealed(self._key(key_id).secret, _context(column, row), base64.b64decode(data))
        if plain is None:
            raise StoreError(f"A sealed value in {_name(column)} does not open. Was the database changed by hand?")
        return plain

    def _key(self, key_id: str) -> RootKey:
        for key in self._keys:
            if key.id == key_id:
                return key
        with self._reading:
            self._keys = self._file.read() or self._keys
        for key in self._keys:
            if key.id == key_id:
                return key
        raise self._missing(key_id)

    def _missing(self, key_id: str) -> StoreError:
        return StoreError(
            f"The database is sealed under the root key {key_id}, which {self._file.path} does not hold. Put a copy of "
            "it back, or name it with --key-file. If it is lost for good: cosset key recover --root-key-lost."
        )


def _sealed_under(connection: Connection) -> dict[str, str]:
    return {str(row.name): str(row.key_id) for row in connection.execute(select(sealed_columns))}


def _name(column: SealedColumn) -> str:
    return f"{column.table.name}.{column.name}"


def _context(column: SealedColumn, row: Sequence[str]) -> bytes:
    return "\0".join((_name(column), *row)).encode()


def _is(column: SealedColumn, row: Sequence[str]) -> list[Any]:
    return [key == value for key, value in zip(column.table.primary_key.columns, row, strict=True)]


def _text(kept: str | bytes) -> str:
    return kept.decode("ascii", "replace") if isinstance(kept, bytes) else kept


def _bytes(kept: str | bytes) -> bytes:
    return kept if isinstance(kept, bytes) else kept.encode()
