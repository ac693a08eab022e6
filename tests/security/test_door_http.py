"""HTTP's own corners over real sockets: what clients do, and what none should. Too much of it: test_door_limits.py."""

import dataclasses
import re
import time

import pytest

from support.house import INVOKE, LIST, Answer, House
from support.signing import sign, to_wire


def test_pipelined_requests_are_answered_in_order(house: House) -> None:
    requests = [sign("header", "POST", INVOKE, body=f'"{number}"'.encode()) for number in range(5)]
    data = b"".join(to_wire(request, close=number == 4) for number, request in enumerate(requests))
    with house.front.connect() as sock:
        sock.sendall(data)
        received = b""
        while piece := sock.recv(65536):
            received += piece
    assert received.count(b"HTTP/1.1 200") == 5
    assert re.findall(rb'\r\n\r\n"(\d)"', received) == [b"0", b"1", b"2", b"3", b"4"]


def test_a_connection_is_kept_after_an_error(house: House) -> None:
    wrong = to_wire(sign("header", "GET", LIST, secret="wrong"), close=False)
    right = to_wire(sign("header", "GET", LIST))
    received = house.send(wrong + right)
    assert received.status == 403
    assert b"HTTP/1.1 200" in received.body


def test_transfer_encoding_chunked(house: House) -> None:
    request = sign("header", "POST", INVOKE, body=b'{"a":1}')
    head = to_wire(dataclasses.replace(request, body=b""), "transfer-encoding: chunked")
    answer = house.send(head + b'3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n')
    assert (answer.status, answer.body) == (200, b'{"a":1}')


def test_chunks_of_one_byte_and_trailers_that_nobody_reads(house: House) -> None:
    body = b'{"a":"' + b"x" * 30_000 + b'"}'
    request = sign("header", "POST", INVOKE, body=body)
    head = to_wire(dataclasses.replace(request, body=b""), "transfer-encoding: chunked")
    chunks = b"".join(b"1\r\n" + bytes((each,)) + b"\r\n" for each in body)
    answer = house.send(head + chunks + b"0\r\nx-amz-client-context: e30=\r\nhost: another\r\n\r\n")
    assert (answer.status, answer.body) == (200, body)


def test_expect_100_continue(house: House) -> None:
    request = sign("header", "POST", INVOKE, body=b'{"a":1}')
    data = to_wire(request, "expect: 100-continue")
    with house.front.connect() as sock:
        sock.sendall(data[:-7])
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(data[-7:])
        assert Answer.read(sock).body == b'{"a":1}'


def test_expect_100_continue_is_not_said_to_a_stranger(house: House) -> None:
    request = sign("header", "POST", INVOKE, body=b'{"a":1}', access_key="AKIANOBODY")
    with house.front.connect() as sock:
        sock.sendall(to_wire(request, "expect: 100-continue")[:-7])
        assert sock.recv(100).startswith(b"HTTP/1.1 403")


def test_an_offer_of_h2c_keeps_the_body(house: House) -> None:
    """The JDK's HttpClient offers an upgrade with its first request (uvicorn issue 2722)."""
    request = sign("header", "POST", INVOKE, body=b'{"a":1}')
    offer = ("upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__")
    data = to_wire(request, "connection: Upgrade, HTTP2-Settings", *offer, close=False)
    with house.front.connect() as sock:
        for size in (len(data), 100, 7):
            for at in range(0, len(data), size):
                sock.sendall(data[at : at + size])
            received = b""
            while not received.endswith(b'{"a":1}'):
                piece = sock.recv(65536)
                assert piece, received
                received += piece
            assert received.startswith(b"HTTP/1.1 200")
        sock.sendall(to_wire(request))
        assert Answer.read(sock).status == 200


def test_an_offer_of_websockets_is_not_taken(house: House) -> None:
    request = sign("header", "GET", LIST)
    offer = ("connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: AAAA")
    with house.front.connect() as sock:
        sock.sendall(to_wire(request, *offer, close=False))
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")


def test_head_has_no_body(house: House) -> None:
    answer = house.ask(sign("header", "HEAD", LIST))
    assert answer.status == 404
    assert answer.body == b""


def test_a_client_that_leaves_ends_a_long_poll(house: House) -> None:
    with house.front.connect() as sock:
        sock.sendall(to_wire(sign("header", "POST", INVOKE.replace("/f/", "/slow/"), body=b"{}"), close=False))
        while not house.functions.contexts:
            time.sleep(0.01)
    while not house.functions.left:
        time.sleep(0.01)
    house.assert_alive()


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET \xff\xfe HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\na: b\x00c\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET http://user@[::1/x HTTP/1.1\r\nhost: h\r\n\r\n",
        b"CONNECT elsewhere:443 HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET * HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET /%zz%ff?%&=&&;=%zz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        b"\r\n\r\n\r\n",
    ],
)
def test_garbage(hasty_house: House, data: bytes) -> None:
    answer = hasty_house.send(data)
    assert answer.status in (0, 400, 403, 404, 408)
    hasty_house.assert_alive()
