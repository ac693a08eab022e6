"""The framed transport against a runtime that keeps the protocol, and against ones that do not."""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable

import pytest

from cosset.environments.api import Event
from cosset.environments.framed import FramedTransport
from cosset.environments.runtime_api import MAX_REPLY_BYTES
from cosset.environments.transport import Reply, RuntimeInitError, TransportClosedError

LENGTHS = struct.Struct(">cII")
EVENT = Event(
    request_id="r1", payload=b'{"a": 1}', deadline_ms=123, invoked_arn="arn:x", client_context='{"custom": 1}'
)


class Runtime:
    """The other end, in the hands of the test."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._reader = sock.makefile("rb")

    def send(self, kind: bytes, head: object, body: bytes = b"") -> None:
        text = json.dumps(head).encode()
        self._socket.sendall(LENGTHS.pack(kind, len(text), len(body)) + text + body)

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self) -> tuple[bytes, dict[str, object], bytes]:
        kind, head_bytes, body_bytes = LENGTHS.unpack(self._reader.read(LENGTHS.size))
        return kind, json.loads(self._reader.read(head_bytes)), self._reader.read(body_bytes)

    def close(self) -> None:
        self._reader.close()
        self._socket.close()


def with_runtime(scenario: Callable[[FramedTransport], Awaitable[None]], act: Callable[[Runtime], None]) -> None:
    """Runs the scenario on one end while `act` plays the runtime in a thread at the other."""
    ours, theirs = socket.socketpair()
    runtime = Runtime(theirs)
    thread = threading.Thread(target=act, args=(runtime,))

    async def run() -> None:
        transport = await FramedTransport.connect(ours)
        thread.start()
        try:
            await asyncio.wait_for(scenario(transport), 60)
        finally:
            transport.close()
            await asyncio.sleep(0)
            await asyncio.to_thread(thread.join)

    try:
        asyncio.run(run())
    finally:
        runtime.close()


def test_hands_events_over_and_replies_back() -> None:
    seen = []

    def act(runtime: Runtime) -> None:
        runtime.send(b"N", {})
        seen.append(runtime.read())
        runtime.send(b"R", {"request_id": "r1", "content_type": "application/json"}, b'"yes"')
        runtime.read()
        runtime.send(b"F", {"request_id": "r1"}, b'{"errorType": "KeyError", "errorMessage": "x"}')

    async def scenario(transport: FramedTransport) -> None:
        await transport.ready()
        assert await transport.exchange(EVENT) == Reply(b'"yes"')
        failed = await transport.exchange(EVENT)
        assert (failed.error_type, json.loads(failed.payload)["errorMessage"]) == ("KeyError", "x")

    with_runtime(scenario, act)
    kind, head, body = seen[0]
    assert (kind, body) == (b"E", b'{"a": 1}')
    assert head == {
        "request_id": "r1",
        "arn": "arn:x",
        "deadline_ms": 123,
        "content_type": "application/json",
        "client_context": '{"custom": 1}',
    }


def test_takes_a_reply_in_pieces() -> None:
    def act(runtime: Runtime) -> None:
        head = b'{"request_id": "r1"}'
        frame = LENGTHS.pack(b"N", 2, 0) + b"{}" + LENGTHS.pack(b"R", len(head), 3) + head + b"abc"
        runtime.send_raw(frame[:11])
        runtime.read()
        for byte in frame[11:]:
            runtime.send_raw(bytes([byte]))

    async def scenario(transport: FramedTransport) -> None:
        await transport.ready()
        assert (await transport.exchange(EVENT)).payload == b"abc"

    with_runtime(scenario, act)


def test_tells_an_init_error() -> None:
    def act(runtime: Runtime) -> None:
        runtime.send(b"I", {"error_type": "Runtime.ImportModuleError"}, b'{"errorMessage": "x"}')

    async def scenario(transport: FramedTransport) -> None:
        with pytest.raises(RuntimeInitError) as caught:
            await transport.ready()
        assert (caught.value.error_type, caught.value.payload) == (
            "Runtime.ImportModuleError",
            b'{"errorMessage": "x"}',
        )

    with_runtime(scenario, act)


def test_an_oversize_reply_becomes_awss_error_and_the_connection_lives() -> None:
    def act(runtime: Runtime) -> None:
        runtime.send(b"N", {})
        runtime.read()
        runtime.send(b"R", {"request_id": "r1"}, bytes(MAX_REPLY_BYTES + 1))
        runtime.read()
        runtime.send(b"R", {"request_id": "r1"}, bytes(MAX_REPLY_BYTES))

    async def scenario(transport: FramedTransport) -> None:
        await transport.ready()
        reply = await transport.exchange(EVENT)
        assert reply.error_type == "Function.ResponseSizeTooLarge"
        assert f"({MAX_REPLY_BYTES} bytes)" in json.loads(reply.payload)["errorMessage"]
        assert len((await transport.exchange(EVENT)).payload) == MAX_REPLY_BYTES

    with_runtime(scenario, act)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        LENGTHS.pack(b"R", 5000, 0),
        LENGTHS.pack(b"R", 0xFFFFFFFF, 0xFFFFFFFF),
        LENGTHS.pack(b"R", 2, 0) + b"[]",
        LENGTHS.pack(b"R", 2, 0) + b"\xff\xff",
        LENGTHS.pack(b"R", 2, 0) + b"{}",
        LENGTHS.pack(b"R", 21, 0) + b'{"request_id": "old"}',
        LENGTHS.pack(b"N", 2, 0) + b"{}",
        LENGTHS.pack(b"I", 2, 0) + b"{}",
        LENGTHS.pack(b"E", 20, 0) + b'{"request_id": "r1"}',
        LENGTHS.pack(b"R", 4000, 0) + b"[" * 4000,
    ],
)
def test_lets_go_of_whoever_breaks_the_protocol(data: bytes) -> None:
    def act(runtime: Runtime) -> None:
        runtime.send(b"N", {})
        runtime.read()
        runtime.send_raw(data)

    async def scenario(transport: FramedTransport) -> None:
        await transport.ready()
        with pytest.raises(TransportClosedError) as caught:
            await transport.exchange(EVENT)
        assert caught.value.delivered
        with pytest.raises(TransportClosedError) as again:
            await transport.exchange(EVENT)
        assert not again.value.delivered

    with_runtime(scenario, act)


def test_says_when_the_runtime_ended_before_it_was_ready() -> None:
    async def scenario(transport: FramedTransport) -> None:
        with pytest.raises(TransportClosedError) as caught:
            await transport.ready()
        assert not caught.value.delivered

    with_runtime(scenario, Runtime.close)


@pytest.mark.parametrize("content_type", [None, 5, "", "text/plain"])
def test_takes_only_a_text_as_content_type(content_type: object) -> None:
    def act(runtime: Runtime) -> None:
        runtime.send(b"N", {})
        runtime.read()
        runtime.send(b"R", {"request_id": "r1", "content_type": content_type}, b"x")

    async def scenario(transport: FramedTransport) -> None:
        await transport.ready()
        expected = "text/plain" if content_type == "text/plain" else "application/json"
        assert (await transport.exchange(EVENT)).content_type == expected

    with_runtime(scenario, act)
