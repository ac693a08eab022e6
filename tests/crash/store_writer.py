"""Writes to every part of the store without end, and says on its standard output what was acknowledged.

Run by test_store.py, which kills it: `store_writer.py DATA ROUND`.
"""

import asyncio
import sys
from pathlib import Path

from sqlalchemy import Column, Integer, String, Table, insert

from cosset.clock import SystemClock
from cosset.observe.ports import LogEvent, StreamKey
from cosset.store.blobs import Blobs
from cosset.store.database import Store
from cosset.store.queue import DurableQueue
from cosset.store.schema import metadata
from cosset.store.segments import SegmentStore

facts = Table(
    "crash_facts",
    metadata,
    Column("name", String, primary_key=True),
    Column("half", Integer, primary_key=True),
    keep_existing=True,
)
DAY_MS = 86_400_000


def acknowledge(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def write_facts(store: Store, worker: str) -> None:
    n = 0
    while True:
        name = f"{worker}-{n}"
        await store.write(lambda tx, name=name: [tx.execute(insert(facts).values(name=name, half=h)) for h in (1, 2)])
        acknowledge(f"fact {name}")
        n += 1


async def write_messages(store: Store, queue: DurableQueue, worker: str) -> None:
    """Sends, and deletes every third message that it gets."""
    n = 0
    while True:
        body, group = f"{worker}-{n}", worker if n % 2 else None
        await store.write(lambda tx, body=body, group=group: queue.send(tx, body.encode(), group=group))
        acknowledge(f"sent {body}")
        for message in await queue.receive(limit=1, lease_ms=3_600_000):
            if n % 3 == 0:
                acknowledge(f"deleting {message.body.decode()}")
                assert await store.write(lambda tx, message=message: queue.delete(tx, message))
                acknowledge(f"deleted {message.body.decode()}")
        n += 1


async def write_blobs(blobs: Blobs, worker: str) -> None:
    n = 0
    while True:
        digest, _ = await blobs.put(f"{worker}-{n}".encode() * 5000)
        acknowledge(f"blob {digest}")
        n += 1


async def write_events(segments: SegmentStore, worker: str, clock: SystemClock) -> None:
    n = 0
    while True:
        key = StreamKey("0", "r", "g", worker)
        now = clock.now_ms()
        await segments.append([(key, [LogEvent(now, f"{worker}-{n}"), LogEvent(now - DAY_MS, f"{worker}-{n}")])])
        acknowledge(f"event {worker} {n}")
        n += 1


async def main(data: Path, round_name: str) -> None:
    clock = SystemClock()
    store = await Store.open(data=data, database=None, clock=clock, min_free_mb=0)
    segments = await SegmentStore.open(data / "logs", clock)
    queue = DurableQueue(store, "q", clock)
    await queue.recover()
    blobs = Blobs(data / "blobs")
    acknowledge("ready")
    await asyncio.gather(
        *(write_facts(store, f"{round_name}.{n}") for n in range(4)),
        *(write_messages(store, queue, f"{round_name}.{n}") for n in range(3)),
        write_blobs(blobs, round_name),
        *(write_events(segments, f"{round_name}.{n}", clock) for n in range(2)),
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
