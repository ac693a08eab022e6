"""Large bodies of objects, above what no server can leave out: `python -m bench.s3_bodies [rounds]`.

8 MB in and out, in turn with their floors: a plain file written and synced; its MD5 alone, which an ETag is; and both
with the receiving, by a process that does nothing else (floors/bodies.py). The same file read, from memory and from the
disk, and sent over plain TCP by that process. Then a range, and eight connections at once: ranges of one object out,
parts of one upload in. The client costs little: it receives into one buffer, and its addresses are presigned. The CPU
time of server and floor says more than the clock where others are at work.
"""

import hashlib
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.floors.bodies import BodyFloor
from botocore.config import Config

from cosset.testing.server import CossetServer

BUCKET = "bench"
LARGE = os.urandom(8 * 1024 * 1024)
ROUNDS = 30
AT_ONCE = 8
PIECE = 1 << 20


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


def read_whole(path: Path, buffer: bytearray, *, cold: bool = False) -> float:
    """Seconds, into memory that is used again. `cold`: what is in the page cache is forgotten first."""
    with path.open("rb", buffering=0) as file:
        if cold:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        started = time.perf_counter()
        while file.readinto(buffer):
            pass
        return time.perf_counter() - started


def cpu_ms(pids: Iterable[int]) -> float:
    """Of all their threads that are still there."""
    used = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            used += int((thread / "schedstat").read_text().split()[0])
    return used / 1e6


class Client:
    """One connection that signs nothing."""

    def __init__(self, host: str) -> None:
        name, _, port = host.rpartition(":")
        self._host = host
        self._socket = socket.create_connection((name, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(PIECE))

    def close(self) -> None:
        self._socket.close()

    def put(self, path: str, body: bytes) -> str:
        return self.put_pieces(path, [body], len(body))

    def put_pieces(self, path: str, pieces: Iterable[bytes], size: int) -> str:
        """The ETag."""
        self._send("PUT", path, f"content-length: {size}\r\n")
        for piece in pieces:
            self._socket.sendall(piece)
        return self._answer()

    def get(self, path: str, span: tuple[int, int] | None = None) -> None:
        self._send("GET", path, "" if span is None else f"range: bytes={span[0]}-{span[1] - 1}\r\n")
        self._answer()

    def _send(self, method: str, path: str, headers: str) -> None:
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\nhost: {self._host}\r\n{headers}\r\n".encode())

    def _answer(self) -> str:
        there, end = 0, -1
        while end < 0:
            count = self._socket.recv_into(self._buffer[there:])
            assert count, "the connection ended"
            there += count
            end = bytes(self._buffer[: min(there, 8192)]).find(b"\r\n\r\n")
        head = bytes(self._buffer[:end]).decode().lower()
        assert head.split(" ")[1] in ("200", "206"), head
        left = int(head.partition("content-length: ")[2].partition("\r\n")[0]) - (there - end - 4)
        while left:
            count = self._socket.recv_into(self._buffer, min(left, PIECE))
            assert count, "the connection ended"
            left -= count
        return head.partition('etag: "')[2].partition('"')[0]


class Presigned:
    """Addresses of a server, made by a stock client."""

    def __init__(self, server: CossetServer) -> None:
        self.s3 = server.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
        self.host = server.endpoint.partition("//")[2]

    def path(self, operation: str, key: str, **more: Any) -> str:
        url = self.s3.generate_presigned_url(operation, Params={"Bucket": BUCKET, "Key": key, **more})
        return str(url).partition(self.host)[2]


def bodies(folder: Path, server: CossetServer, floor: BodyFloor, rounds: int) -> None:
    """8 MB in and out, in turn with its floors, so that all of them meet the same machine."""
    path, buffer = folder / "large", bytearray(PIECE)
    names, client, plain = Presigned(server), Client(server_host(server)), Client(floor.host)
    put, get = names.path("put_object", "large"), names.path("get_object", "large")
    client.put(put, LARGE)
    plain.put("/", LARGE)
    taken: dict[str, list[float]] = {name: [] for name in ("write", "md5", "put", "floor put", "warm", "cold")}
    taken |= {name: [] for name in ("get", "floor get", "range", "floor range")}
    used = dict.fromkeys(("put", "floor put", "get", "floor get"), 0.0)

    @contextmanager
    def spent(name: str, *pids: int) -> Iterator[None]:
        before, started = cpu_ms(pids), time.perf_counter()
        yield
        taken[name].append(time.perf_counter() - started)
        time.sleep(0.005)  # what is done behind the answer belongs to it
        if name in used:
            used[name] += (cpu_ms(pids) - before) / rounds

    pids, span = server.pids(), (2 * PIECE, 3 * PIECE)
    for _ in range(rounds):
        taken["write"] += times(lambda: write_synced(path, LARGE), 1)
        taken["md5"] += times(lambda: hashlib.md5(LARGE, usedforsecurity=False), 1)
        with spent("put", *pids):
            client.put(put, LARGE)
        with spent("floor put", floor.pid):
            plain.put("/", LARGE)
        taken["warm"].append(read_whole(path, buffer))
        with spent("get", *pids):
            client.get(get)
        with spent("floor get", floor.pid):
            plain.get("/")
        with spent("range", *pids):
            client.get(get, span)
        with spent("floor range", floor.pid):
            plain.get("/", span)
        taken["cold"].append(read_whole(path, buffer, cold=True))
    floors = {"a plain file written and synced": taken["write"], "its MD5 alone": taken["md5"]}
    compare("PUT 8 MB", taken["put"], {**floors, "received, written, synced, MD5 counted": taken["floor put"]})
    print(f"    CPU of the server {used['put']:.1f} ms, of that floor {used['floor put']:.1f}")
    compare("the floor itself", taken["floor put"], floors)
    floors = {"a plain read from memory": taken["warm"], "a plain read from the disk": taken["cold"]}
    compare("GET 8 MB", taken["get"], {**floors, "plain TCP": taken["floor get"]})
    print(f"    CPU of the server {used['get']:.1f} ms, of plain TCP {used['floor get']:.1f}")
    compare("GET of a range, 1 MB", taken["range"], {"plain TCP": taken["floor range"]})


def server_host(server: CossetServer) -> str:
    return server.endpoint.partition("//")[2]


def at_once(server: CossetServer, floor: BodyFloor, rounds: int) -> None:
    """64 MB by eight connections: ranges out, parts in."""
    names, size = Presigned(server), len(LARGE)
    clients = [Client(server_host(server)) for _ in range(AT_ONCE)]
    plain = [Client(floor.host) for _ in range(AT_ONCE)]
    whole = names.path("get_object", "whole")
    spans = [(number * size, (number + 1) * size) for number in range(AT_ONCE)]
    taken: dict[str, list[float]] = {name: [] for name in ("in", "floor in", "out", "floor out")}
    with ThreadPoolExecutor(AT_ONCE) as threads:

        def timed(name: str, work: Callable[[int], Any]) -> list[Any]:
            started = time.perf_counter()
            found = list(threads.map(work, range(AT_ONCE)))
            taken[name].append(time.perf_counter() - started)
            return found

        for _ in range(rounds):
            upload = names.s3.create_multipart_upload(Bucket=BUCKET, Key="whole")["UploadId"]
            parts = [
                names.path("upload_part", "whole", PartNumber=number + 1, UploadId=upload) for number in range(AT_ONCE)
            ]
            tags = timed("in", lambda number, parts=parts: clients[number].put(parts[number], LARGE))
            timed("floor in", lambda number: plain[number].put("/", LARGE))
            made = [{"PartNumber": number + 1, "ETag": tag} for number, tag in enumerate(tags)]
            names.s3.complete_multipart_upload(
                Bucket=BUCKET, Key="whole", UploadId=upload, MultipartUpload={"Parts": made}
            )
            timed("out", lambda number: clients[number].get(whole, spans[number]))
            timed("floor out", lambda number: plain[number].get("/", (0, size)))
    name = "received, written, synced, MD5 counted"
    compare("eight parts of 8 MB in at once", taken["in"], {name: taken["floor in"]})
    compare("eight ranges of 8 MB out at once", taken["out"], {"plain TCP": taken["floor out"]})


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        write_synced(Path(name, "large"), LARGE)
        with BodyFloor(Path(name, "large")) as floor, CossetServer(["--tier", "process"]) as server:
            server.client("s3").create_bucket(Bucket=BUCKET)
            print(f"load {os.getloadavg()[0]:.1f}")
            bodies(Path(name), server, floor, rounds)
            at_once(server, floor, max(rounds // 3, 1))
            print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
