"""What PostgreSQL alone does: several nodes, the change feed between them, losing the database and finding it again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select, text

from cosset.clock import SystemClock
from cosset.store.changes import EVERYTHING
from cosset.store.database import Store, Transaction
from cosset.store.errors import StoreError, UnavailableError
from cosset.store.queue import Draft, DurableQueue
from cosset.store.queue_watch import LOOK_S
from support.clock import ManualClock
from support.postgres import PostgresServer, running_postgres

from .test_database import pairs, put, value_of


@asynccontextmanager
async def node(url: str, folder: Path) -> AsyncIterator[Store]:
    store = await Store.open(data=folder, database=url, clock=SystemClock())
    try:
        yield store
    finally:
        await store.close()


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_other_nodes_hear_every_announcement_in_order(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()

    async def main() -> None:
        async with node(url, tmp_path) as one, node(url, tmp_path) as other:
            heard: list[str] = []
            mine: list[str] = []
            other.on_change("colour", heard.append)
            one.on_change("colour", mine.append)
            for n in range(200):
                await one.write(lambda tx, n=n: tx.announce("colour", f"é{n}"))
            await until(lambda: len(heard) >= 200)
            assert heard == mine == [f"é{n}" for n in range(200)]

    asyncio.run(main())


def test_a_message_sent_on_one_node_wakes_another(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()

    async def main() -> None:
        clock = ManualClock()
        async with node(url, tmp_path) as one, node(url, tmp_path) as other:
            queue = DurableQueue(other, "q", clock)
            waiting = asyncio.create_task(queue.wait(60))
            await other.read(lambda tx: None)
            await one.write(lambda tx: DurableQueue(one, "q", clock).send(tx, b"a"))
            async with asyncio.timeout(60):
                await waiting
            (message,) = await queue.receive(limit=10, lease_ms=1000)
            assert message.body == b"a"

    asyncio.run(main())


def test_what_a_dead_node_had_from_its_sender_comes_to_another(postgres: PostgresServer, tmp_path: Path) -> None:
    """Nobody announces such a lease: who waits elsewhere looks for it by himself."""
    url = postgres.new_database()

    async def main() -> None:
        clock = ManualClock()
        async with node(url, tmp_path) as one, node(url, tmp_path) as other:
            there, here = DurableQueue(one, "q", clock), DurableQueue(other, "q", clock)
            waiting = asyncio.create_task(here.wait(60))
            await until(lambda: here.is_quiet)
            message = await one.write(lambda tx: there.put_for(tx, Draft(body=b"a"), 10_000))
            assert message.lease.startswith(f"{message.seq}.")
            async with asyncio.timeout(60):
                while not waiting.done():
                    clock.advance(LOOK_S)
                    await asyncio.sleep(0.01)
            assert waiting.result()
            (again,) = await here.receive(limit=10, lease_ms=1000)
            assert (again.id, again.attempts) == (message.id, 2)
            assert not await one.write(lambda tx: there.delete(tx, message))
            assert await other.write(lambda tx: here.delete(tx, again))

    asyncio.run(main())


def test_nodes_that_start_together_make_the_tables_once(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()

    async def main() -> None:
        stores = await asyncio.gather(*(Store.open(data=tmp_path, database=url, clock=SystemClock()) for _ in range(4)))
        await stores[0].write(lambda tx: put(tx, "a", 1))
        assert [await store.read(lambda tx: value_of(tx, "a")) for store in stores] == [1, 1, 1, 1]
        for store in stores:
            await store.close()

    asyncio.run(main())


def test_a_newer_schema_is_refused_by_name(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()

    async def main() -> None:
        async with node(url, tmp_path):
            pass
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE schema_version SET version = 99")
        with pytest.raises(StoreError, match="newer Cosset"):
            await Store.open(data=tmp_path, database=url, clock=SystemClock())

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "postgresql://user@host/name"),
        ("mysql://root@localhost/x", "not mysql"),
        ("postgresql://nobody:secret@127.0.0.1:1/x", "Cannot use the database"),
    ],
)
def test_a_database_that_cannot_be_used_is_named(tmp_path: Path, url: str, sentence: str) -> None:
    async def main() -> None:
        with pytest.raises(StoreError, match=sentence) as refused:
            await Store.open(data=tmp_path, database=url, clock=SystemClock())
        assert "secret" not in str(refused.value)

    asyncio.run(main())


def test_a_collision_runs_the_function_again(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()

    async def main() -> None:
        async with node(url, tmp_path) as store:
            runs: list[int] = []

            def collide(tx: Transaction) -> None:
                runs.append(1)
                if value_of(tx, "a") is None and len(runs) == 1:
                    with psycopg.connect(url) as connection:  # somebody else is quicker
                        connection.execute("INSERT INTO test_pairs VALUES ('a', 5)")
                if value_of(tx, "a") is None:
                    put(tx, "a", 1)

            await store.write(collide)
            assert len(runs) == 2
            assert await store.read(lambda tx: value_of(tx, "a")) == 5

    asyncio.run(main())


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """One that a test may stop."""
    with running_postgres() as server:
        yield server


def test_a_lost_database_is_said_and_found_again(
    own_server: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    url = own_server.new_database()

    async def main() -> None:
        async with node(url, tmp_path) as store:
            heard: list[str] = []
            store.on_change("colour", heard.append)
            await store.write(lambda tx: put(tx, "kept", 1))
            assert store.hearing
            await asyncio.to_thread(own_server.stop)
            await until(lambda: not store.hearing)
            assert set(heard) == {EVERYTHING}
            # Whatever is kept meanwhile is dropped again, and again.
            count = len(heard)
            await until(lambda: len(heard) > count + 1)
            with pytest.raises(UnavailableError):
                await store.write(lambda tx: put(tx, "a"))
            with pytest.raises(UnavailableError):
                await store.read(lambda tx: value_of(tx, "a"))
            await asyncio.to_thread(own_server.start)
            await until(lambda: store.hearing)
            assert set(heard) == {EVERYTHING}
            await store.write(lambda tx: put(tx, "later", 2))
            assert len(await store.read(lambda tx: tx.execute(select(pairs)).all())) == 2

    asyncio.run(main())
    assert "hears no changes" in caplog.text


def test_a_restarted_database_is_not_noticed_by_the_next_write(own_server: PostgresServer, tmp_path: Path) -> None:
    """The pool's connections are dead: the function runs again on a living one."""
    url = own_server.new_database()

    async def main() -> None:
        async with node(url, tmp_path) as store:
            await asyncio.gather(*(store.read(lambda tx: tx.execute(text("SELECT 1")).all()) for _ in range(8)))
            await asyncio.to_thread(own_server.stop)
            await asyncio.to_thread(own_server.start)
            await store.write(lambda tx: put(tx, "a", 1))
            assert await store.read(lambda tx: value_of(tx, "a")) == 1

    asyncio.run(main())
