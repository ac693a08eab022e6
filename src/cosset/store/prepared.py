"""Statements that run all the time, without what SQLAlchemy does around each run.

Core works out a statement's text, the order of its parameters and what its rows look like; of a `Prepared` it does so
once. On SQLite, whose statements take microseconds, that is most of what one costs; on PostgreSQL those that nobody
waits for go together (`pipeline.py`). For plain columns alone: numbers, texts and bytes. Next: `Transaction.run`.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection, Dialect, Insert
from sqlalchemy.sql.expression import Executable

if TYPE_CHECKING:
    from cosset.store.pipeline import Pipeline

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Row = TypeVar("Row")
ROWS = 10
_ONE = (dict, Mapping)
"""Of parameters, in this order: whether something is a `Mapping` takes a microsecond to find out, a dict does not."""


class Found(Protocol):
    """What a statement comes to. On PostgreSQL it is waited for by who looks."""

    __slots__ = ()

    @property
    def rows(self) -> Sequence[Any]:
        """By the names of their columns."""
        ...

    @property
    def count(self) -> int:
        """How many rows it changed."""
        ...

    @property
    def number(self) -> int | None:
        """Of the one row that it inserted, where the database numbers them."""
        ...

    def first(self) -> Any:
        """None: there is none."""
        rows = self.rows
        return rows[0] if rows else None

    def scalar(self) -> Any:
        """The first column of the first row; None: there is none."""
        rows = self.rows
        return rows[0][0] if rows else None


class _Known(Found):
    """What is there."""

    __slots__ = ("count", "number", "rows")

    rows: Sequence[Any]
    count: int
    number: int | None

    def __init__(self, rows: Sequence[Any], count: int, number: int | None = None) -> None:
        self.rows = rows
        self.count = count
        self.number = number


class _Ready(NamedTuple):
    """For one kind of database. `given` are values that the statement has in itself, `row` makes a row."""

    text: str
    names: Sequence[str]
    given: Mapping[str, Any]
    row: Any


class Prepared:
    """`statement` has every parameter bound by name; an insert takes all the columns that its first run is given."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._is_insert = isinstance(statement, Insert)
        # An insert that says itself what its columns get.
        self._is_whole = isinstance(statement, Insert) and bool(statement._multi_values or statement.select is not None)
        self._on_sqlite: _Ready | None = None
        self._on_postgresql: _Ready | None = None

    def run_on_sqlite(self, connection: Connection, raw: sqlite3.Connection, parameters: Parameters) -> Found:
        ready = self._on_sqlite
        if ready is None:
            ready = self._on_sqlite = self._make_ready(connection.dialect, parameters)
        if isinstance(parameters, _ONE):
            cursor = raw.execute(ready.text, _values(ready, parameters))
            rows = [] if ready.row is None else list(map(ready.row, cursor.fetchall()))
            return _Known(rows, cursor.rowcount, cursor.lastrowid)
        cursor = raw.executemany(ready.text, [_values(ready, each) for each in parameters])
        return _Known((), cursor.rowcount)

    def run_on_postgresql(self, pipeline: "Pipeline", parameters: Parameters) -> Found:
        ready = self._on_postgresql
        if ready is None:
            ready = self._on_postgresql = self._make_ready(pipeline.dialect, parameters)
        text, row = ready.text.encode(), ready.row
        if isinstance(parameters, _ONE):
            return pipeline.send(text, _values(ready, parameters), row, is_insert=self._is_insert)
        sent = [pipeline.send(text, _values(ready, each), row, is_insert=self._is_insert) for each in parameters]
        return _Known((), sum(each.count for each in sent))

    def _make_ready(self, dialect: Dialect, parameters: Parameters) -> _Ready:
        """Two threads that do so at once come to the same."""
        first = parameters if isinstance(parameters, Mapping) else parameters[0]
        compiled: Any = self._statement.compile(  # type: ignore[attr-defined]
            dialect=dialect,
            column_keys=list(first) if self._is_insert and not self._is_whole else None,
            compile_kwargs={"render_postcompile": True},
        )
        names = compiled.positiontup or ()
        row = None
        if compiled._result_columns:
            fields = [column.keyname for column in compiled._result_columns]
            kind: Any = namedtuple("Row", fields, rename=True)  # type: ignore[misc]
            row = kind._make
        given = {name: compiled.params[name] for name in names if not compiled.binds[name].required}
        return _Ready(str(compiled), names, given, row)


class PreparedMany:
    """A statement about several rows at once, made for each number of them. On SQLite a row of its own is a call of its
    own, and with each the thread that writes lets go of the interpreter and has to wait for it again."""

    def __init__(self, make: Callable[[int], Executable]) -> None:
        self._make = make
        self._made: dict[int, Prepared] = {}

    def of(self, count: int) -> Prepared:
        """For up to ROWS rows; the parameters of row n are those that end in `_n`."""
        assert 0 < count <= ROWS
        made = self._made.get(count)
        if made is None:
            made = self._made[count] = Prepared(self._make(count))
        return made


def in_parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """As many at a time as `PreparedMany` takes."""
    for start in range(0, len(rows), ROWS):
        yield rows[start : start + ROWS]


def _values(ready: _Ready, parameters: Mapping[str, Any]) -> list[Any]:
    given = ready.given
    if not given:
        return [parameters[name] for name in ready.names]
    return [parameters[name] if name in parameters else given[name] for name in ready.names]
