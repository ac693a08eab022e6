"""Bad requests over raw sockets to a live server: AWS's own error or a refused connection, and the server serves on.

The door by itself, with fakes behind it, is test_door.py; functions and packages that mean ill have their own modules.
"""

import base64
import contextlib
import datetime
import json
import re
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from support.holdings import health, resident_mb, server_process
from support.signing import sign, to_wire
from support.victim import GOOD, Victim

INVOKE = f"/2015-03-31/functions/{GOOD}/invocations"
CREATE = "/2015-03-31/functions"
FORM = ("content-type", "application/x-www-form-urlencoded")
DEEP = b"[" * 10_000 + b"]" * 10_000


@dataclass(frozen=True)
class Answer:
    """Status 0: the connection was closed without a word."""

    status: int
    head: str
    body: bytes

    @property
    def code(self) -> str:
        if named := re.search(r"(?mi)^x-amzn-errortype: ([^:\r\n]*)", self.head):
            return named[1]
        if tagged := re.search(rb"<Code>(.*?)</Code>", self.body):
            return tagged[1].decode()
        return str(json.loads(self.body)["__type"]).rpartition("#")[2]


class Wire:
    """Signs as the server's administrator and speaks bytes."""

    def __init__(self, victim: Victim) -> None:
        self._key = victim.server.credentials
        self._host = victim.server.endpoint.removeprefix("http://")

    def connect(self) -> socket.socket:
        host, _, port = self._host.rpartition(":")
        return socket.create_connection((host, int(port)), timeout=60)

    def signed(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
        *extra: str,
        service: str = "lambda",
    ) -> bytes:
        request = sign(
            "header",
            method,
            path,
            headers=headers,
            body=body,
            service=service,
            access_key=self._key.access_key_id,
            secret=self._key.secret_access_key,
            host=self._host,
            at=datetime.datetime.now(datetime.UTC),
        )
        return to_wire(request, *extra)

    def send(self, data: bytes) -> Answer:
        with self.connect() as sock:
            with contextlib.suppress(OSError):  # refused before all of it was sent
                sock.sendall(data)
            return read_answer(sock)


def read_answer(sock: socket.socket) -> Answer:
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionError:
        pass
    head, _, body = data.partition(b"\r\n\r\n")
    return Answer(int(data[9:12]) if data.startswith(b"HTTP/1.1 ") else 0, head.decode("latin-1"), body)


@pytest.fixture
def wire(victim: Victim) -> Wire:
    return Wire(victim)


def in_form(action: str, **members: str) -> bytes:
    pairs = {"Action": action, "Version": "2010-05-08", **members}
    return "&".join(f"{key}={quote(value)}" for key, value in pairs.items()).encode()


@pytest.mark.parametrize(
    "request_",
    [
        lambda wire: wire.signed("POST", INVOKE, b"{}", (), "x-long: " + "a" * (1 << 20)),
        lambda wire: wire.signed("POST", INVOKE, b"{}", (), *(f"x-{n}: 1" for n in range(20_000))),
        lambda wire: b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nhost: h\r\n\r\n",
        lambda wire: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        lambda wire: b"GET / HTTP/9.9\r\n\r\n",
        lambda wire: b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n",
        lambda wire: b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        lambda wire: b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        lambda wire: wire.signed("POST", INVOKE, b"{}", (), "x-amz-client-context: a\0b"),
    ],
)
def test_what_is_no_request_is_refused(victim: Victim, wire: Wire, request_: Callable[[Wire], bytes]) -> None:
    """A head of 1 MB in one line, in many, or in the target; TLS; and what cannot be read in one way only."""
    answer = wire.send(request_(wire))
    assert answer.status in (0, 400, 403, 431)
    assert "x-amz-function-error" not in answer.head.lower()
    victim.assert_well()


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (lambda wire: wire.signed("POST", INVOKE, DEEP), "InvalidRequestContentException"),
        (lambda wire: wire.signed("POST", CREATE, b'{"FunctionName":' + DEEP + b"}"), "SerializationException"),
        (lambda wire: wire.signed("POST", CREATE, b'{"Unknown":' + DEEP + b"}"), "SerializationException"),
        (lambda wire: wire.signed("POST", CREATE, DEEP), "SerializationException"),
        (
            lambda wire: wire.signed(
                "POST",
                "/",
                b'{"limit":' + DEEP + b"}",
                [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "Logs_20140328.DescribeLogGroups")],
                service="logs",
            ),
            "SerializationException",
        ),
        (
            lambda wire: wire.signed(
                "POST", "/", in_form("TagRole", RoleName="r", **{"Tags" + ".member.1" * 10_000: "x"}), [FORM],
                service="iam",
            ),
            "MalformedInput",
        ),
        (
            lambda wire: wire.signed(
                "POST", "/", in_form("CreateRole", RoleName="r", AssumeRolePolicyDocument=DEEP.decode()), [FORM],
                service="iam",
            ),
            "MalformedPolicyDocument",
        ),
    ],
)  # fmt: skip
def test_nested_10_000_deep(victim: Victim, wire: Wire, request_: Callable[[Wire], bytes], code: str) -> None:
    answer = wire.send(request_(wire))
    assert (answer.status, answer.code) == (400, code)
    assert "x-amzn-requestid: " in answer.head.lower()
    victim.assert_well()


@pytest.mark.parametrize("cut", ["in the line", "in the head", "before the body", "in the body"])
def test_a_request_of_which_half_comes(victim: Victim, wire: Wire, cut: str) -> None:
    """The client leaves in the middle; one that stays without a word is cut off in time: test_door.py."""
    whole = wire.signed("POST", INVOKE, b'{"never": "whole"}')
    at = {"in the line": 7, "in the head": 60, "before the body": whole.index(b"\r\n\r\n") + 4, "in the body": -3}[cut]
    for _ in range(20):
        with wire.connect() as sock:
            sock.sendall(whole[:at])
    victim.assert_well()


CHUNKED = [
    b"2\r\n{}\r\n0\r\n\r\n",
    b"2;chunk-signature=" + b"0" * 64 + b"\r\n{}\r\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n",
    b"2\r\n{}\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
    b"ffffffffffffffffffff\r\n",
    b"-1\r\n{}",
    b"2\r\n{}",
    b"\r\n",
    b"",
]
HASHES = [
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "STREAMING-NOTHING",
]


@pytest.mark.parametrize("claimed", HASHES)
def test_chunks_that_do_not_add_up(victim: Victim, wire: Wire, claimed: str) -> None:
    for body in CHUNKED:
        for length in ("2", "3", "-1", "x", "99999999999999999999"):
            headers = [
                ("content-encoding", "aws-chunked"),
                ("x-amz-content-sha256", claimed),
                ("x-amz-decoded-content-length", length),
                ("x-amz-trailer", "x-amz-checksum-crc32"),
            ]
            answer = wire.send(wire.signed("POST", INVOKE, body, headers))
            assert answer.status in (400, 403, 411, 413), (body, length, answer)
            assert answer.code
    victim.assert_well()


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        (f"{GOOD}:", 400, "ValidationException"),
        (f"{GOOD}:99", 404, "ResourceNotFoundException"),
        (f"{GOOD}:nobody", 404, "ResourceNotFoundException"),
        ("$LATEST", 400, "ValidationException"),
        (GOOD.upper(), 404, "ResourceNotFoundException"),
        (f" {GOOD}", 400, "ValidationException"),
        ("é", 400, "ValidationException"),
        ("*", 400, "ValidationException"),
        ("a" * 2000, 400, "ValidationException"),
        (f"{GOOD}/../{GOOD}", 400, "ValidationException"),
        (f"{GOOD}\r\nx-evil: 1", 400, "ValidationException"),
        (f"{GOOD}\0", 400, "ValidationException"),
        (f"{GOOD}';--", 400, "ValidationException"),
        (f"arn:aws:lambda:eu-west-1:{{account}}:function:{GOOD}", 404, "ResourceNotFoundException"),
        (f"arn:aws:lambda:us-east-1:999999999999:function:{GOOD}", 403, "AccessDeniedException"),
        (f"arn:aws:lambda:us-east-1:{{account}}:function:{GOOD}:1:2", 400, "ValidationException"),
        ("..", 404, "UnknownOperationException"),
        ("", 404, "UnknownOperationException"),
    ],
)  # fmt: skip
def test_odd_names(victim: Victim, wire: Wire, name: str, status: int, code: str) -> None:
    path = "/2015-03-31/functions/" + quote(name.replace("{account}", victim.server.account), safe="") + "/invocations"
    answer = wire.send(wire.signed("POST", path, b"{}"))
    assert (answer.status, answer.code) == (status, code)
    assert "x-evil" not in answer.head.lower()


@pytest.mark.parametrize(
    ("context", "code"),
    [
        ("not JSON", "InvalidRequestContentException"),
        ("[" * 2000, "InvalidRequestContentException"),
        ("[1]", "InvalidRequestContentException"),
        (json.dumps({"custom": {"a": "b" * 30_000}}), "RequestTooLargeException"),
        (json.dumps({"custom": {"a": "b" * 2_000}}), None),
    ],
)
@pytest.mark.parametrize("kind", ["RequestResponse", "Event"])
def test_odd_and_huge_client_contexts(victim: Victim, context: str, code: str | None, kind: str) -> None:
    given = {"ClientContext": base64.b64encode(context.encode()).decode(), "InvocationType": kind}
    if code is None:
        assert "FunctionError" not in victim.client.invoke(FunctionName=GOOD, Payload=b"1", **given)
        return
    with pytest.raises(ClientError) as refused:
        victim.client.invoke(FunctionName=GOOD, Payload=b"1", **given)
    assert refused.value.response["Error"]["Code"] == code
    victim.assert_well()


@pytest.mark.parametrize("given", ["%%%", "/w==", "e30"])
def test_client_contexts_that_are_not_base64(victim: Victim, given: str) -> None:
    with pytest.raises(ClientError, match=r"InvalidRequestContentException.* valid Base64-encoded JSON"):
        victim.client.invoke(FunctionName=GOOD, ClientContext=given)


SLOW = "import time\ndef handler(event, context):\n    time.sleep(1)\n    return 'x' * 6_000_000\n"


@pytest.fixture(scope="module")
def slow(victim: Victim) -> str:
    victim.create("slow", SLOW, Timeout=30)
    return "/2015-03-31/functions/slow/invocations"


def test_a_client_that_leaves_while_its_function_runs(victim: Victim, wire: Wire, slow: str) -> None:
    """The function runs to its end, as on AWS, and its environment is free again."""
    for _ in range(5):
        with wire.connect() as sock:
            sock.sendall(wire.signed("POST", slow, b"1"))
            time.sleep(0.1)
    wait_until_idle(victim)
    victim.assert_well()


def wait_until_idle(victim: Victim) -> None:
    """Longer than what was just sent needs to begin, and until all of it has ended."""
    until = time.monotonic() + 240
    time.sleep(0.5)
    while (found := health(victim.server)["environments"])["alive"] != found["idle"]:
        assert time.monotonic() < until, found
        time.sleep(0.1)


def test_clients_that_do_not_read(victim: Victim, wire: Wire, slow: str) -> None:
    """Each answer waits in the server, once, until its client is cut off; other calls go on meanwhile."""
    before_mb = resident_mb(server_process(victim.server))
    waiting = []
    for _ in range(15):
        sock = wire.connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(wire.signed("POST", slow, b"1"))
        waiting.append(sock)
    wait_until_idle(victim)
    victim.assert_well()
    assert resident_mb(server_process(victim.server)) - before_mb < 15 * 3 * 6 + 100
    for sock in waiting:
        sock.close()
    victim.assert_well()


def test_2_000_connections(victim: Victim, wire: Wire) -> None:
    """All at once: each is answered, by the function or by AWS's own throttle, and the 2,001st is served meanwhile."""
    request = wire.signed("POST", INVOKE, b'"one of many"')
    crowd = [wire.connect() for _ in range(2_000)]
    for sock in crowd:
        sock.sendall(request[:4])
    victim.assert_well()
    assert health(victim.server)["status"] == "ok"
    for sock in crowd:
        sock.sendall(request[4:])
    answers = [read_answer(sock) for sock in crowd]
    for sock in crowd:
        sock.close()
    served = [answer for answer in answers if answer.status == 200]
    throttled = [answer for answer in answers if answer.status == 429]
    assert len(served) + len(throttled) == 2_000
    assert served
    assert {answer.body for answer in served} == {b'"one of many"'}
    assert all(answer.code == "TooManyRequestsException" for answer in throttled)
    assert all(json.loads(answer.body)["Reason"] == "ConcurrentInvocationLimitExceeded" for answer in throttled)
    victim.assert_well()
