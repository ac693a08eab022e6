"""A statement at work on the bytes of an object: they are fed, what comes out is the answer's. Blocks: for threads."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from cosset.services.s3.select.expressions import is_true
from cosset.services.s3.select.inputs import open_input
from cosset.services.s3.select.outputs import open_output
from cosset.services.s3.select.records import Document, Members, Record
from cosset.services.s3.select.statement import read_statement


class Query:
    """`is_done`: there is nothing more to feed it, as LIMIT is reached."""

    def __init__(self, statement: str, source: Mapping[str, Any], target: Mapping[str, Any], now: datetime) -> None:
        """Raises ServiceError."""
        self._statement = read_statement(statement, now)
        self._input = open_input(source, self._statement.table)
        self._write = open_output(target)
        self._left = self._statement.limit
        self.is_done = self._left == 0

    def feed(self, data: bytes) -> bytes:
        """Raises ServiceError."""
        return b"" if self.is_done else self._answer(self._input.feed(data))

    def finish(self) -> bytes:
        """Raises ServiceError."""
        found = b"" if self.is_done else self._answer(self._input.finish())
        if self._statement.aggregates and self._statement.limit != 0:
            found += self._write(self._shown(Document({}))).encode()
        return found

    def _answer(self, records: Iterable[Record]) -> bytes:
        return "".join(self._lines(records)).encode()

    def _lines(self, records: Iterable[Record]) -> Iterator[str]:
        aggregates, where = self._statement.aggregates, self._statement.where
        for record in records:
            if where is not None and not is_true(where(record)):
                continue
            if aggregates:
                for each in aggregates:
                    each.add(record)
                continue
            yield self._write(self._shown(record))
            if self._left is not None:
                self._left -= 1
                if not self._left:
                    self.is_done = True
                    return

    def _shown(self, record: Record) -> Members:
        outputs = self._statement.outputs
        return record.members() if outputs is None else [(each.name, each.value(record)) for each in outputs]
