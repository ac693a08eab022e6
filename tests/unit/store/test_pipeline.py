"""Statements that travel together on PostgreSQL: what they find, what fails of them, and what is left behind."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import bindparam, insert
from sqlalchemy import select as query
from sqlalchemy.exc import DBAPIError

from cosset.clock import SystemClock
from cosset.store.database import Store, Transaction
from cosset.store.pipeline import Pipeline
from cosset.store.prepared import Prepared
from support.postgres import PostgresServer

from .test_prepared import ADD, FIND, things

ONE = b"SELECT $1::bigint AS one"


@pytest.fixture
def run(postgres: PostgresServer, tmp_path: Path) -> Callable[[Any], None]:
    def run(test: Any) -> None:
        async def main() -> None:
            url = postgres.new_database()
            store = await Store.open(data=tmp_path, database=url, clock=SystemClock(), min_free_mb=0)
            try:
                await test(store, url)
            finally:
                await store.close()

        asyncio.run(main())

    return run


@pytest.fixture
def pipeline(postgres: PostgresServer) -> Any:
    with psycopg.connect(postgres.url("postgres")) as connection:
        yield Pipeline(connection)


def made(row: Any) -> list[Any]:
    return list(row)


def test_nothing_travels_until_somebody_asks(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = [pipeline.send(ONE, [number], made) for number in range(3)]
    syncs: list[int] = []
    part = pipeline._part

    def counted() -> None:
        syncs.append(1)
        part()

    monkeypatch.setattr(pipeline, "_part", counted)
    assert [each.scalar() for each in (sent[2], sent[0], sent[1])] == [2, 0, 1]
    assert len(syncs) == 1


def test_after_an_error_nothing_of_the_batch_is_done_and_the_next_one_is(pipeline: Pipeline) -> None:
    before = pipeline.send(ONE, [1], made)
    wrong = pipeline.send(b"SELECT 1 / $1::bigint", [0], made)
    after = pipeline.send(b"SELECT $1::bigint AS after", [2], made)
    for awaited in (wrong, after, before):
        with pytest.raises(DBAPIError, match="division by zero") as failed:
            _ = awaited.rows
        assert not failed.value.connection_invalidated
    assert pipeline.send(b"SELECT $1::bigint AS after", [3], made).scalar() == 3
    with pytest.raises(DBAPIError, match="syntax error"):
        _ = pipeline.send(b"SELEKT", []).rows
    assert pipeline.send(ONE, [4], made).scalar() == 4


def test_more_than_the_socket_holds_goes_both_ways(pipeline: Pipeline) -> None:
    bodies = [bytes([number]) * 900_000 for number in range(8)]
    sent = [pipeline.send(b"SELECT $1::bytea", [body], made) for body in bodies]
    assert [each.scalar() for each in sent] == bodies


def test_every_kind_of_value(pipeline: Pipeline) -> None:
    text = b"SELECT $1::text, $2::bytea, $3::integer, $4::bigint, $5::boolean, $6::varchar, $7::smallint"
    values = ["é\U0001f600", b"\0\xff", -5, -(2**60), True, None, 7]
    assert pipeline.send(text, values, made).first() == values
    with pytest.raises(DBAPIError, match="0x00"):
        pipeline.send(b"SELECT $1::text", ["a\0b"], made).first()
    with pytest.raises(TypeError, match="not float"):
        pipeline.send(b"SELECT $1::real", [1.5], made)
    with pytest.raises(TypeError, match="type 701"):
        pipeline.send(b"SELECT 1.5::float8", [], made).first()


def test_many_different_statements_do_not_pile_up(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosset.store.pipeline._MAX_PREPARED", 5)
    sent = [pipeline.send(b"SELECT %d + $1::bigint" % number, [1], made) for number in range(20)]
    assert [each.scalar() for each in sent] == list(range(1, 21))
    assert pipeline.send(b"SELECT count(*) FROM pg_prepared_statements", [], made).scalar() <= 6


def test_statements_that_were_thrown_away_are_made_again(run: Callable[[Any], None]) -> None:
    async def test(store: Store, _url: str) -> None:
        async def number(size: int) -> int | None:
            row = {"name": "a", "size": size, "body": b""}
            return await store.write(lambda tx: tx.run(ADD, row).number)

        await number(1)
        await store.write(lambda tx: tx._core().exec_driver_sql("DEALLOCATE ALL"))
        await asyncio.gather(*(number(size) for size in range(2, 20)))
        found = await store.read(lambda tx: tx.run(FIND, {"least": 0}).rows)
        assert len(found) == 19

    run(test)


def test_what_a_read_found_is_there_when_it_has_ended(run: Callable[[Any], None]) -> None:
    async def test(store: Store, _url: str) -> None:
        row = {"name": "a", "size": 1, "body": b""}
        written = await store.write(lambda tx: tx.run(ADD, row))
        found = [await store.read(lambda tx: tx.run(FIND, {"least": 0})) for _ in range(3)]
        nothing = [await store.read(lambda tx: tx.run(FIND, {"least": 2})) for _ in range(3)]
        assert all(each.error is None and each._result is not None for each in [written, *found, *nothing])
        assert [len(each.rows) for each in [*found, *nothing]] == [1, 1, 1, 0, 0, 0]

    run(test)


def test_core_and_what_is_prepared_are_one_transaction(run: Callable[[Any], None]) -> None:
    async def test(store: Store, _url: str) -> None:
        row = {"name": "a", "size": 1, "body": b""}

        def both(tx: Transaction) -> list[str]:
            tx.run(ADD, row)
            tx.execute(insert(things).values(name="b", size=2, body=b""))
            tx.run(ADD, {**row, "name": "c", "size": 3})
            return [each.name for each in tx.run(FIND, {"least": 0}).rows]

        def fails(tx: Transaction) -> None:
            both(tx)
            raise LookupError

        with pytest.raises(LookupError):
            await store.write(fails)
        assert await store.write(both) == ["a", "b", "c"]
        assert len(await store.read(lambda tx: tx.execute(query(things)).all())) == 3
        assert len(await store.read(lambda tx: tx.run(FIND, {"least": 0}).rows)) == 3

    run(test)


def test_an_error_that_is_met_at_the_commit_undoes_everything(run: Callable[[Any], None]) -> None:
    """Nobody asked what the statement came to."""
    twice = Prepared(insert(things).values(id=bindparam("the_id"), name="a"))

    async def test(store: Store, _url: str) -> None:
        def work(tx: Transaction) -> None:
            for number in (1, 2, 1):
                tx.run(twice, {"the_id": number})

        with pytest.raises(DBAPIError, match="duplicate key"):
            await store.write(work)
        assert await store.read(lambda tx: tx.run(FIND, {"least": 0}).rows) == []

    run(test)


def test_an_error_that_a_function_keeps_to_itself_is_no_success(run: Callable[[Any], None]) -> None:
    async def test(store: Store, _url: str) -> None:
        def work(tx: Transaction) -> str:
            try:
                tx._core().exec_driver_sql("SELECT 1 / 0")
            except DBAPIError:
                return "well"
            return "never"

        with pytest.raises(DBAPIError, match="failed"):
            await store.write(work)

    run(test)


def test_connections_that_were_ended_while_they_rested_are_not_noticed(run: Callable[[Any], None]) -> None:
    async def test(store: Store, url: str) -> None:
        row = {"name": "a", "size": 1, "body": b""}
        for _ in range(3):
            await asyncio.gather(
                *(store.write(lambda tx: tx.run(ADD, row)) for _ in range(8)),
                *(store.read(lambda tx: tx.run(FIND, {"least": 0})) for _ in range(8)),
            )
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        await store.write(lambda tx: tx.run(ADD, row))
        assert len(await store.read(lambda tx: tx.run(FIND, {"least": 0}).rows)) == 25

    run(test)
