"""What S3 costs above the disk it stands on: `python bench/s3.py [keys]`.

A real server, clients over HTTP on loopback that sign nothing anew (presigned URLs). The floors are, in the same run, a
file that is written, renamed, its folder synced, and one commit of the store; a plain file written and synced, and its
bytes counted by MD5, which an ETag is; the same file read, from memory and from the disk; and the same file sent over
plain TCP by a process that does nothing else (sendfile), to the same client. Only the ratios travel between machines.
Then the time of a page at the beginning and at the end of a list of 100,000 keys, and the most memory that the server
ever had while 1 GB went in and out. What takes longer is in s3_clients.py, what functions cost in s3_triggers.py.
"""

import asyncio
import hashlib
import http.client
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.config import Config
from sqlalchemy import Column, Integer, LargeBinary, Table, insert

from cosset.clock import SystemClock
from cosset.services.s3.tables import s3_versions
from cosset.store.database import Store
from cosset.store.disk import sync_folder
from cosset.store.schema import metadata
from cosset.testing.server import CossetServer

BUCKET = "bench"
SMALL, LARGE = os.urandom(1024), os.urandom(8 * 1024 * 1024)
ROUNDS, SMALL_ROUNDS = 30, 100

rows = Table("bench_rows", metadata, Column("id", Integer, primary_key=True), Column("body", LargeBinary))


def times(work: Callable[[], object], rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return taken


def compare(what: str, taken: list[float], floors: dict[str, list[float]]) -> None:
    """Medians, and the best of each: on a busy machine the best says more."""
    middle, best = statistics.median(taken), min(taken)
    print(f"{what}: {middle * 1e3:.1f} ms, at best {best * 1e3:.1f}")
    for name, floor in floors.items():
        half, least = statistics.median(floor), min(floor)
        shares = f"{half / middle:.2f}, of the best {least / best:.2f}"
        print(f"    of {name} ({half * 1e3:.1f} ms, at best {least * 1e3:.1f}): {shares}")


def write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


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


def read_whole(path: Path, buffer: bytearray, *, cold: bool = False) -> float:
    """Seconds, into memory that is used again. `cold`: what is in the page cache is forgotten first."""
    with path.open("rb", buffering=0) as file:
        if cold:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        started = time.perf_counter()
        while file.readinto(buffer):
            pass
        return time.perf_counter() - started


def serve_file(path: Path, listener: socket.socket) -> None:
    """A process that answers every request of one connection with the file."""
    size = path.stat().st_size
    with path.open("rb") as file, listener.accept()[0] as connection:
        while connection.recv(65536):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            sent = 0
            while sent < size:
                sent += os.sendfile(connection.fileno(), file.fileno(), sent, size - sent)


def floor_sent(path: Path) -> list[float]:
    """Seconds of each of some GETs of the file over plain TCP, without a server around it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = multiprocessing.get_context("fork").Process(target=serve_file, args=(path, listener))
        process.start()
        client = Client.plain(f"127.0.0.1:{listener.getsockname()[1]}")
        taken = times(lambda: client.get("/"), ROUNDS)
        client.close()
        process.join()
    return taken


class Client:
    """One connection; addresses presigned by a stock client."""

    @classmethod
    def plain(cls, host: str) -> "Client":
        made = cls.__new__(cls)
        made._connection, made._buffer = http.client.HTTPConnection(host), bytearray(1 << 20)
        return made

    def close(self) -> None:
        self._connection.close()

    def __init__(self, server: CossetServer) -> None:
        self._s3 = server.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
        self._host = server.endpoint.partition("//")[2]
        self._connection = http.client.HTTPConnection(self._host)
        self._buffer = bytearray(1 << 20)

    def path(self, operation: str, key: str) -> str:
        url = self._s3.generate_presigned_url(operation, Params={"Bucket": BUCKET, "Key": key})
        return str(url).partition(self._host)[2]

    def put(self, path: str, body: bytes) -> None:
        self._send("PUT", path, body)

    def get(self, path: str) -> None:
        self._send("GET", path, None)

    def _send(self, method: str, path: str, body: bytes | None) -> None:
        self._connection.request(method, path, body)
        answer = self._connection.getresponse()
        while answer.readinto(self._buffer):
            pass
        assert answer.status == 200, answer.status


def small_puts(server: CossetServer, clients: int) -> float:
    """Seconds of one PUT of 1 KB, of `clients` at once."""

    def work(number: int) -> float:
        client = Client(server)
        paths = iter([client.path("put_object", f"small/{number}/{count}") for count in range(SMALL_ROUNDS)])
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


def stream(client: Client, path: str, megabytes: int) -> None:
    """One object of that size in, and out again."""

    def body() -> Any:
        for _ in range(megabytes // 8):
            yield LARGE

    connection = client._connection
    connection.request("PUT", path, body(), {"Content-Length": str(megabytes // 8 * len(LARGE))})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status


def bodies(folder: Path, client: Client) -> None:
    """8 MB in and out, in turn with its floors, so that all of them meet the same machine."""
    path, buffer = folder / "large", bytearray(1 << 20)
    put, get = client.path("put_object", "large"), client.path("get_object", "large")
    client.put(put, LARGE)
    writes, counts, puts = [], [], []
    warm, cold, gets = [], [], []
    for _ in range(ROUNDS):
        writes += times(lambda: write_synced(path, LARGE), 1)
        counts += times(lambda: hashlib.md5(LARGE, usedforsecurity=False), 1)
        puts += times(lambda: client.put(put, LARGE), 1)
        warm.append(read_whole(path, buffer))
        gets += times(lambda: client.get(get), 1)
        cold.append(read_whole(path, buffer, cold=True))
    compare("PUT 8 MB", puts, {"a plain file written and synced": writes, "its MD5 alone": counts})
    floors = {"a plain read from memory": warm, "a plain read from the disk": cold, "plain TCP": floor_sent(path)}
    compare("GET 8 MB", gets, floors)


def main(keys: int) -> None:
    with tempfile.TemporaryDirectory() as name, CossetServer(["--tier", "process"]) as server:
        folder = Path(name)
        s3, client = server.client("s3"), Client(server)
        s3.create_bucket(Bucket=BUCKET)
        floor = floor_small(folder)
        for clients in (1, 8):
            took = small_puts(server, clients)
            print(f"PUT 1 KB, {clients} at once: {took * 1e3:.2f} ms, of the floor {floor / took:.2f}")
        bodies(folder, client)
        before = peak_mb(server)
        stream(client, client.path("put_object", "huge"), 1024)
        client.get(client.path("get_object", "huge"))
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
