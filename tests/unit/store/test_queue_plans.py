"""No statement of the queue goes through all of a queue: what SQLite plans for each that names messages."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from cosset.clock import SystemClock
from cosset.store import queue_tables as statements
from cosset.store.database import Store
from cosset.store.prepared import Prepared

BY_NUMBER = {
    "REMOVE": statements.REMOVE.of(10),
    "LEASE": statements.LEASE.of(10),
    "HELD": statements.HELD,
    "STANDING": statements.STANDING,
    "DELETE": statements.DELETE,
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    async def make() -> None:
        await (await Store.open(data=tmp_path, database=None, clock=SystemClock(), min_free_mb=0)).close()

    asyncio.run(make())
    return next(tmp_path.rglob("*.db"))


def plan(database: Path, statement: Prepared) -> str:
    compiled = statement._statement.compile(dialect=_dialect(), compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
    connection = sqlite3.connect(database)
    try:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {compiled}", [None] * len(compiled.positiontup or ())).fetchall()
    finally:
        connection.close()
    return "; ".join(row[3] for row in rows)


def _dialect() -> object:
    from sqlalchemy.dialects import sqlite

    return sqlite.dialect()


@pytest.mark.parametrize("name", BY_NUMBER)
def test_messages_are_found_by_their_numbers(database: Path, name: str) -> None:
    assert "INTEGER PRIMARY KEY" in plan(database, BY_NUMBER[name])


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (statements.NEXT_TENANT, "COVERING INDEX queue_messages_group"),
        (statements.DUE_OF_TENANT, "INDEX queue_messages_group_due (queue=? AND group_id=? AND due_ms<?)"),
        (statements.IN_FLIGHT_OF_TENANTS, "INDEX queue_messages_due (queue=? AND due_ms>?)"),
    ],
)
def test_tenants_are_found_without_going_through_a_backlog(database: Path, statement: Prepared, index: str) -> None:
    assert index in plan(database, statement)
