"""Statements on their way to PostgreSQL, sent together: none travels before somebody asks for what one of them found.

A round trip costs more than most statements do, so BEGIN goes with what follows it and NOTIFY with the COMMIT. Speaks
to libpq by itself, for texts, numbers and bytes alone (`Prepared`); everything else goes through Core, on the same
connection and in the same transaction, after `leave`. Next: `postgresql_link.py`, who begins and ends transactions.
"""

import select
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result
from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from cosset.store.prepared import Found

_MAX_PREPARED = 1_000
"""Statements that one connection keeps ready; beyond them each is made ready every time."""
_GOING_AWAY = ("57P01", "57P02", "57P03")
_NO_SUCH_STATEMENT = "26000"
_TEXT, _BINARY = 0, 1
_DIALECT: Dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class Awaited(Found):
    """What a statement comes to. Whoever asks sends everything that waits, and waits for it."""

    __slots__ = ("_is_insert", "_make_row", "_pipeline", "_result", "_rows", "error")

    def __init__(self, pipeline: "Pipeline", make_row: Any, *, is_insert: bool) -> None:
        self._pipeline = pipeline
        self._make_row = make_row
        self._is_insert = is_insert
        self._result: pq.abc.PGresult | None = None
        self._rows: Sequence[Any] | None = None
        self.error: DBAPIError | None = None

    @property
    def rows(self) -> Sequence[Any]:
        result = self._settled()
        if self._rows is None:
            self._rows = () if self._make_row is None or self._is_insert else self._read(result)
        return self._rows

    @property
    def count(self) -> int:
        return self._settled().command_tuples or 0

    @property
    def number(self) -> int | None:
        result = self._settled()
        value = result.get_value(0, 0) if self._is_insert and result.ntuples else None
        return None if value is None else int(_reader(result.ftype(0))(value))

    @property
    def status(self) -> bytes:
        """What the server says was done: `COMMIT`, `ROLLBACK`, `INSERT 0 1`."""
        return self._settled().command_status or b""

    def resolve(self, result: "pq.abc.PGresult") -> None:
        self._result = result

    def _read(self, result: "pq.abc.PGresult") -> Sequence[Any]:
        readers = [_reader(result.ftype(column)) for column in range(result.nfields)]
        return [
            self._make_row(
                None if (value := result.get_value(row, column)) is None else read(value)
                for column, read in enumerate(readers)
            )
            for row in range(result.ntuples)
        ]

    def _settled(self) -> "pq.abc.PGresult":
        if self._result is None and self.error is None:
            self._pipeline.settle()
        if self.error is not None:
            raise self.error
        assert self._result is not None
        return self._result


class Pipeline:
    """Of one connection, for one thread. Errors are Core's, so that it makes no difference which way a statement went.

    `connection_invalidated` of an error says that the connection is of no use any more.
    """

    dialect = _DIALECT
    """How statements are written for it."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._pg = connection.pgconn
        self._poll = select.poll()
        self._poll.register(self._pg.socket, select.POLLIN)
        self._names: dict[bytes, bytes] = {}
        self._counted = 0
        self._new: list[bytes] = []  # made ready in the batch that is being put together
        self._batch: list[Awaited | None] = []
        self._is_owed = False
        self._is_entered = False

    def send(
        self, text: bytes, values: Sequence[Any] = (), make_row: Any = None, *, is_insert: bool = False
    ) -> Awaited:
        """Puts a statement into the batch. `values` stand where it has `$1`, `$2` and so on."""
        awaited = Awaited(self, make_row, is_insert=is_insert)
        formats = [_BINARY if isinstance(value, str | bytes) else _TEXT for value in values]
        written = [_written(value) for value in values]
        try:
            self._enter()
            name = self._names.get(text) or self._prepare(text)
            self._pg.send_query_prepared(name, written, formats, _BINARY)
        except psycopg.Error as error:
            raise self._lost(error) from error
        self._batch.append(awaited)
        return awaited

    def settle(self) -> None:
        """Sends the batch and reads all of its results. Raises DBAPIError, the first: nothing after it was done."""
        if self._batch:
            self._part()
            self._read()

    def part(self) -> None:
        """Sends the batch. Its results are read before anything else is sent; nobody asks for them."""
        if self._batch:
            self._part()
            self._is_owed = True

    def leave(self) -> None:
        """Lets somebody else use the connection. Raises as `settle`."""
        self._pay()
        self.settle()
        if self._is_entered:
            self._pg.exit_pipeline_mode()
            self._is_entered = False

    def _enter(self) -> None:
        self._pay()
        if not self._is_entered:
            self._pg.enter_pipeline_mode()
            self._is_entered = True

    def _pay(self) -> None:
        if self._is_owed:
            self._is_owed = False
            self._read()

    def _prepare(self, text: bytes) -> bytes:
        name = b""
        if len(self._names) < _MAX_PREPARED:
            self._counted += 1
            name = self._names[text] = b"cosset_%d" % self._counted
            self._new.append(text)
        self._pg.send_prepare(name, text)
        self._batch.append(None)
        return name

    def _part(self) -> None:
        try:
            self._pg.pipeline_sync()
            while self._pg.flush():
                (_, event), *_ = self._wait(select.POLLIN | select.POLLOUT)
                if event & ~select.POLLOUT:
                    self._pg.consume_input()
        except psycopg.Error as error:
            raise self._lost(error) from error

    def _read(self) -> None:
        batch, self._batch = self._batch, []
        new, self._new = self._new, []
        failed: DBAPIError | None = None
        try:
            results = self._results()
        except psycopg.Error as error:
            failed, results = self._lost(error), []
        for awaited, result in zip(batch, results, strict=failed is None):
            if failed is None and result.status == pq.ExecStatus.FATAL_ERROR:
                failed = self._failed(error_from_result(result), new)
            if awaited is not None and failed is None:
                awaited.resolve(result)
        if failed is not None:
            for awaited in batch:
                if awaited is not None:
                    awaited.error = failed
            raise failed

    def _results(self) -> "list[pq.abc.PGresult]":
        """One for each statement, up to the end of the batch. Raises psycopg.Error: the connection is lost."""
        pg, nothings = self._pg, 0
        results: list[pq.abc.PGresult] = []
        while True:
            while pg.is_busy():
                self._wait(select.POLLIN)
                pg.consume_input()
            result = pg.get_result()
            if result is None:
                nothings += 1
                if nothings > 1 or pg.status == pq.ConnStatus.BAD:
                    raise psycopg.OperationalError("the database ended the connection")
                continue
            nothings = 0
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                return results
            results.append(result)
            if pg.status == pq.ConnStatus.BAD:
                raise error_from_result(result)

    def _wait(self, events: int) -> list[tuple[int, int]]:
        self._poll.modify(self._pg.socket, events)
        return self._poll.poll()

    def _failed(self, error: psycopg.Error, new: Sequence[bytes]) -> DBAPIError:
        """What the server says of a statement. What was to be made ready behind it is not."""
        for text in new:
            self._names.pop(text, None)
        if error.sqlstate == _NO_SUCH_STATEMENT:
            self._names.clear()
        is_lost = error.sqlstate in _GOING_AWAY or self._pg.status == pq.ConnStatus.BAD
        return _wrapped(error, is_lost=is_lost)

    def _lost(self, error: psycopg.Error) -> DBAPIError:
        lost = _wrapped(error, is_lost=True)
        for awaited in self._batch:
            if awaited is not None:
                awaited.error = lost
        self._batch, self._new, self._is_owed = [], [], False
        return lost


def _wrapped(error: psycopg.Error, *, is_lost: bool) -> DBAPIError:
    wrapped = DBAPIError.instance(None, None, error, psycopg.Error, connection_invalidated=is_lost)
    assert isinstance(wrapped, DBAPIError)
    return wrapped


def _written(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, int):
        return b"%d" % value
    raise TypeError(f"a prepared statement takes numbers, texts and bytes, not {type(value).__name__}")


def _whole(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def _nothing(_value: bytes) -> None:
    return None


_READERS: dict[int, Callable[[bytes], Any]] = {
    16: lambda value: value != b"\0",  # bool
    17: bytes,
    18: bytes.decode,  # "char"
    19: bytes.decode,  # name
    20: _whole,
    21: _whole,
    23: _whole,
    25: bytes.decode,
    114: bytes.decode,  # json, as a text
    1043: bytes.decode,
    2278: _nothing,  # void, what functions without a result give
}
"""By PostgreSQL's number of the type."""


def _reader(kind: int) -> Callable[[bytes], Any]:
    reader = _READERS.get(kind)
    if reader is None:
        raise TypeError(f"a prepared statement gives numbers, texts and bytes, not PostgreSQL's type {kind}")
    return reader
