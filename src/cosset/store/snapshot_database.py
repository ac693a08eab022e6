"""The database of a snapshot: always a SQLite file, whatever it came from, and wherever it goes.

Of SQLite it is a backup, of PostgreSQL the rows of every table, both of one moment and without holding up anybody who
writes. So an older one is brought forward like any data folder, and one of either kind may go to the other.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, func, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError

from cosset.store.errors import StoreError
from cosset.store.migrations import MIGRATIONS, migrate
from cosset.store.schema import metadata, schema_version
from cosset.store.sqlite_files import connect

NEWEST_SCHEMA = len(MIGRATIONS) + 1
_PAGES = 1024
_ROWS = 500


def back_up(source: Path, target: Path) -> None:
    """A SQLite file as it is at this moment, while others write to it. Raises: sqlite3.Error."""
    with closing(connect(source, read_only=True)) as there, closing(sqlite3.connect(target)) as here:
        # The open transaction keeps the moment: without it, a backup begins anew whenever somebody writes.
        there.execute("BEGIN")
        there.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        there.backup(here, pages=_PAGES, sleep=0.001)
        there.execute("ROLLBACK")
        here.execute("PRAGMA journal_mode = DELETE")  # so that the file is all there is


def schema_of(path: Path) -> int:
    """The version of the tables in a SQLite file. Raises: StoreError, when there are none."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            row = connection.execute(f"SELECT version FROM {schema_version.name}").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{path} is no database of Cosset ({error}).") from error
    if row is None:
        raise StoreError(f"{path} is no database of Cosset.")
    return int(row[0])


def export_postgresql(url: str, target: Path) -> None:
    """Every row of one moment into a new SQLite file. Raises: StoreError."""
    with _postgresql(url) as engine, engine.connect() as there:
        there = there.execution_options(isolation_level="SERIALIZABLE", postgresql_readonly=True, stream_results=True)
        found = _version(there)
        if found is None:
            raise StoreError("There are no tables of Cosset in that database.")
        if found != NEWEST_SCHEMA:
            raise StoreError(
                f"The tables have the schema {found}, and this Cosset writes {NEWEST_SCHEMA}: start it on them once."
            )
        with _sqlite(target) as engine_here, engine_here.begin() as here:
            migrate(here)
            _copy(there, here)


def import_postgresql(url: str, source: Path) -> None:
    """The rows of a snapshot's database into an empty PostgreSQL database: all of them or none. `source` is brought
    forward first. Raises: StoreError."""
    with _sqlite(source) as engine_here:
        with engine_here.begin() as here:
            migrate(here)
        with _postgresql(url) as engine, engine_here.connect() as here, engine.begin() as there:
            if _version(there) is not None and _has_rows(there):
                raise StoreError("The database holds an installation of Cosset already. Load into an empty one.")
            migrate(there)
            _copy(here, there)
            _set_sequences(there)


def _copy(source: Connection, target: Connection) -> None:
    """A table that the source does not have yet, since no server of this Cosset has started on it, is empty."""
    there = set(inspect(source).get_table_names())
    for table in _tables():
        if table.name not in there:
            continue
        rows = source.execute(select(table).order_by(*table.primary_key.columns)).mappings()
        while some := rows.fetchmany(_ROWS):
            target.execute(insert(table), [_plain(row) for row in some])


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """PostgreSQL's driver may answer views of bytes."""
    return {str(name): bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}


def _tables() -> list[Table]:
    return [table for table in metadata.sorted_tables if table is not schema_version]


def _has_rows(connection: Connection) -> bool:
    there = set(inspect(connection).get_table_names())
    return any(
        connection.execute(select(text("1")).select_from(table).limit(1)).first() is not None
        for table in _tables()
        if table.name in there
    )


def _set_sequences(connection: Connection) -> None:
    """Numbers that count up by themselves go on behind the rows."""
    for table in _tables():
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = connection.execute(select(func.pg_get_serial_sequence(table.name, column.name))).scalar()
        highest = connection.execute(select(func.max(column))).scalar()
        if sequence is not None and highest is not None:
            connection.execute(select(func.setval(sequence, highest)))


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(schema_version.name):
        return None
    version: int | None = connection.execute(select(schema_version.c.version)).scalar()
    return version


@contextmanager
def _sqlite(path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{path}")
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _postgresql(url: str) -> Iterator[Engine]:
    from cosset.store.postgresql import make_engine  # only who names a database pays for its driver

    engine = make_engine(url, 1)
    try:
        yield engine
    except DBAPIError as error:
        raise StoreError(f"Cannot use the database {engine.url!r}: {str(error.orig).strip()}") from error
    finally:
        engine.dispose()
