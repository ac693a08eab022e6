"""The Front: streams both ways with back-pressure, sockets that come and go, a drain that lets calls end."""

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from cosset.gateway.http import Front
from cosset.gateway.limits import Limits
from cosset.gateway.plain import PlainRoute
from cosset.settings import Settings
from cosset.wire.message import Request, Response
from support.front import make_door, send_until_full

Handler = Callable[[Request], Awaitable[Response]]


def listening() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


async def with_front(
    handler: Handler, work: Callable[[Front, int], Awaitable[Any]], *, drain_s: int = 1, **limits: Any
) -> Any:
    routes = [PlainRoute("POST", "/", handler), PlainRoute("GET", "/", handler)]
    settings = Settings(drain_s=drain_s)
    front = Front(make_door([], routes=routes), settings, Limits(max_connections=50, **limits))
    sock = listening()
    port = sock.getsockname()[1]
    await front.start([sock])
    try:
        return await work(front, port)
    finally:
        await front.close()


async def exchange(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    return answer


GET = b"GET /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"


def test_an_answer_is_sent_no_faster_than_it_is_read() -> None:
    made = 0

    async def handler(request: Request) -> Response:
        async def body() -> AsyncIterator[bytes]:
            nonlocal made
            for _ in range(2000):
                made += 1
                yield bytes(65536)

        return Response(200, [], body())

    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=65536)
        writer.write(GET)
        before = -1
        while made != before:  # until both sides' buffers are full and nothing moves
            before = made
            await asyncio.sleep(0.1)
        assert made < 1000
        size = 0
        while piece := await reader.read(1 << 20):
            size += len(piece)
        assert size > 2000 * 65536
        writer.close()

    asyncio.run(with_front(handler, work))


def test_a_body_is_taken_no_faster_than_it_is_read() -> None:
    gate = asyncio.Event()

    async def handler(request: Request) -> Response:
        assert not isinstance(request.body, bytes)
        chunks = aiter(request.body)
        await anext(chunks)
        await gate.wait()
        size = sum([len(chunk) async for chunk in chunks])
        return Response(200, [], str(size).encode())

    async def work(front: Front, port: int) -> None:
        total = 64 << 20
        loop = asyncio.get_running_loop()
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setblocking(False)
        await loop.sock_sendall(sock, b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % total)
        sent = await send_until_full(sock)
        assert sent < total
        gate.set()
        while sent < total:
            piece = min(1 << 20, total - sent)
            await loop.sock_sendall(sock, bytes(piece))
            sent += piece
        answer = await loop.sock_recv(sock, 1000)
        assert int(answer.rpartition(b"\r\n\r\n")[2]) > total - (1 << 20)
        sock.close()

    asyncio.run(with_front(handler, work))


async def hello(request: Request) -> Response:
    return Response(200, [("content-type", "text/plain")], b"hello")


def test_sockets_come_and_go_while_it_serves() -> None:
    async def work(front: Front, port: int) -> None:
        added = listening()
        added.listen(5)
        other = added.getsockname()[1]
        await front.add_listener(added)
        assert (await exchange(other, GET)).endswith(b"hello")
        await front.remove_listener(added)
        await front.remove_listener(added)
        with pytest.raises(ConnectionError):
            await exchange(other, GET)
        assert (await exchange(port, GET)).endswith(b"hello")

    asyncio.run(with_front(hello, work))


def test_an_added_socket_has_a_quota_of_its_own() -> None:
    async def work(front: Front, port: int) -> None:
        added = listening()
        other = added.getsockname()[1]
        await front.add_listener(added)
        held = [await asyncio.open_connection("127.0.0.1", other) for _ in range(2)]
        assert (await exchange(other, b"")).startswith(b"HTTP/1.1 503")
        assert (await exchange(port, GET)).endswith(b"hello")
        for _, writer in held:
            writer.close()
            await writer.wait_closed()

    asyncio.run(with_front(hello, work, max_inner_connections=2))


def test_a_closed_front_takes_no_sockets() -> None:
    async def work(front: Front, port: int) -> None:
        await front.close()
        with listening() as sock, pytest.raises(RuntimeError):
            await front.add_listener(sock)

    asyncio.run(with_front(hello, work))


def test_a_drain_lets_calls_end_and_cuts_off_what_does_not() -> None:
    started, release, ended = asyncio.Event(), asyncio.Event(), []

    async def handler(request: Request) -> Response:
        started.set()
        try:
            await (release.wait() if request.path == "/short" else asyncio.Event().wait())
        except asyncio.CancelledError:
            ended.append(request.path)
            raise
        return Response(200, [], b"done")

    async def work(front: Front, port: int) -> None:
        short = asyncio.create_task(exchange(port, GET.replace(b"/x", b"/short")))
        endless = asyncio.create_task(exchange(port, GET.replace(b"/x", b"/endless")))
        await started.wait()
        closing = asyncio.create_task(front.close())
        await asyncio.sleep(0.3)
        with pytest.raises(ConnectionError):
            await exchange(port, GET)
        release.set()
        assert (await short).endswith(b"done")
        await closing
        assert b"200" not in await endless
        assert ended == ["/endless"]
        assert front.connections == 0

    asyncio.run(with_front(handler, work))


def test_nothing_is_left_open() -> None:
    async def work(front: Front, port: int) -> None:
        for _ in range(20):
            await exchange(port, GET)

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(with_front(hello, work))
    assert len(os.listdir("/proc/self/fd")) <= before


def test_head_is_answered_with_the_headers_of_get() -> None:
    async def work(front: Front, port: int) -> None:
        answer = await exchange(port, GET.replace(b"GET", b"HEAD"))
        assert b"content-length: 5" in answer
        assert answer.endswith(b"\r\n\r\n")

    asyncio.run(with_front(hello, work))


def test_a_broken_plain_route_is_told_with_a_request_id(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Response:
        raise RuntimeError("a bug")

    async def work(front: Front, port: int) -> None:
        answer = await exchange(port, GET)
        assert answer.startswith(b"HTTP/1.1 500")
        request_id = answer.split(b"x-amzn-RequestId: ")[1].split(b"\r\n")[0].decode()
        assert request_id in caplog.text

    asyncio.run(with_front(handler, work))


@pytest.mark.parametrize("extra", [b"", b"expect: 100-continue\r\n"])
def test_a_client_that_leaves_ends_the_body_it_was_reading(extra: bytes) -> None:
    """Both ways out: the exchange and uvicorn's own cycle."""
    ended = asyncio.Event()

    async def handler(request: Request) -> Response:
        async def body() -> AsyncIterator[bytes]:
            try:
                while True:
                    await asyncio.sleep(0)
                    yield bytes(1000)
            finally:
                ended.set()

        return Response(200, [], body())

    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET.replace(b"host", extra + b"host"))
        await reader.read(1000)
        writer.close()
        await asyncio.wait_for(ended.wait(), 60)

    asyncio.run(with_front(handler, work))


def test_no_header_value_ends_a_header() -> None:
    async def handler(request: Request) -> Response:
        return Response(200, [("x-a", "one\r\nx-b: two"), ("x-c", "\u2713")], b"hello")

    async def work(front: Front, port: int) -> None:
        for extra in (b"", b"expect: 100-continue\r\n"):
            answer = await exchange(port, GET.replace(b"host", extra + b"host"))
            assert b"x-a: one  x-b: two\r\n" in answer
            assert b"x-c: ?\r\n" in answer

    asyncio.run(with_front(handler, work))


def test_requests_behind_one_that_is_answered_wait_their_turn() -> None:
    order: list[str] = []

    async def handler(request: Request) -> Response:
        order.append(request.path)
        await asyncio.sleep(0.01)
        order.append(request.path)
        return Response(200, [], request.path.encode())

    async def work(front: Front, port: int) -> None:
        first = b"".join(GET.replace(b"/x", b"/%d" % number).replace(b"close", b"keep-alive") for number in range(4))
        answer = await exchange(port, first + GET.replace(b"/x", b"/4"))
        assert answer.count(b"HTTP/1.1 200") == 5
        assert order == [path for number in range(5) for path in (f"/{number}", f"/{number}")]

    asyncio.run(with_front(handler, work))


def test_a_pipeline_is_bounded() -> None:
    forever = asyncio.Event()

    async def handler(request: Request) -> Response:
        await forever.wait()
        return Response(200)

    async def work(front: Front, port: int) -> None:
        answer = await exchange(port, GET.replace(b"close", b"keep-alive") * 200)
        assert answer == b""  # the first is owed an answer: none is made up for it
        forever.set()

    asyncio.run(with_front(handler, work))


def test_garbage_behind_a_request_is_no_answer_to_it() -> None:
    forever = asyncio.Event()

    async def handler(request: Request) -> Response:
        await forever.wait()
        return Response(200)

    async def work(front: Front, port: int) -> None:
        assert await exchange(port, GET.replace(b"close", b"keep-alive") + b"\x00\x01\x02") == b""
        forever.set()

    asyncio.run(with_front(handler, work))


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_is_not_read_is_not_kept(streamed: bool) -> None:
    async def handler(request: Request) -> Response:
        async def body() -> AsyncIterator[bytes]:
            while True:
                yield bytes(1 << 20)

        return Response(200, [], body() if streamed else bytes(32 << 20))

    async def work(front: Front, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(GET)
            while front.connections == 0:
                await asyncio.sleep(0.01)
            while front.connections:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(with_front(handler, work, stall_s=0.05), 60))


def test_requests_may_come_in_any_pieces() -> None:
    pieces = random.Random(4566)

    async def handler(request: Request) -> Response:
        body = request.body if isinstance(request.body, bytes) else b"".join([chunk async for chunk in request.body])
        return Response(200, [], request.path.encode() + b":" + body + b";")

    async def work(front: Front, port: int) -> None:
        long = bytes(70_000)
        data = (
            b"POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello"
            b"POST /b HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
            b"GET /c HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
            b"POST /d HTTP/1.1\r\nhost: h\r\ncontent-length: 70000\r\n\r\n"
            + long
            + b"GET /e HTTP/1.1\r\nhost: h\r\n\r\n"
            b"POST /f HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
        )
        for _ in range(40):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
            at = 0
            while at < len(data):
                size = pieces.choice([1, 2, 7, 50, 200, 5000, 100_000])
                writer.write(data[at : at + size])
                at += size
                await asyncio.sleep(0)
            answer = await reader.read()
            writer.close()
            assert answer.count(b"HTTP/1.1 200 OK") == 6
            for part in (b"/a:hello;", b"/b:hello;", b"/c:;", b"/d:" + long + b";", b"/e:;", b"/f:ok;"):
                assert part in answer

    asyncio.run(with_front(handler, work))
