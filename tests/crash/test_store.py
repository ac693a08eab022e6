"""What was acknowledged is there: after kill -9 at any moment, on a full disk, and once there is space again."""

import asyncio
import hashlib
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select, text

from cosset.clock import SystemClock
from cosset.observe.ports import LogEvent, StreamKey
from cosset.store.blobs import Blobs
from cosset.store.database import Store
from cosset.store.errors import DiskFullError, StoreError
from cosset.store.queue import DurableQueue
from cosset.store.segments import SegmentStore
from support.small_disk import small_disk

from .store_writer import facts

ROUNDS = 10
MOST_ROUNDS = 100
"""On a machine so slow that the writer is killed before it has done one of each."""


def acknowledged_before_a_kill(data: Path, round_name: str, delay_s: float) -> list[str]:
    """What a writer said before it was killed, `delay_s` after it began."""
    script = Path(__file__).with_name("store_writer.py")
    writer = subprocess.Popen([sys.executable, script, data, round_name], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline() == "ready\n"
        # It writes far less than a pipe holds in this time, or waits: an acknowledgement is never lost by waiting.
        time.sleep(delay_s)
    finally:
        writer.send_signal(signal.SIGKILL)
    with writer.stdout as said:
        lines = said.read().split("\n")[:-1]  # what follows the last newline was not said
    writer.wait()
    return lines


def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    said: dict[str, list[str]] = {word: [] for word in ("fact", "sent", "deleting", "deleted", "blob", "event")}
    for number in range(MOST_ROUNDS):
        if number >= ROUNDS and all(said.values()):
            break
        for line in acknowledged_before_a_kill(tmp_path, str(number), random.uniform(0.02, 0.3)):
            word, _, rest = line.partition(" ")
            said[word].append(rest)
    assert all(said.values()), "the writer did not write"
    asyncio.run(check(tmp_path, said))


async def check(data: Path, said: dict[str, list[str]]) -> None:
    clock = SystemClock()
    store = await Store.open(data=data, database=None, clock=clock, min_free_mb=0)
    segments = await SegmentStore.open(data / "logs", clock)
    try:
        await check_facts(store, said["fact"])
        await check_messages(store, said, clock)
        await check_blobs(data / "blobs", said["blob"])
        await check_events(segments, said["event"])
    finally:
        await segments.close()
        await store.close()


async def check_facts(store: Store, acknowledged: list[str]) -> None:
    assert await store.read(lambda tx: tx.execute(text("PRAGMA integrity_check")).scalar()) == "ok"
    halves = Counter(await store.read(lambda tx: tx.execute(select(facts.c.name)).scalars().all()))
    assert set(acknowledged) <= set(halves)
    assert set(halves.values()) == {2}, "half a transaction"


async def check_messages(store: Store, said: dict[str, list[str]], clock: SystemClock) -> None:
    """Every message sent and not deleted comes again, though a dead process had leased it for an hour."""
    queue = DurableQueue(store, "q", clock)
    await queue.recover()
    found: list[str] = []
    while messages := await queue.receive(limit=100, lease_ms=3_600_000):
        for message in messages:
            found.append(message.body.decode())
            assert await store.write(lambda tx, message=message: queue.delete(tx, message))
    assert await queue.count() == 0
    assert len(found) == len(set(found))
    assert set(said["sent"]) - set(said["deleting"]) <= set(found)
    assert not set(said["deleted"]) & set(found)


async def check_blobs(folder: Path, acknowledged: list[str]) -> None:
    blobs = Blobs(folder)
    for digest in acknowledged:
        assert hashlib.sha256(await blobs.get(digest)).hexdigest() == digest
    assert not await asyncio.to_thread(lambda: list((folder / "unfinished").iterdir()))


async def check_events(segments: SegmentStore, acknowledged: list[str]) -> None:
    for stream in {line.split()[0] for line in acknowledged}:
        wanted = {f"{stream}-{line.split()[1]}" for line in acknowledged if line.split()[0] == stream}
        found = Counter()
        position = None
        while page := await segments.read_stream(StreamKey("0", "r", "g", stream), position=position):
            found.update(event.message for event in page)
            position = page[-1].position
        assert wanted <= set(found)
        assert all(found[message] == 2 for message in wanted)


def test_a_full_disk_loses_nothing_and_is_left_again(tmp_path: Path) -> None:
    async def main(data: Path) -> None:
        store = await Store.open(data=data, database=None, clock=SystemClock(), min_free_mb=0)
        try:
            await fill_and_free(store)
        finally:
            await store.close()

    async def fill_and_free(store: Store) -> None:
        kept: list[str] = []
        await store.write(lambda tx: tx.execute(text("CREATE TABLE big (name TEXT, body BLOB)")))

        async def add(name: str, size: int) -> None:
            insert = text("INSERT INTO big VALUES (:name, zeroblob(:size))")
            await store.write(lambda tx: tx.execute(insert, {"name": name, "size": size}))
            kept.append(name)

        disk.fill(leave=2 << 20)
        refused = 0
        for n in range(200):
            results = await asyncio.gather(add(f"{n}a", 100_000), add(f"{n}b", 10), return_exceptions=True)
            assert {type(result) for result in results} <= {type(None), DiskFullError}
            refused += sum(result is not None for result in results)
        assert refused
        names = await store.read(lambda tx: tx.execute(text("SELECT name FROM big")).scalars().all())
        assert sorted(names) == sorted(kept)
        disk.free()
        await add("after", 1_000_000)
        assert await store.read(lambda tx: tx.execute(text("PRAGMA integrity_check")).scalar()) == "ok"

    with small_disk(tmp_path / "disk") as disk:
        asyncio.run(main(disk.path / "data"))
        # And a new process finds the same.
        asyncio.run(reopened(disk.path / "data"))


async def reopened(data: Path) -> None:
    store = await Store.open(data=data, database=None, clock=SystemClock(), min_free_mb=0)
    try:
        count = text("SELECT count(*) FROM big WHERE name = 'after'")
        assert await store.read(lambda tx: tx.execute(count).scalar()) == 1
    finally:
        await store.close()


def test_a_full_disk_stops_neither_logs_nor_blobs_for_good(tmp_path: Path) -> None:
    key = StreamKey("0", "r", "g", "s")

    async def main(data: Path) -> None:
        segments = await SegmentStore.open(data / "logs", SystemClock())
        blobs = await asyncio.to_thread(Blobs, data / "blobs")
        try:
            await segments.append([(key, [LogEvent(1000, "before")])])
            kept, _ = await blobs.put(b"before")
            await asyncio.to_thread(disk.fill)
            with pytest.raises(DiskFullError):
                await blobs.put(b"x" * 1_000_000)
            big = [segments.append([(key, [LogEvent(2000, "x" * 100_000)])]) for _ in range(100)]
            results = await asyncio.gather(*big, return_exceptions=True)
            assert DiskFullError in {type(result) for result in results} <= {type(None), DiskFullError}
            assert await blobs.get(kept) == b"before"
            disk.free()
            await segments.append([(key, [LogEvent(3000, "after")])])
            await blobs.put(b"x" * 1_000_000)
            found = await segments.read_stream(key, limit=1, backward=True)
            assert found is not None
            assert found[0].message == "after"
        finally:
            await segments.close()

    with small_disk(tmp_path / "disk") as disk:
        asyncio.run(main(disk.path))


def test_a_read_only_disk_is_named(tmp_path: Path) -> None:
    async def fails(data: Path, match: str) -> None:
        with pytest.raises(StoreError, match=match):
            await Store.open(data=data, database=None, clock=SystemClock())
        with pytest.raises(StoreError, match=match):
            await SegmentStore.open(data / "logs", SystemClock())

    async def make(data: Path) -> None:
        await (await Store.open(data=data, database=None, clock=SystemClock(), min_free_mb=0)).close()
        await (await SegmentStore.open(data / "logs", SystemClock())).close()

    with small_disk(tmp_path / "disk") as disk:
        asyncio.run(make(disk.path / "made"))
        disk.make_read_only()
        asyncio.run(fails(disk.path / "new", "Cannot make the .* folder"))
        asyncio.run(fails(disk.path / "made", "Cannot write in the data folder"))
