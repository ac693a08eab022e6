"""A thread's connection to PostgreSQL: one transaction at a time, through Core and through the pipeline alike.

Kept for as long as it serves; who finds it dead drops it, and the next transaction gets a new one. Next: `pipeline.py`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.errors import InFailedSqlTransaction
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from cosset.store.pipeline import Pipeline


class CommitUnknownError(Exception):
    """The connection was lost during COMMIT: whether it happened cannot be known."""


class Link:
    """One connection. Begin, then `commit` or `rollback` or `end`."""

    def __init__(self, engine: Engine) -> None:
        self.connection = engine.connect()
        raw = self.connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        self.pipeline = Pipeline(raw)
        self._begun: Any = None

    def begin(self, how: bytes) -> None:
        """Travels with the first statement."""
        self._begun = self.pipeline.send(how)

    def core(self) -> Connection:
        """The connection for Core, in the same transaction."""
        self.pipeline.leave()
        return self.connection

    def commit(self) -> None:
        """Raises CommitUnknownError, DBAPIError.

        It never travels with BEGIN: a connection that has been dead for a while is known to be before anything is in
        doubt.
        """
        _ = self._begun.status
        done = self.pipeline.send(b"COMMIT")
        try:
            status = done.status
        except DBAPIError as error:
            if error.connection_invalidated:
                raise CommitUnknownError from error
            raise
        if status != b"COMMIT":  # the function kept an error to itself
            raise DBAPIError(None, None, InFailedSqlTransaction("the transaction had failed"))
        self._forget()

    def end(self) -> None:
        """Of a transaction that has only read: nobody waits for the end itself. What was found is there afterwards."""
        self.pipeline.settle()
        self.pipeline.send(b"COMMIT")
        self.pipeline.part()
        self._forget()

    def rollback(self) -> None:
        """Raises DBAPIError: the connection is lost."""
        try:
            self.pipeline.settle()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
        self.pipeline.send(b"ROLLBACK")
        self.pipeline.settle()
        self._forget()

    def drop(self) -> None:
        """Closes the connection, whatever it is in the middle of."""
        self.connection.invalidate()
        self.connection.close()

    def _forget(self) -> None:
        """Core believes that it has begun a transaction."""
        if self.connection.in_transaction():
            self.core().rollback()


class Links:
    """One for each thread that asks, over connections of `engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._own = threading.local()
        self._all: set[Link] = set()
        self._changing = threading.Lock()

    @contextmanager
    def transaction(self, how: bytes) -> Iterator[Link]:
        """This thread's link, begun. What is raised within is undone, and comes out."""
        link: Link | None = getattr(self._own, "link", None)
        if link is None:
            link = self._own.link = Link(self._engine)
            with self._changing:
                self._all.add(link)
        try:
            link.begin(how)
            yield link
        except BaseException as error:
            self._undo(link, error)
            raise

    def close(self) -> None:
        """When no thread uses one any more."""
        with self._changing:
            links, self._all = self._all, set()
        for link in links:
            link.drop()

    def _undo(self, link: Link, error: BaseException) -> None:
        is_lost = isinstance(error, CommitUnknownError) or getattr(error, "connection_invalidated", False)
        if not is_lost:
            try:
                link.rollback()
            except DBAPIError:
                is_lost = True
        if is_lost:
            del self._own.link
            with self._changing:
                self._all.discard(link)
            link.drop()
