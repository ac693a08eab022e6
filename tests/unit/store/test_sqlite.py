"""What SQLite alone does: the lock, damage, the schema's version, disk space, the bound on waiting writes."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, create_engine, insert, select, text

from cosset.clock import SystemClock
from cosset.store.database import Store, Transaction
from cosset.store.disk import DiskWatch
from cosset.store.errors import DiskFullError, OverloadedError, StoreError
from cosset.store.group_commit import GroupCommitter, Job
from cosset.store.migrations import migrate
from cosset.store.schema import schema_version
from cosset.store.sqlite import FILE_NAME

from .test_database import pairs, put


async def open_store(folder: Path, min_free_mb: int = 0) -> Store:
    return await Store.open(data=folder, database=None, clock=SystemClock(), min_free_mb=min_free_mb)


def fails_to_open(folder: Path, match: str) -> None:
    async def main() -> None:
        with pytest.raises(StoreError, match=match):
            await open_store(folder)

    asyncio.run(main())


def make(folder: Path) -> None:
    async def main() -> None:
        store = await open_store(folder)
        await store.write(lambda tx: put(tx, "a", 1))
        await store.close()

    asyncio.run(main())


def test_a_second_store_on_the_folder_is_refused_by_name(tmp_path: Path) -> None:
    async def main() -> None:
        store = await open_store(tmp_path)
        try:
            with pytest.raises(StoreError, match=r"in use by another Cosset \(process \d+\)"):
                await open_store(tmp_path)
        finally:
            await store.close()
        await (await open_store(tmp_path)).close()

    asyncio.run(main())


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is not a database at all" * 100)
    fails_to_open(tmp_path, rf"{FILE_NAME} is damaged")


def test_a_damaged_schema_is_named(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996  # the schema's page, behind the file's header
    path.write_bytes(content)
    fails_to_open(tmp_path, rf"{FILE_NAME} is damaged")


def test_damage_met_later_is_a_store_error(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'test_pairs'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : page * size] = b"\xff" * size
    path.write_bytes(content)

    async def main() -> None:
        store = await open_store(tmp_path)
        try:
            with pytest.raises(StoreError, match="damaged"):
                await store.read(lambda tx: tx.execute(select(pairs)).all())
            with pytest.raises(StoreError, match="damaged"):
                await store.write(lambda tx: put(tx, "b"))
        finally:
            await store.close()

    asyncio.run(main())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fails_to_open(tmp_path / "file" / "data", "Cannot make the data folder")


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    make(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE schema_version SET version = 99")
    fails_to_open(tmp_path, "written by a newer Cosset .schema 99")


def test_migrations_run_forward_once_and_in_order() -> None:
    ran: list[int] = []

    def step(number: int):
        def migration(connection: Connection) -> None:
            ran.append(number)
            connection.execute(text(f"CREATE TABLE step_{number} (x INTEGER)"))

        return migration

    tables = MetaData()
    schema_version.to_metadata(tables)
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        migrate(connection, (), tables)
        migrate(connection, (step(1), step(2)), tables)
        migrate(connection, (step(1), step(2)), tables)
        assert ran == [1, 2]
        Table("added", tables, Column("x", Integer))
        migrate(connection, (step(1), step(2), step(3)), tables)
        assert ran == [1, 2, 3]
        connection.execute(text("SELECT x FROM added"))
        assert connection.execute(select(schema_version.c.version)).scalar() == 4
        with pytest.raises(StoreError, match="newer"):
            migrate(connection, (step(1),), tables)
    engine.dispose()


def test_new_tables_are_made_empty_at_the_newest_version() -> None:
    tables = MetaData()
    schema_version.to_metadata(tables)
    Table("added", tables, Column("x", String))
    engine = create_engine("sqlite://")

    def never(_connection: Connection) -> None:
        raise AssertionError

    with engine.connect() as connection:
        migrate(connection, (never,), tables)
        assert connection.execute(select(schema_version.c.version)).scalar() == 2
    engine.dispose()


def test_below_the_mark_writes_are_refused_and_reads_go_on(tmp_path: Path) -> None:
    make(tmp_path)

    async def main() -> None:
        store = await open_store(tmp_path, min_free_mb=1 << 40)
        try:
            with pytest.raises(DiskFullError) as refused:
                await store.write(lambda tx: put(tx, "b"))
            assert refused.value.status == 503
            assert await store.read(lambda tx: tx.execute(select(pairs.c.key)).scalars().all()) == ["a"]
            # Deleting is how there comes to be room; whoever waited for the same commit is refused all the same.
            freed, put_again = await asyncio.gather(
                store.write(lambda tx: tx.execute(pairs.delete()).rowcount, frees=True),
                store.write(lambda tx: put(tx, "b")),
                return_exceptions=True,
            )
            assert (freed, type(put_again)) == (1, DiskFullError)
        finally:
            await store.close()

    asyncio.run(main())


def test_the_watch_allows_down_to_the_mark(tmp_path: Path) -> None:
    mark = 100 * 1024 * 1024
    watch = DiskWatch(tmp_path, 100, free=lambda _folder: mark + 10)
    watch.check(10)
    with pytest.raises(DiskFullError):
        watch.check(11)
    DiskWatch(tmp_path, 0, free=lambda _folder: 0).check(1)


def test_a_full_database_fails_its_writer_only_and_recovers(tmp_path: Path) -> None:
    """SQLite undoes the whole transaction when it is full: those who shared it must not lose theirs."""

    async def main() -> None:
        store = await open_store(tmp_path)
        try:
            await store.write(lambda tx: tx.execute(text("CREATE TABLE big (body BLOB)")))
            pages = await store.write(lambda tx: tx.execute(text("PRAGMA page_count")).scalar())
            await store.write(lambda tx: tx.execute(text(f"PRAGMA max_page_count = {pages + 20}")).all())
            results = await asyncio.gather(
                store.write(lambda tx: put(tx, "small 1")),
                store.write(lambda tx: tx.execute(text("INSERT INTO big VALUES (zeroblob(1000000))"))),
                store.write(lambda tx: put(tx, "small 2")),
                return_exceptions=True,
            )
            assert [type(result) for result in results] == [type(None), DiskFullError, type(None)]
            keys = await store.read(lambda tx: set(tx.execute(select(pairs.c.key)).scalars()))
            assert keys == {"small 1", "small 2"}
            await store.write(lambda tx: tx.execute(text("PRAGMA max_page_count = 1000000")).all())
            await store.write(lambda tx: tx.execute(text("INSERT INTO big VALUES (zeroblob(1000000))")))
        finally:
            await store.close()

    asyncio.run(main())


def test_a_function_that_hides_a_lost_transaction_changes_nothing_for_others(tmp_path: Path) -> None:
    def hide(tx: Transaction) -> None:
        tx.execute(text("ROLLBACK"))

    async def main() -> None:
        store = await open_store(tmp_path)
        try:
            results = await asyncio.gather(
                store.write(lambda tx: put(tx, "a")),
                store.write(hide),
                store.write(lambda tx: put(tx, "b")),
                return_exceptions=True,
            )
            assert [results[0], results[2]] == [None, None]
            assert isinstance(results[1], Exception)
            assert len(await store.read(lambda tx: tx.execute(select(pairs)).all())) == 2
        finally:
            await store.close()

    asyncio.run(main())


def test_too_many_waiting_writes_are_refused() -> None:
    async def main() -> None:
        gate = threading.Event()
        began = threading.Event()

        def commit(jobs: list[Job[int]]) -> None:
            began.set()
            gate.wait(60)
            for job in jobs:
                job.result = job.work

        committer: GroupCommitter[int] = GroupCommitter("test", commit, max_waiting=3)
        first = asyncio.create_task(committer.submit(0))
        await asyncio.to_thread(began.wait, 60)
        waiting = [asyncio.create_task(committer.submit(n)) for n in (1, 2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as refused:
            await committer.submit(4)
        assert refused.value.status == 429
        gate.set()
        assert await asyncio.gather(first, *waiting) == [0, 1, 2, 3]
        await committer.close()
        with pytest.raises(RuntimeError, match="closed"):
            await committer.submit(5)

    asyncio.run(main())


def test_waiting_writes_share_a_commit(tmp_path: Path) -> None:
    """The first holds the writer up; the rest, arrived meanwhile, are committed together."""

    async def main() -> None:
        store = await open_store(tmp_path)
        commits: list[str] = []
        try:
            raw = store._engine._raw  # type: ignore[attr-defined]
            raw.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
            gate = threading.Event()
            first = asyncio.create_task(store.write(lambda tx: gate.wait(60)))
            await asyncio.sleep(0)
            rest = [
                asyncio.create_task(store.write(lambda tx, n=n: tx.execute(insert(pairs).values(key=str(n), value=n))))
                for n in range(50)
            ]
            await asyncio.sleep(0)
            gate.set()
            await asyncio.gather(first, *rest)
            assert len(commits) <= 2
        finally:
            await store.close()

    asyncio.run(main())


def test_synchronous_is_full_and_the_journal_is_a_wal(tmp_path: Path) -> None:
    async def main() -> None:
        store = await open_store(tmp_path)
        try:
            pragmas = ("journal_mode", "synchronous", "foreign_keys")
            values = await store.write(lambda tx: [tx.execute(text(f"PRAGMA {name}")).scalar() for name in pragmas])
            assert values == ["wal", 2, 1]
        finally:
            await store.close()

    asyncio.run(main())


def test_postgresql_costs_nothing_to_those_who_do_not_name_it() -> None:
    script = (
        "import sys, cosset.store.database, cosset.store.queue, cosset.store.segments\n"
        "assert not {'psycopg', 'sqlalchemy.dialects.postgresql'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
