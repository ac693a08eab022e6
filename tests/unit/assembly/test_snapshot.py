"""Snapshots of whole data folders, of both engines and from one to the other, while somebody writes."""

import asyncio
import io
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cosset.assembly import snapshot
from cosset.assembly.tables import EVERY_TABLE
from cosset.clock import SystemClock
from cosset.settings import Settings
from cosset.store.database import Store
from cosset.store.errors import StoreError
from cosset.store.queue import DurableQueue
from cosset.store.snapshot_database import NEWEST_SCHEMA
from cosset.store.snapshot_file import SnapshotError
from support.postgres import PostgresServer

assert EVERY_TABLE


def settings(data: Path, database: str | None = None, **given: Any) -> Settings:
    return Settings(data=data, database=database, **given)


async def opened(where: Settings) -> Store:
    assert where.data is not None
    return await Store.open(data=where.data, database=where.database, clock=SystemClock(), min_free_mb=1)


async def send(store: Store, *bodies: bytes) -> None:
    queue = DurableQueue(store, "q", SystemClock())
    for body in bodies:
        await store.write(lambda tx, body=body: queue.send(tx, body))


async def messages(where: Settings) -> list[bytes]:
    store = await opened(where)
    try:
        found = await DurableQueue(store, "q", SystemClock()).receive(limit=10_000, lease_ms=1)
        return [message.body for message in found]
    finally:
        await store.close()


def make_folder(data: Path) -> None:
    (data / "blobs" / "ab").mkdir(parents=True)
    (data / "blobs" / "unfinished").mkdir()
    (data / "blobs" / "ab" / "abcd").write_bytes(b"a blob")
    (data / "blobs" / "unfinished" / "x").write_bytes(b"half a blob")
    (data / "code" / "abcd").mkdir(parents=True)
    (data / "code" / "abcd" / "index.py").write_bytes(b"code")
    (data / "code" / "abcd" / "again.py").symlink_to("index.py")
    (data / "scratch").mkdir()
    (data / "scratch" / "s").write_bytes(b"scratch")
    (data / "logs").mkdir()
    with closing(sqlite3.connect(data / "logs" / "index.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (7)")
        connection.commit()


def taken(where: Settings, **given: Any) -> bytes:
    out = io.BytesIO()
    snapshot.save(where, out, **given)
    return out.getvalue()


def files(data: Path) -> list[str]:
    found = (path.relative_to(data).as_posix() for path in data.rglob("*") if not path.is_dir())
    return sorted(name for name in found if not name.endswith(("-shm", "-wal", "lock")))


def test_all_of_it_comes_back(tmp_path: Path) -> None:
    where, other = settings(tmp_path / "data"), settings(tmp_path / "other" / "data")
    make_folder(tmp_path / "data")

    async def main() -> bytes:
        store = await opened(where)
        await send(store, b"a", b"b")
        try:
            return await asyncio.to_thread(taken, where)  # while the folder is this process's
        finally:
            await store.close()

    data = asyncio.run(main())
    manifest = snapshot.load(other, io.BytesIO(data))
    assert (manifest.schema, manifest.engine) == (NEWEST_SCHEMA, "sqlite")
    there = tmp_path / "other" / "data"
    assert files(there) == [
        "blobs/ab/abcd",
        "code/abcd/again.py",
        "code/abcd/index.py",
        "cosset.db",
        "logs/index.db",
        "root.key",
    ]
    assert there.stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(there / "logs" / "index.db")) as connection:
        assert connection.execute("SELECT x FROM t").fetchall() == [(7,)]
    assert asyncio.run(messages(other)) == [b"a", b"b"]
    assert not list((tmp_path / "data").glob(".snapshot-*"))


def test_it_is_one_moment_while_others_write(tmp_path: Path) -> None:
    """Each transaction sends a pair: a snapshot never holds half of one, and nobody waits for it."""
    where = settings(tmp_path / "data")

    async def main() -> list[bytes]:
        store = await opened(where)
        queue = DurableQueue(store, "q", SystemClock())
        stopping = threading.Event()

        def pair(tx: Any) -> None:
            queue.send(tx, b"left")
            queue.send(tx, b"right")

        async def write() -> None:
            nonlocal count
            while not stopping.is_set():
                await store.write(pair)
                count += 1

        async def some_more() -> None:
            wanted = count + 10
            while count < wanted:
                await asyncio.sleep(0.001)

        count, taken_now = 0, []
        writing = asyncio.ensure_future(write())
        for _ in range(3):
            await some_more()
            taken_now.append(await asyncio.to_thread(taken, where))
        stopping.set()
        await writing
        await store.close()
        return taken_now

    counts = []
    for at, data in enumerate(asyncio.run(main())):
        other = settings(tmp_path / f"other{at}")
        snapshot.load(other, io.BytesIO(data))
        found = asyncio.run(messages(other))
        assert found.count(b"left") == found.count(b"right")
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_one_engine_reads_what_the_other_wrote(
    tmp_path: Path, postgres: PostgresServer, source: str, target: str
) -> None:
    databases = {"sqlite": None, "postgresql": postgres.new_database()}
    where = settings(tmp_path / "a", databases[source])
    other = settings(tmp_path / "b", databases[target])

    async def fill() -> None:
        store = await opened(where)
        await send(store, b"a", b"b")
        await store.close()

    asyncio.run(fill())
    snapshot.load(other, io.BytesIO(taken(where)))
    assert asyncio.run(messages(other)) == [b"a", b"b"]

    async def more() -> None:
        """Numbers that count up by themselves go on behind the rows."""
        store = await opened(other)
        await send(store, b"c")
        await store.close()

    asyncio.run(more())
    assert sorted(asyncio.run(messages(other))) == [b"a", b"b", b"c"]


def test_a_database_that_holds_something_is_left_alone(tmp_path: Path, postgres: PostgresServer) -> None:
    where = settings(tmp_path / "a", postgres.new_database())

    async def fill() -> None:
        store = await opened(where)
        await send(store, b"a")
        await store.close()

    asyncio.run(fill())
    data = taken(where)
    with pytest.raises(StoreError, match="holds an installation of Cosset already"):
        snapshot.load(settings(tmp_path / "b", where.database), io.BytesIO(data))
    assert asyncio.run(messages(where)) == [b"a"]
    assert not (tmp_path / "b").exists()


def test_an_older_one_is_brought_forward(tmp_path: Path) -> None:
    """As a data folder is: the file in it is one."""
    where = settings(tmp_path / "data")

    async def fill() -> None:
        store = await opened(where)
        await store.close()

    asyncio.run(fill())
    before_queues = NEWEST_SCHEMA
    with closing(sqlite3.connect(tmp_path / "data" / "cosset.db")) as connection:
        connection.execute("UPDATE schema_version SET version = ?", (before_queues,))
        connection.execute("DROP TABLE log_shards") if has(connection, "log_shards") else None
        connection.execute("DROP TABLE lambda_event_source_leases")
        connection.commit()
    other = settings(tmp_path / "other")
    snapshot.load(other, io.BytesIO(taken(where)))

    async def check() -> None:
        from cosset.triggers.tables import leases

        store = await opened(other)
        assert await store.read(lambda tx: tx.execute(select(leases)).all()) == []
        await store.close()

    asyncio.run(check())


def has(connection: sqlite3.Connection, table: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchall())


def test_a_folder_in_use_or_in_other_use_is_refused(tmp_path: Path) -> None:
    where = settings(tmp_path / "data")

    async def main() -> None:
        store = await opened(where)
        data = await asyncio.to_thread(taken, where)
        with pytest.raises(StoreError, match="in use by another Cosset"):
            await asyncio.to_thread(snapshot.load, where, io.BytesIO(data), replace=True)
        await send(store, b"later")
        await store.close()
        with pytest.raises(StoreError, match="is not empty"):
            snapshot.load(where, io.BytesIO(data))
        foreign = tmp_path / "foreign"
        foreign.mkdir()
        (foreign / "letters").write_bytes(b"")
        with pytest.raises(StoreError, match="no data folder of Cosset"):
            snapshot.load(settings(foreign), io.BytesIO(data), replace=True)
        assert files(foreign) == ["letters"]
        snapshot.load(where, io.BytesIO(data), replace=True)

    asyncio.run(main())
    assert asyncio.run(messages(where)) == []


def test_a_damaged_one_changes_nothing(tmp_path: Path) -> None:
    where = settings(tmp_path / "data")

    async def fill() -> None:
        store = await opened(where)
        await send(store, b"a")
        await store.close()

    asyncio.run(fill())
    data = taken(where)
    with pytest.raises(SnapshotError):
        snapshot.load(where, io.BytesIO(data[: len(data) // 2]), replace=True)
    assert asyncio.run(messages(where)) == [b"a"]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_the_root_key_may_stay_at_home(tmp_path: Path) -> None:
    where, other = settings(tmp_path / "data"), settings(tmp_path / "other")

    async def fill() -> None:
        store = await opened(where)
        await store.close()

    asyncio.run(fill())
    snapshot.load(other, io.BytesIO(taken(where, with_root_key=False)))
    assert "root.key" not in files(tmp_path / "other")


def test_where_nothing_was_there_is_nothing_to_save(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(StoreError, match="There is no database"):
        taken(settings(tmp_path / "data"))
