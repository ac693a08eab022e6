"""Too much, too slow and too many, over real sockets: each is answered in AWS's words or cut off, and the door still
opens for the next who may. HTTP's own corners: test_door_http.py."""

import asyncio
import contextlib
import dataclasses
import json
import resource
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from cosset.gateway.limits import Limits
from cosset.settings import Settings
from support.house import INVOKE, LIST, Answer, House, open_house
from support.patience import until
from support.signing import sign, to_wire


def test_a_body_that_is_too_long(house: House) -> None:
    request = sign("header", "POST", "/2015-03-31/functions", body=b"x" * (1024 * 1024 + 1))
    answer = house.ask(request)
    assert (answer.status, answer.code) == (413, "RequestEntityTooLargeException")
    assert json.loads(answer.body)["message"] == (
        "Request must be smaller than 1048576 bytes for the CreateFunction operation"
    )
    house.assert_alive()


def test_a_chunked_body_that_is_too_long(house: House) -> None:
    request = sign("header", "POST", "/2015-03-31/functions", body=b"x" * (2 * 1024 * 1024))
    chunks = b"".join(b"10000\r\n" + b"x" * 65536 + b"\r\n" for _ in range(32)) + b"0\r\n\r\n"
    head = to_wire(dataclasses.replace(request, body=b""), "transfer-encoding: chunked")
    answer = house.send(head.replace(b"content-length: 0\r\n", b"") + chunks)
    assert (answer.status, answer.code) == (413, "RequestEntityTooLargeException")


def test_headers_of_a_megabyte(house: House) -> None:
    for data in (
        b"GET / HTTP/1.1\r\nhost: h\r\nx-long: " + b"a" * 1024 * 1024 + b"\r\n\r\n",
        b"GET /" + b"a" * 1024 * 1024 + b" HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\n" + b"a: b\r\n" * 200_000 + b"\r\n",
    ):
        with house.front.connect() as sock:
            try:
                sock.sendall(data)
                answer = Answer.read(sock)
            except ConnectionError:
                continue
        assert answer.status in (0, 431)
    house.assert_alive()


def test_half_a_request_is_not_waited_for(hasty_house: House) -> None:
    whole = to_wire(sign("header", "POST", INVOKE, body=b'{"a":1}'))
    for cut in (0, 1, 20, len(whole) - 20, len(whole) - 1):
        answer = hasty_house.send(whole[:cut])
        assert answer.status in (0, 408)
    until(lambda: hasty_house.front.front.connections == 0)
    hasty_house.assert_alive()


def test_a_request_that_trickles_is_not_waited_for(hasty_house: House) -> None:
    with hasty_house.front.connect() as sock:
        sock.settimeout(0.02)
        sock.sendall(b"GET / HTTP/1.1\r\n")
        answer = b""
        for _ in range(3_000):
            try:
                sock.sendall(b"a: b\r\n")
                answer = sock.recv(100)
                break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("still waiting")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408")


@pytest.fixture
def small_house() -> Iterator[House]:
    """Four may come in, and be as slow as they like."""
    yield from open_house(Settings(max_body_mb=1, drain_s=1), Limits(max_connections=4))


def test_connections_are_bounded(small_house: House) -> None:
    with ExitStack() as stack:
        let_in = [stack.enter_context(small_house.front.connect()) for _ in range(4)]
        until(lambda: small_house.front.front.connections == 4)
        turned_away = [stack.enter_context(small_house.front.connect()) for _ in range(4)]
        assert [Answer.read(sock).status for sock in turned_away] == [503] * 4
        for sock in let_in:
            sock.sendall(to_wire(sign("header", "GET", LIST)))
            assert Answer.read(sock).status == 200
    small_house.assert_alive()


def test_two_thousand_connections_at_once(house: House) -> None:
    """1,500 are allowed here: the rest are told so at once, and every one of the allowed is served."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    data = to_wire(sign("header", "POST", INVOKE, body=b'{"a":1}'), close=False)

    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        try:
            writer.write(data)
            line = await reader.readline()
        except ConnectionError:
            return 503
        return int(line.split()[1]) if line else 503

    async def all_calls() -> list[int]:
        port = house.front.port
        opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(2000)))
        try:
            return await asyncio.wait_for(asyncio.gather(*(call(*each) for each in opened)), 240)
        finally:  # not before the last is answered: a place that is free again would be taken
            for _, writer in opened:
                writer.close()

    statuses = asyncio.run(all_calls())
    assert statuses.count(200) == 1500
    assert statuses.count(503) == 500
    house.assert_alive()


BESIDE = {
    "trailers": b"0\r\n" + b"a: b\r\n" * 500_000,
    "a trailer": b"0\r\na: " + b"b" * 3_000_000,
    "a chunk's extension": b"1;" + b"e" * 3_000_000,
}


@pytest.mark.parametrize("what", BESIDE)
def test_what_comes_beside_a_body_has_an_end(house: House, what: str) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with house.front.connect() as sock:
        sock.settimeout(20)  # less than for a body that stalls
        with contextlib.suppress(ConnectionError):  # the door has closed
            sock.sendall(head + BESIDE[what])
            while sock.recv(65_536):
                continue
    house.assert_alive()
