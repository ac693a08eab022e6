"""What the front door costs: POST .../invocations with a fixed answer, signature verified, against a floor.

The floor is bare uvicorn with a raw ASGI application that answers the same bytes and checks nothing, measured in the
same run by the same client. Prints requests a second and CPU a request of the server process, at 1, 8 and 32
connections. Run: `python bench/door.py [SECONDS]`.
"""

import asyncio
import multiprocessing
import resource
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from cosset.gateway.http import Front
from cosset.settings import Settings
from support.fake_services import FakeLambda
from support.front import make_door
from support.signing import sign, to_wire

PATH = "/2015-03-31/functions/f/invocations"
CONNECTIONS = (1, 8, 32)


async def _bare(scope: Any, receive: Any, send: Any) -> None:
    while (await receive())["more_body"]:
        pass
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"7")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"a":1}'})


async def _serve_bare(sock: socket.socket) -> None:
    config = uvicorn.Config(_bare, http="httptools", log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    await server.serve([sock])


async def _serve_door(sock: socket.socket) -> None:
    functions = FakeLambda()

    class Forgetful(list[Any]):
        def append(self, item: Any) -> None: ...

    functions.contexts = Forgetful()
    front = Front(make_door([functions.service()]), Settings())
    await front.start([sock])
    await asyncio.Event().wait()


def _server(serve: Callable[[socket.socket], Any], sock: socket.socket, pipe: Connection) -> None:
    async def main() -> None:
        task = asyncio.create_task(serve(sock))
        loop = asyncio.get_running_loop()
        loop.add_reader(pipe.fileno(), lambda: pipe.send((pipe.recv(), _cpu_s())))
        await task

    uvloop.run(main())


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class _Client(asyncio.Protocol):
    """Sends the same request again as soon as it is answered."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.answered = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._data)

    def data_received(self, data: bytes) -> None:
        """The bare server sends head and body apart; either way the body ends it."""
        if data.endswith(b'{"a":1}'):
            self.answered += 1
            self.transport.write(self._data)
        else:
            assert data.startswith(b"HTTP/1.1 200"), data


async def _load(port: int, connections: int, seconds: float, pipe: Connection) -> tuple[float, float]:
    import datetime

    now = datetime.datetime.now(datetime.UTC)
    request = sign("header", "POST", PATH, body=b'{"a":1}', host=f"127.0.0.1:{port}", at=now)
    data = to_wire(request, close=False)
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_connection(lambda: _Client(data), "127.0.0.1", port))[1] for _ in range(connections)]
    await asyncio.sleep(0.3)

    def read() -> tuple[int, float]:
        pipe.send(0)
        return sum(client.answered for client in clients), pipe.recv()[1]

    (count, cpu_s), started = read(), time.perf_counter()
    await asyncio.sleep(seconds)
    (count_after, cpu_after_s), elapsed = read(), time.perf_counter() - started
    for client in clients:
        client.transport.abort()
    answered = count_after - count
    return answered / elapsed, (cpu_after_s - cpu_s) / answered * 1e6


def measure(serve: Callable[[socket.socket], Any], seconds: float) -> list[tuple[float, float]]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(128)
        port = sock.getsockname()[1]
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=_server, args=(serve, sock, theirs), daemon=True)
        process.start()
        try:
            return [uvloop.run(_load(port, connections, seconds, ours)) for connections in CONNECTIONS]
        finally:
            process.terminate()
            process.join()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    floor, door = measure(_serve_bare, seconds), measure(_serve_door, seconds)
    print(f"{'connections':>12} {'bare uvicorn':>22} {'the door':>22} {'CPU ratio':>10}")
    for connections, (bare_rate, bare_us), (rate, us) in zip(CONNECTIONS, floor, door, strict=True):
        left, right = f"{bare_rate:,.0f}/s {bare_us:.0f} us", f"{rate:,.0f}/s {us:.0f} us"
        print(f"{connections:>12} {left:>22} {right:>22} {us / bare_us:>10.2f}")


if __name__ == "__main__":
    main()
