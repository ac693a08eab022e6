"""How much the store costs above the disk it stands on: `python bench/store.py`.

The floor is plain sqlite3 committing one row at a time with synchronous FULL, in the same run on the same disk: only
the ratios travel between machines.
"""

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import Column, Integer, LargeBinary, Table, func, insert, select

from cosset.clock import SystemClock
from cosset.observe.ports import LogEvent, StreamKey
from cosset.store.database import Store
from cosset.store.queue import DurableQueue
from cosset.store.schema import metadata
from cosset.store.segments import SegmentStore

BODY = b"x" * 200
SECONDS = 2.0
WAITING = 1_000_000

rows = Table("bench_rows", metadata, Column("id", Integer, primary_key=True), Column("body", LargeBinary))
statement = insert(rows).values(body=BODY)


def floor(folder: Path) -> float:
    """Commits a second of plain sqlite3, one row each."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)")
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO rows (body) VALUES (?)", (BODY,))
        connection.execute("COMMIT")
        count += 1
    connection.close()
    return count / (time.perf_counter() - started)


async def rate(work: Callable[[], Awaitable[int]], concurrency: int) -> float:
    """What `work` counts, a second, `concurrency` at once."""
    count, started = 0, time.perf_counter()

    async def worker() -> None:
        nonlocal count
        while time.perf_counter() - started < SECONDS:
            done = await work()  # apart: `count +=` reads count before it waits
            count += done

    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return count / (time.perf_counter() - started)


async def transactions(store: Store, line: Callable[[str, float], None]) -> None:
    async def write() -> int:
        await store.write(lambda tx: tx.execute(statement))
        return 1

    async def read() -> int:
        await store.read(lambda tx: tx.execute(select(rows.c.id).where(rows.c.id == 1)).scalar())
        return 1

    for concurrency in (1, 64):
        line(f"store.write, {concurrency} at once", await rate(write, concurrency))
    for concurrency in (1, 64):
        line(f"store.read, {concurrency} at once", await rate(read, concurrency))


async def queues(store: Store, line: Callable[[str, float], None]) -> None:
    queue = DurableQueue(store, "bench", SystemClock())

    async def cycle() -> int:
        await store.write(lambda tx: queue.send(tx, BODY))
        messages = await queue.receive(limit=1, lease_ms=60_000)
        for message in messages:
            await store.write(lambda tx, message=message: queue.delete(tx, message))
        return len(messages)

    for concurrency in (1, 64):
        line(f"send, receive, delete, {concurrency} at once", await rate(cycle, concurrency))

    async def send() -> int:
        await store.write(lambda tx: queue.send(tx, BODY))
        return 1

    line("send, 64 at once", await rate(send, 64))
    missing = WAITING - await queue.count()
    for _ in range(missing // 5000):
        await store.write(lambda tx: [queue.send(tx, BODY) for _ in range(5000)])
    line(f"send, receive, delete, 64 at once, {await queue.count()} waiting", await rate(cycle, 64))


async def logs(segments: SegmentStore, line: Callable[[str, float], None]) -> None:
    key = StreamKey("0", "r", "g", "s")
    now = SystemClock().now_ms()
    batch = [(key, [LogEvent(now + n, "START RequestId: 0123456789 Version: $LATEST" * 2) for n in range(1000)])]

    async def append() -> int:
        await segments.append(batch)
        return 1000

    for concurrency in (1, 8):
        line(f"log events, in batches of 1000, {concurrency} at once", await rate(append, concurrency))

    async def read() -> int:
        found = await segments.read_stream(key)
        return len(found or ())

    line("log events read, in pages of 1 MB", await rate(read, 1))


async def main(folder: Path) -> None:
    base = floor(folder)
    print(f"{'floor: plain sqlite3, FULL, one row a commit':<60}{base:>12,.0f} /s")

    def line(what: str, figure: float) -> None:
        print(f"{what:<60}{figure:>12,.0f} /s{figure / base:>10.2f} x the floor", flush=True)

    store = await Store.open(data=folder, database=None, clock=SystemClock(), min_free_mb=0)
    segments = await SegmentStore.open(folder / "logs", SystemClock())
    await transactions(store, line)
    await logs(segments, line)
    await queues(store, line)
    assert await store.read(lambda tx: tx.execute(select(func.count()).select_from(rows)).scalar())
    await segments.close()
    await store.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as made:
        asyncio.run(main(Path(made)))
