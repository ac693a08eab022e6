"""What S3 costs above the disk it stands on: `python bench/s3.py [keys]`.

A real server, clients over HTTP on loopback that sign nothing anew (presigned URLs). The floor of small puts is, in the
same run, a file that is written, renamed, its folder synced, and one commit of the store; those of large bodies are in
s3_bodies.py, which this runs too. Only the ratios travel between machines. Then the time of a page at the beginning and
at the end of a list of 100,000 keys, and the most memory that the server ever had while 1 GB went in and out. What
takes longer is in s3_clients.py, what functions cost in s3_triggers.py.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.floors.bodies import BodyFloor
from bench.s3_bodies import BUCKET, LARGE, ROUNDS, Client, Presigned, at_once, bodies, write_synced
from sqlalchemy import Column, Integer, LargeBinary, Table, insert

from cosset.clock import SystemClock
from cosset.services.s3.tables import s3_versions
from cosset.store.database import Store
from cosset.store.disk import sync_folder
from cosset.store.schema import metadata
from cosset.testing.server import CossetServer

SMALL = os.urandom(1024)
SMALL_ROUNDS = 100

rows = Table("bench_rows", metadata, Column("id", Integer, primary_key=True), Column("body", LargeBinary))


def floor_small(folder: Path) -> float:
    """Seconds: a small file written, renamed, its folder synced, and a commit."""

    async def main() -> float:
        store = await Store.open(data=folder / "store", database=None, clock=SystemClock(), min_free_mb=0)
        taken = []
        for number in range(SMALL_ROUNDS):
            started = time.perf_counter()
            path = folder / f"{number}.new"
            write_synced(path, SMALL)
            path.rename(folder / str(number))
            sync_folder(folder)
            await store.write(lambda tx: tx.execute(insert(rows).values(body=SMALL)))
            taken.append(time.perf_counter() - started)
        await store.close()
        return statistics.median(taken)

    return asyncio.run(main())


def small_puts(server: CossetServer, clients: int) -> float:
    """Seconds of one PUT of 1 KB, of `clients` at once."""

    def work(number: int) -> float:
        names = Presigned(server)
        client = Client(names.host)
        paths = iter([names.path("put_object", f"small/{number}/{count}") for count in range(SMALL_ROUNDS)])
        started = time.perf_counter()
        for path in paths:
            client.put(path, SMALL)
        return (time.perf_counter() - started) / SMALL_ROUNDS

    with ThreadPoolExecutor(clients) as threads:
        return statistics.median(threads.map(work, range(clients))) / clients


def fill(data: Path, keys: int) -> None:
    """Rows of objects, put past the door: a list is what is measured."""

    def row(number: int) -> dict[str, Any]:
        return {
            "bucket": BUCKET,
            "key": f"many/{number:08}".encode(),
            "version": "null",
            "is_latest": True,
            "is_marker": False,
            "size": 0,
            "etag": "d41d8cd98f00b204e9800998ecf8427e",
            "modified_ms": 0,
            "files": [],
            "inline": b"",
            "facts": {"headers": {}, "owner": "0" * 12},
        }

    async def main() -> None:
        store = await Store.open(data=data, database=None, clock=SystemClock(), min_free_mb=0)
        for start in range(0, keys, 500):
            batch = [row(number) for number in range(start, min(start + 500, keys))]
            await store.write(lambda tx, batch=batch: tx.execute(insert(s3_versions).values(batch)))
        await store.close()

    asyncio.run(main())


def pages_s(s3: Any) -> list[float]:
    taken, token = [], {}
    while True:
        started = time.perf_counter()
        page = s3.list_objects_v2(Bucket=BUCKET, Prefix="many/", **token)
        taken.append(time.perf_counter() - started)
        if not page["IsTruncated"]:
            return taken
        token = {"ContinuationToken": page["NextContinuationToken"]}


def peak_mb(server: CossetServer) -> float:
    """Of the largest of the server's processes: the node."""
    found = [Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split() for pid in server.pids()]
    return max(int(each[0]) / 1024 for each in found if each)


def main(keys: int) -> None:
    with tempfile.TemporaryDirectory() as name, CossetServer(["--tier", "process"]) as server:
        folder = Path(name)
        names = Presigned(server)
        names.s3.create_bucket(Bucket=BUCKET)
        floor = floor_small(folder)
        for clients in (1, 8):
            took = small_puts(server, clients)
            print(f"PUT 1 KB, {clients} at once: {took * 1e3:.2f} ms, of the floor {floor / took:.2f}")
        write_synced(folder / "large", LARGE)
        with BodyFloor(folder / "large") as below:
            bodies(folder, server, below, ROUNDS)
            at_once(server, below, ROUNDS // 3)
        before, client = peak_mb(server), Client(names.host)
        client.put_pieces(names.path("put_object", "huge"), [LARGE] * 128, 128 * len(LARGE))
        client.get(names.path("get_object", "huge"))
        print(f"1 GB in and out: the server's peak {before:.0f} -> {peak_mb(server):.0f} MB")
        data = Path(server.ready["data"])
        server.stop()
        fill(data, keys)
        server.start()
        taken = pages_s(server.client("s3"))
        first, last = statistics.median(taken[:10]), statistics.median(taken[-10:])
        times = f"a page {first * 1e3:.1f} ms at first, {last * 1e3:.1f} ms at last"
        print(f"{keys} keys listed: {times} ({last / first:.2f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
