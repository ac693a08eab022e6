"""Large bodies: in past the parser, out past the transport, whole and in order whatever the client does. On asyncio's
own loop and on the one that the node runs on, whose transports are others."""

import asyncio
import hashlib
import os
import socket
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop

from cosset.gateway import outflow
from cosset.gateway.authority import Authority
from cosset.gateway.body import ClientGoneError
from cosset.gateway.http import Front
from cosset.gateway.inflow import BUFFER_BYTES, Buffers
from cosset.gateway.limits import Limits
from cosset.gateway.outflow import FileSender
from cosset.gateway.payload import checked_stream
from cosset.gateway.plain import PlainRoute
from cosset.gateway.refusals import RefusedError
from cosset.gateway.sluice import Sluices
from cosset.services.s3.readings import Reading, Segment
from cosset.settings import Settings
from cosset.wire.file_bodies import FilePiece
from cosset.wire.message import Request, Response
from cosset.wire.views import ViewedBody
from support.front import make_door, send_until_full

DATA = os.urandom(5 * 1024 * 1024 + 321)
GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"

Work = Callable[[Front, int], Awaitable[None]]


def descriptors() -> list[str]:
    """Open sockets and files. A loop keeps more."""
    found = [Path(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    names = [os.readlink(path) for path in found if path.is_symlink()]
    return sorted(name for name in names if name.startswith("socket:") or name.endswith("/file"))


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Runs `work` against a Front that answers with `handler`."""

    def run(handler: Callable[[Request], Awaitable[Response]], work: Work, **limits: Any) -> None:
        async def main() -> None:
            routes = [PlainRoute(method, "/", handler) for method in ("GET", "HEAD", "PUT")]
            front = Front(make_door([], routes=routes), Settings(drain_s=1), Limits(max_connections=200, **limits))
            sock = socket.create_server(("127.0.0.1", 0))
            await front.start([sock])
            try:
                await asyncio.wait_for(work(front, sock.getsockname()[1]), 60)
            finally:
                await front.close()

        factory = uvloop.new_event_loop if request.param == "uvloop" else None
        before = descriptors()
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())
        # Of other tests in this process some may have gone meanwhile.
        assert not Counter(descriptors()) - Counter(before)

    return run


def sends(path: Path, spans: list[tuple[int, int]]) -> Callable[[Request], Awaitable[Response]]:
    """A handler that answers with these spans of the file."""

    async def handler(request: Request) -> Response:
        reading = Reading([Segment(path, start, length) for start, length in spans])
        await reading.open()
        return Response(200, [("content-length", str(sum(length for _, length in spans)))], reading)

    return handler


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return await reader.readexactly(length)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


def test_files_go_out_whole_one_answer_after_another(run: Callable[..., None], file: Path) -> None:
    """Asked for at once, on one connection."""
    spans = [(0, len(DATA)), (5, 1 << 20), (len(DATA) - 3, 3)]
    expected = b"".join(DATA[start : start + length] for start, length in spans)

    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET * 3)
        for _ in range(3):
            assert await read_answer(reader) == expected
        writer.close()

    run(sends(file, spans), work)


def test_head_gets_no_body(run: Callable[..., None], file: Path) -> None:
    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET.replace(b"GET", b"HEAD"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: %d\r\n" % len(DATA) in head
        writer.write(GET)
        assert await read_answer(reader) == DATA
        writer.close()

    run(sends(file, [(0, len(DATA))]), work)


def test_a_file_that_got_shorter_ends_the_connection(run: Callable[..., None], file: Path) -> None:
    handler = sends(file, [(0, len(DATA))])

    async def work(front: Front, port: int) -> None:
        os.truncate(file, 3 << 20)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        answer = await reader.read()
        assert answer.endswith(DATA[(3 << 20) - 1000 : 3 << 20])
        writer.close()

    run(handler, work)


def test_what_cannot_be_sent_is_written(run: Callable[..., None], file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(outflow.os, "sendfile", refuse)

    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        assert await read_answer(reader) == DATA
        writer.close()

    run(sends(file, [(0, len(DATA))]), work)


def test_without_a_descriptor_to_spare_a_file_is_written(
    run: Callable[..., None], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> int:
        raise OSError(24, "Too many open files")

    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        monkeypatch.setattr(outflow.os, "dup", refuse)
        writer.write(GET)
        assert await read_answer(reader) == DATA
        writer.close()

    run(sends(file, [(0, len(DATA))]), work)


def test_a_file_that_nobody_reads_is_cut_off(run: Callable[..., None], file: Path) -> None:
    """More than both sides' kernels hold."""
    handler = sends(file, [(0, len(DATA))] * 20)

    async def work(front: Front, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(GET)
            while not front.connections:
                await asyncio.sleep(0.01)
            while front.connections:
                await asyncio.sleep(0.01)

    run(handler, work, stall_s=0.1)


def test_who_reads_slowly_is_not_cut_off(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says that there is room only when there is much of it: a little must count, too."""

    class Transport:
        is_aborted = False

        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock

        def get_extra_info(self, name: str) -> Any:
            return {"socket": self._sock}.get(name)

        def abort(self) -> None:
            self.is_aborted = True

    async def main() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        transport: Any = Transport(ours)
        unread = iter([900, 800, 700, 650, 650])
        measured = []
        monkeypatch.setattr(FileSender, "_unread_bytes", lambda _: measured.append(next(unread)) or measured[-1])
        sender = FileSender(transport, cast(Any, None), asyncio.Event(), 0.01)
        with file.open("rb") as opened:
            await sender.send(FilePiece(opened.fileno(), 0, len(DATA)))
        assert measured == [900, 800, 700, 650, 650]
        assert transport.is_aborted
        sender.close()
        ours.close()
        theirs.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_client_that_leaves_ends_the_sending(run: Callable[..., None], file: Path) -> None:
    handler = sends(file, [(0, len(DATA))] * 20)

    async def work(front: Front, port: int) -> None:
        for half in (False, True):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.sendall(GET)
            while not front.connections:
                await asyncio.sleep(0.01)
            if half:
                sock.shutdown(socket.SHUT_WR)
            else:
                sock.close()
            while front.connections:
                await asyncio.sleep(0.01)
            sock.close()

    run(handler, work)


def test_many_at_once_each_get_theirs(run: Callable[..., None], file: Path) -> None:
    async def work(front: Front, port: int) -> None:
        async def one() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET)
            assert await read_answer(reader) == DATA
            writer.close()

        await asyncio.gather(*(one() for _ in range(20)))

    run(sends(file, [(0, len(DATA))]), work)


# --- in --------------------------------------------------------------------------------------------------------------


async def hashed(request: Request) -> Response:
    """Reads by views, with the patience of one who works on two at a time."""
    assert isinstance(request.body, ViewedBody)
    digest, before = hashlib.sha256(), None
    while (view := await request.body.next_view()) is not None:
        await asyncio.sleep(0)
        if before is not None:
            digest.update(before)
        before = view
    digest.update(before or b"")
    return Response(200, [], digest.hexdigest().encode())


def put(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n" % len(body) + lines + b"\r\n" + body


EXPECTED = hashlib.sha256(DATA).hexdigest().encode()


def test_bodies_come_in_whole_one_after_another(run: Callable[..., None]) -> None:
    """What is behind a body on the connection is the next request, sent in one go or in any other."""
    sizes = [len(DATA), 65_537, 1, len(DATA), BUFFER_BYTES, BUFFER_BYTES + 70_000]
    bodies = [DATA[-size:] for size in sizes]

    async def work(front: Front, port: int) -> None:
        for piece in (1 << 30, 300_001):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            sent = b"".join(put(body) for body in bodies)

            async def send(writer: asyncio.StreamWriter = writer, sent: bytes = sent, piece: int = piece) -> None:
                for start in range(0, len(sent), piece):
                    writer.write(sent[start : start + piece])
                    await writer.drain()

            sending = asyncio.create_task(send())
            for body in bodies:
                assert await read_answer(reader) == hashlib.sha256(body).hexdigest().encode()
            await sending
            writer.close()

    async def handler(request: Request) -> Response:
        if isinstance(request.body, bytes):
            return Response(200, [], hashlib.sha256(request.body).hexdigest().encode())
        return await hashed(request)

    run(handler, work)


@pytest.mark.parametrize("headers", [[b"expect: 100-continue"], [b"connection: close"]])
def test_a_body_that_is_asked_for_first_comes_whole(run: Callable[..., None], headers: list[bytes]) -> None:
    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = put(DATA, *headers)
        writer.write(sent[: -len(DATA)])
        if headers[0].startswith(b"expect"):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(DATA)
        assert await read_answer(reader) == EXPECTED
        writer.close()

    run(hashed, work)


def test_a_body_that_is_read_slowly_waits_in_its_buffers(run: Callable[..., None]) -> None:
    gate = asyncio.Event()

    async def handler(request: Request) -> Response:
        assert isinstance(request.body, ViewedBody)
        size = len(await request.body.next_view() or b"")
        await gate.wait()
        size += sum([len(chunk) async for chunk in request.body])
        return Response(200, [], str(size).encode())

    async def work(front: Front, port: int) -> None:
        loop = asyncio.get_running_loop()
        total = 64 << 20
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.setblocking(False)
            await loop.sock_sendall(sock, b"PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % total)
            sent = await send_until_full(sock)
            assert sent < total
            gate.set()
            await loop.sock_sendall(sock, bytes(total - sent))
            assert (await loop.sock_recv(sock, 1000)).endswith(str(total).encode())

    run(handler, work)


def test_what_a_slow_client_sent_is_given_though_more_is_to_come(run: Callable[..., None]) -> None:
    """The kernel gathers much of a body before it wakes anybody: not for longer than a moment."""
    seen: list[int] = []

    async def handler(request: Request) -> Response:
        assert isinstance(request.body, ViewedBody)
        while (view := await request.body.next_view()) is not None:
            seen.append(len(view))
        return Response(200, [], b"done")

    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(put(DATA)[: -len(DATA)])
        sent = 0
        for size in (100_000, 100_000, BUFFER_BYTES, 70_000, 100_000):
            writer.write(DATA[sent : sent + size])
            sent += size
            while sum(seen) < sent - 65_536:  # which may wait for what belongs to it
                await asyncio.sleep(0.01)
        writer.write(DATA[sent:])
        assert await read_answer(reader) == b"done"
        assert sum(seen) == len(DATA)
        writer.close()

    run(handler, work)


def test_a_client_that_leaves_in_the_middle_is_nobody_to_answer(run: Callable[..., None]) -> None:
    ended: list[str] = []

    async def handler(request: Request) -> Response:
        try:
            return await hashed(request)
        except Exception as error:
            ended.append(type(error).__name__)
            raise

    async def work(front: Front, port: int) -> None:
        for number in (1, 2):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(sock, put(DATA)[: -(1 << 20)])
            if number == 2:
                sock.shutdown(socket.SHUT_WR)
            else:
                sock.close()
            while len(ended) < number:
                await asyncio.sleep(0.01)
            sock.close()
        assert ended == ["ClientGoneError"] * 2

    run(handler, work)


def test_a_body_that_stands_still_is_cut_off(run: Callable[..., None]) -> None:
    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(put(DATA)[: -(1 << 20)])
        with suppress(ConnectionError):  # where the end comes while this side still sends
            assert (await reader.read()).startswith(b"HTTP/1.1 408")
        while front.connections:
            await asyncio.sleep(0.01)
        writer.close()

    run(hashed, work, stall_s=0.3)


def test_an_early_answer_is_read_by_one_who_still_sends(run: Callable[..., None]) -> None:
    async def handler(request: Request) -> Response:
        assert isinstance(request.body, ViewedBody)
        await request.body.next_view()
        await request.body.next_view()
        return Response(403, [], b"no")

    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(put(DATA))
            assert await read_answer(reader) == b"no"
        writer.close()

    run(handler, work)


def test_without_buffers_bodies_come_through_the_parser(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Buffers, "take", lambda _: [])

    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(put(DATA))
            assert await read_answer(reader) == EXPECTED
        writer.close()

    run(hashed, work)


def test_with_tls_bodies_take_the_long_way(file: Path, tmp_path: Path) -> None:
    send = sends(file, [(0, len(DATA))])

    async def handler(request: Request) -> Response:
        return await (send(request) if request.method == "GET" else hashed(request))

    async def main() -> None:
        routes = [PlainRoute(method, "/", handler) for method in ("GET", "PUT")]
        front = Front(make_door([], routes=routes), Settings(drain_s=1))
        await front.start([])
        sock = socket.create_server(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        try:
            await front.add_listener(sock, await Authority(tmp_path).context())
            host = "s3.us-east-1.amazonaws.com"
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=host)
            for _ in range(2):
                writer.write(GET)
                assert await read_answer(reader) == DATA
                writer.write(put(DATA))
                assert await read_answer(reader) == EXPECTED
            writer.close()
        finally:
            await front.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(main(), 120))


def test_a_view_is_good_for_as_long_as_it_says(run: Callable[..., None]) -> None:
    async def handler(request: Request) -> Response:
        body = request.body
        assert isinstance(body, ViewedBody)
        digest, held = hashlib.sha256(), []
        while (view := await body.next_view()) is not None:
            held.append(view)
            await asyncio.sleep(0.001)  # all buffers fill
            while len(held) >= body.good_for:
                digest.update(held.pop(0))
        for view in held:
            digest.update(view)
        return Response(200, [], digest.hexdigest().encode())

    large = DATA * 4

    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(put(large))
        assert await read_answer(reader) == hashlib.sha256(large).hexdigest().encode()
        writer.close()

    run(handler, work)


def test_one_body_has_many_buffers_and_many_have_few() -> None:
    buffers = Buffers(most=40, kept=4)
    assert [len(buffers.take()) for _ in range(8)] == [16, 4, 4, 4, 4, 4, 4, 0]


def test_buffers_are_bounded_and_used_again() -> None:
    buffers = Buffers(most=8, kept=4)
    first, second = buffers.take(), buffers.take()
    assert len(first) == len(second) == 4
    assert buffers.take() == []
    buffers.give_back(first)
    buffers.give_back(second)
    third = buffers.take()
    assert {id(each) for each in third} == {id(each) for each in first}


# --- in, by a thread -------------------------------------------------------------------------------------------------


async def poured(request: Request) -> Response:
    """Reads what it can in a thread, all else as ever; says how much of it was poured."""
    body, digest, held, fast = request.body, hashlib.sha256(), deque[Any](), 0
    assert isinstance(body, ViewedBody)

    def take(view: Any) -> None:
        """Looks at a view as late as it may."""
        nonlocal fast
        assert threading.current_thread() is not threading.main_thread()
        fast += len(view)
        hold(view)

    def hold(view: Any) -> None:
        held.append(view)
        while len(held) >= body.good_for:
            digest.update(held.popleft())

    while (view := await body.next_view()) is not None:
        hold(view)
        await body.pour(take)
    for view in held:
        digest.update(view)
    return Response(200, [("x-poured", str(fast))], digest.hexdigest().encode())


def test_a_fast_body_is_poured_whole_and_what_is_behind_it_is_a_request(run: Callable[..., None]) -> None:
    large = DATA * 4

    async def work(front: Front, port: int) -> None:
        before = descriptors()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in (large, DATA, large):
            writer.write(put(body) + put(DATA))
            assert await read_answer(reader) == hashlib.sha256(body).hexdigest().encode()
            assert await read_answer(reader) == EXPECTED
        writer.close()
        await writer.wait_closed()
        while front.connections:
            await asyncio.sleep(0.01)
        assert descriptors() == before

    run(poured, work)


@pytest.mark.parametrize("is_right", [True, False])
def test_the_hash_of_a_body_that_is_poured_is_compared(run: Callable[..., None], is_right: bool) -> None:
    declared = EXPECTED.decode() if is_right else hashlib.sha256(DATA[:-1] + b"?").hexdigest()

    async def handler(request: Request) -> Response:
        try:
            return await poured(replace(request, body=checked_stream(request.body, declared)))
        except RefusedError:
            return Response(403, [], b"no")

    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(put(DATA))
            assert await read_answer(reader) == (EXPECTED if is_right else b"no")
        writer.close()

    run(handler, work)


def test_a_client_that_is_fast_gets_a_thread(run: Callable[..., None]) -> None:
    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = b"x-poured: 0\r\n"
        while b"x-poured: 0\r\n" in head:  # where this machine is slow, the client is
            writer.write(put(DATA))
            head = await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(64) == EXPECTED
        writer.close()

    run(poured, work)


def test_a_body_is_poured_while_its_client_is_fast_and_read_on_when_it_is_not(run: Callable[..., None]) -> None:
    threads: list[Sluices] = []

    async def handler(request: Request) -> Response:
        threads.append(cast(Any, request.body)._connection.buffers.sluices)
        return await poured(request)

    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        half = 5 * BUFFER_BYTES + 77
        sent = put(DATA)
        writer.write(sent[:half])
        await writer.drain()
        while not threads or threads[0].in_use:
            await asyncio.sleep(0.01)  # the thread is given back, though the client is still there
        for start in range(half, len(sent), 100_000):
            writer.write(sent[start : start + 100_000])
            await asyncio.sleep(0.001)
        assert await read_answer(reader) == EXPECTED
        assert threads[0].in_use == 0
        writer.close()

    run(handler, work)


def test_without_a_thread_bodies_are_read_on_the_loop(run: Callable[..., None]) -> None:
    async def handler(request: Request) -> Response:
        sluices = cast(Any, request.body)._connection.buffers.sluices
        sluices._most = 0
        return await poured(request)

    async def work(front: Front, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(put(DATA))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"x-poured: 0\r\n" in head
        assert await reader.readexactly(64) == EXPECTED
        writer.close()

    run(handler, work)


@pytest.mark.parametrize("leaves", [True, False])
def test_who_leaves_a_body_that_is_poured_is_gone_and_so_is_its_thread(run: Callable[..., None], leaves: bool) -> None:
    """Or else what takes the body fails: the rest is thrown away, the answer given."""
    seen: list[Any] = []

    async def handler(request: Request) -> Response:
        body = request.body
        assert isinstance(body, ViewedBody)
        sluices = cast(Any, body)._connection.buffers.sluices
        seen.append(sluices)

        def take(_: Any) -> None:
            if not leaves:
                raise ValueError("no")

        try:
            while await body.next_view() is not None:
                await body.pour(take)
        except ValueError:
            return Response(400, [], b"no")
        except ClientGoneError:
            seen.append("gone")
            raise
        return Response(200, [], b"")

    async def work(front: Front, port: int) -> None:
        before = descriptors()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(put(DATA)[: -BUFFER_BYTES if leaves else None])
        if leaves:
            await writer.drain()
            writer.transport.abort()
            while "gone" not in seen:
                await asyncio.sleep(0.01)
        else:
            assert await read_answer(reader) == b"no"
            writer.write(put(DATA))
            assert await read_answer(reader) == b"no"
            writer.close()
        while front.connections or seen[0].in_use:
            await asyncio.sleep(0.01)
        assert descriptors() == before

    run(handler, work)


def test_a_drain_cuts_off_what_is_poured(run: Callable[..., None]) -> None:
    """Nothing is left behind: not the thread, which its caller waits for, nor the connection."""
    begun, ended = threading.Event(), threading.Event()

    async def handler(request: Request) -> Response:
        body = request.body
        assert isinstance(body, ViewedBody)

        def take(_: Any) -> None:
            begun.set()
            time.sleep(0.01)

        try:
            while await body.next_view() is not None:
                await body.pour(take)
        finally:
            ended.set()
        return Response(200, [], b"")

    async def work(front: Front, port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % (1 << 40))

        async def send() -> None:
            while True:
                writer.write(bytes(BUFFER_BYTES))
                await writer.drain()

        sending = asyncio.create_task(send())
        while not begun.is_set():
            await asyncio.sleep(0.01)
        await front.close()
        while not ended.is_set():  # a slow machine is still at it
            await asyncio.sleep(0.01)
        sending.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await sending
        writer.close()

    run(handler, work)
