"""The load generator and the floor of what answers over HTTP: a fixed answer by uvloop and httptools, nothing checked.

Not a measurement of its own: warm.py and others use it. Requests are made and signed before the clock starts, and sent
again and again over open connections, of which no more than `in_flight` wait for an answer at once.
"""

import asyncio
import multiprocessing
import os
import resource
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import httptools
import uvloop

ANSWER = b'{"hello": "world"}'
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-amz-executed-version: $LATEST\r\n"
    b"x-amzn-requestid: 5b6c3d8e-3a4f-4f0e-9d0e-0123456789ab\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)
)


@dataclass(frozen=True, slots=True)
class Rate:
    a_second: float
    p50_ms: float
    p99_ms: float


class _Client(asyncio.Protocol):
    def __init__(self, load: "Load", request: bytes) -> None:
        self._load = load
        self._request = request
        self._parser: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._parser = httptools.HttpResponseParser(self)

    def send(self) -> None:
        self._sent_s = time.perf_counter()
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() != 200:
            raise RuntimeError(f"the answer was {self._parser.get_status_code()}")
        self._load.answered(self, time.perf_counter() - self._sent_s)


class Load:
    """Keeps `in_flight` requests under way over all connections, in turn."""

    def __init__(self, in_flight: int) -> None:
        self._in_flight = in_flight
        self._idle: deque[_Client] = deque()
        self.latencies_s: list[float] = []
        self.count = 0

    def add(self, client: _Client) -> None:
        if self._in_flight:
            self._in_flight -= 1
            client.send()
        else:
            self._idle.append(client)

    def answered(self, client: _Client, latency_s: float) -> None:
        self.count += 1
        self.latencies_s.append(latency_s)
        self._idle.append(client)
        self._idle.popleft().send()


async def _run(host: str, port: int, requests: list[bytes], in_flight: int, seconds: float, warm_up_s: float) -> Rate:
    loop = asyncio.get_running_loop()
    load = Load(in_flight)
    clients = []
    for request in requests:
        transport, client = await loop.create_connection(lambda request=request: _Client(load, request), host, port)
        clients.append(transport)
        load.add(client)
    await asyncio.sleep(warm_up_s)
    load.latencies_s.clear()
    load.count, started = 0, time.perf_counter()
    await asyncio.sleep(seconds)
    count, elapsed = load.count, time.perf_counter() - started
    for transport in clients:
        transport.abort()
    latencies = sorted(load.latencies_s)
    return Rate(count / elapsed, latencies[len(latencies) // 2] * 1000, latencies[len(latencies) * 99 // 100] * 1000)


def generate(
    host: str, port: int, requests: list[bytes], in_flight: int, seconds: float, warm_up_s: float = 0.5
) -> Rate:
    """Blocks. `requests`: one a connection."""
    return uvloop.run(_run(host, port, requests, in_flight, seconds, warm_up_s))


class _Fixed(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None: ...

    def on_header(self, name: bytes, value: bytes) -> None: ...

    def on_body(self, body: bytes) -> None: ...

    def on_message_complete(self) -> None:
        self._transport.write(_HEAD + ANSWER)


def _serve(sock: socket.socket, pipe: Connection) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(pipe.fileno(), lambda: pipe.send((pipe.recv(), cpu_s())))
        server = await loop.create_server(_Fixed, sock=sock)
        await server.serve_forever()

    uvloop.run(main())


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class FixedServer:
    """The floor, in a process of its own."""

    def __enter__(self) -> "FixedServer":
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.listen(128)
        self.port = sock.getsockname()[1]
        self._pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=_serve, args=(sock, theirs), daemon=True)
        self._process.start()
        sock.close()
        return self

    def cpu_s(self) -> float:
        self._pipe.send(0)
        return float(self._pipe.recv()[1])

    def __exit__(self, *details: object) -> None:
        self._process.terminate()
        self._process.join()


def process_cpu_s(pid: int) -> float:
    """User and system, of one process."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def oldest_child(pid: int) -> int:
    """Of a Cosset's launcher: the node."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = [int(child) for child in file.read().split()]
    return min(children, key=_started)


def _started(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[19])


if __name__ == "__main__":
    sys.exit("load.py measures nothing by itself: python -m bench warm")
