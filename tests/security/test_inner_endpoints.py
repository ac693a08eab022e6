"""Cosset's endpoints inside environments (4566, and 443, 80 and 53 behind AWS's names), attacked by the function: they
lead to the door and nowhere else, and a function that floods them holds up nobody but itself."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from support.host import tier
from support.victim import Victim

pytestmark = pytest.mark.skipif(tier() != "jail", reason="only the jail has these endpoints")

SOURCE = r'''
import os, re, socket, ssl, struct

def connect(port):
    plain = socket.create_connection(("127.0.0.1", port), 10)
    if port != 443:
        return plain
    return ssl.create_default_context().wrap_socket(plain, server_hostname="sts.amazonaws.com")

def say(port, text):
    """The first line that is answered, and whether the bytes of somebody else are in the answer."""
    answer = b""
    with connect(port) as made:
        made.settimeout(10)
        made.sendall(text.encode())
        try:
            while b"\r\n\r\n" not in answer and (more := made.recv(65536)):
                answer += more
            head, _, body = answer.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            while length is not None and len(body) < int(length[1]) and (more := made.recv(65536)):
                body += more
            answer = head + body
        except OSError:
            pass
    return [answer.split(b"\r\n")[0].decode(), b"SECRET" in answer]

def flood(port, number, text):
    kept = []
    for _ in range(number):
        try:
            made = socket.create_connection(("127.0.0.1", port), 1)
            if text:
                made.sendall(text.encode())
            kept.append(made)
        except OSError:
            break
    return len(kept)

def names(number):
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.connect(("127.0.0.1", 53))
    sent = 0
    for each in range(number):
        long = struct.pack(">6H", each % 65536, 0x100, 1, 0, 0, 0) + b"\x3f" * 300
        for query in (os.urandom(12 + each % 1500), b"\0" * 12, long):
            try:
                sent += bool(asking.send(query))
            except OSError:
                pass
    return sent

def listening(*ports):
    found = []
    for port in range(1, 10_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                found.append(port)
    return found

def handler(event, context):
    name, *arguments = event
    return globals()[name](*arguments)
'''
NAME = "inner"
PLAIN = "GET / HTTP/1.1\r\nHost: sts.amazonaws.com\r\n\r\n"


@pytest.fixture(scope="module")
def inner(victim: Victim) -> Victim:
    victim.create(NAME, SOURCE, Timeout=60, MemorySize=1769)
    return victim


@pytest.fixture(scope="module")
def secret() -> Iterator[tuple[int, list[object]]]:
    """A service on the host's loopback that nobody inside may reach: its port, and who came."""
    came: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    made, address = listener.accept()
                    came.append(address)
                    made.sendall(b"HTTP/1.0 200 OK\r\n\r\nSECRET")
                    made.close()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], came
        listener.shutdown(socket.SHUT_RDWR)


def ask(inner: Victim, *event: object) -> object:
    ended = inner.invoke(NAME, event)
    assert ended.error is None, ended
    return ended.payload


def test_nothing_but_the_platform_listens_inside(inner: Victim) -> None:
    assert set(ask(inner, "listening")) <= {53, 80, 443, 4566, 9001}  # type: ignore[call-overload]


@pytest.mark.parametrize("port", [443, 80, 4566])
@pytest.mark.parametrize(
    "head",
    [
        "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        "GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        "GET //127.0.0.1:{port}/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
        "GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\nX-Forwarded-Host: 127.0.0.1:{port}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: sts.amazonaws.com\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        "\x16\x03\x01\x02\x00garbage\r\n\r\n",
    ],
)
def test_is_no_proxy_to_the_host(inner: Victim, secret: tuple[int, list[object]], port: int, head: str) -> None:
    line, has_secret = ask(inner, "say", port, head.replace("{port}", str(secret[0])))  # type: ignore[misc]
    assert not has_secret
    assert line == "" or int(line.split()[1]) >= 400, line
    assert secret[1] == []
    inner.assert_well()


@pytest.mark.parametrize("port", [443, 80, 53])
@pytest.mark.parametrize("text", ["", "x", "POST / HTTP/1.1\r\nContent-Length: 999999\r\n\r\n"])
def test_a_flood_of_connections_holds_up_nobody_else(inner: Victim, port: int, text: str) -> None:
    ask(inner, "flood", port, 700, text)
    inner.assert_well()
    assert ask(inner, "say", 443, PLAIN) == ["HTTP/1.1 403 Forbidden", False]


def test_a_flood_of_questions_holds_up_nobody_else(inner: Victim) -> None:
    ask(inner, "names", 2_000)
    inner.assert_well()
    assert ask(inner, "say", 443, PLAIN) == ["HTTP/1.1 403 Forbidden", False]
