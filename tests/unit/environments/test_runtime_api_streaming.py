"""The HTTP Runtime API when a response is streamed: what goes on at once, what holds it up, how it breaks off."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosset.environments import runtime_api
from cosset.environments.response_stream import HIGH_BYTES, ResponseStream
from cosset.environments.transport import TransportClosedError
from support.runtime import NEXT, api, begin, run
from support.written import event_for


class Streamed:
    """One event whose response is being streamed."""

    def __init__(self, event, exchange, client, connect):
        self.event = event
        self.exchange = exchange
        self.client = client
        self.connect = connect
        self.chunks = aiter(event.stream)

    async def chunk(self, data):
        await self.client.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def end(self, trailers=""):
        await self.client.send(f"0\r\n{trailers}\r\n".encode())
        return (await self.client.answer())[0]


@asynccontextmanager
async def streaming(content_type="text/plain"):
    async with api() as (transport, connect), connect() as client:
        event = event_for(stream=ResponseStream())
        exchange, _ = await begin(transport, client, event)
        await client.send(
            f"POST /2018-06-01/runtime/invocation/{event.request_id}/response HTTP/1.1\r\nHost: x\r\n"
            f"Content-Type: {content_type}\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n"
            "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        await event.stream.begun.wait()
        yield Streamed(event, exchange, client, connect)
        event.stream.close()


def test_what_is_sent_can_be_read_at_once():
    async def body():
        async with streaming("application/vnd.x") as streamed:
            assert streamed.event.stream.content_type == "application/vnd.x"
            for data in (b"one", b"\0" * 8, b"two"):
                await streamed.chunk(data)
                assert await anext(streamed.chunks) == data
            assert not streamed.exchange.done()
            assert await streamed.end() == 202
            reply = await streamed.exchange
            assert (reply.payload, reply.error_type) == (b"", None)

    run(body)


def test_an_error_in_the_middle_comes_in_the_trailers():
    async def body():
        async with streaming() as streamed:
            await streamed.chunk(b"half")
            error = json.dumps({"errorType": "A", "errorMessage": "m"}).encode()
            trailers = (
                f"Lambda-Runtime-Function-Error-Type: A\r\n"
                f"Lambda-Runtime-Function-Error-Body: {base64.b64encode(error).decode()}\r\n"
            )
            assert await streamed.end(trailers) == 202
            reply = await streamed.exchange
            assert (reply.payload, reply.error_type) == (error, "A")
            assert await anext(streamed.chunks) == b"half"

    run(body)


def test_a_reader_that_is_slow_holds_the_function_up():
    async def body():
        async with streaming() as streamed:
            sent = 0

            async def send_much():
                nonlocal sent
                for _ in range(400):
                    await streamed.chunk(b"x" * 65_536)
                    sent += 65_536
                return await streamed.end()

            sending = asyncio.create_task(send_much())
            before = -1
            while sent > before:
                before = sent
                await asyncio.sleep(0.1)  # the kernel's buffers fill up, and nothing moves any more
            assert 0 < sent < 400 * 65_536
            assert streamed.event.stream._held_bytes < HIGH_BYTES + 512 * 1024
            read = 0
            async for chunk in streamed.chunks:
                read += len(chunk)
                if read == 400 * 65_536:
                    break
            assert await sending == 202

    run(body)


def test_nobody_reading_any_more_holds_nothing_up():
    async def body():
        async with streaming() as streamed:
            for _ in range(8):
                await streamed.chunk(b"x" * 65_536)
            streamed.event.stream.abandon()
            for _ in range(400):
                await streamed.chunk(b"x" * 65_536)
            assert await streamed.end() == 202
            assert [chunk async for chunk in streamed.chunks] == []

    run(body)


def test_a_stream_that_is_too_long_is_cut_off(monkeypatch):
    monkeypatch.setattr(runtime_api, "MAX_STREAM_BYTES", 100)

    async def body():
        async with streaming() as streamed:
            await streamed.chunk(b"x" * 60)
            await streamed.chunk(b"y" * 60)
            assert await streamed.end() == 413
            reply = await streamed.exchange
            assert reply.error_type == "Function.ResponseSizeTooLarge"
            assert b"exceeded maximum allowed payload size (100 bytes)" in reply.payload
            streamed.event.stream.close()
            assert [chunk async for chunk in streamed.chunks] == [b"x" * 60]

    run(body)


def test_a_runtime_that_hangs_up_in_the_middle_and_lives_on():
    async def body():
        async with streaming() as streamed:
            await streamed.chunk(b"half")
            streamed.client.writer.close()
            reply = await streamed.exchange
            assert reply.error_type == "Runtime.TruncatedResponse"

    run(body)


def test_the_end_of_the_environment_says_more_than_the_end_of_the_stream():
    async def body():
        async with api() as (transport, connect), connect() as client:
            event = event_for(stream=ResponseStream())
            exchange, _ = await begin(transport, client, event)
            path = f"/2018-06-01/runtime/invocation/{event.request_id}/response"
            head = "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"
            await client.send(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode())
            await event.stream.begun.wait()
            client.writer.close()
            transport.close()
            with pytest.raises(TransportClosedError) as closed:
                await exchange
            assert closed.value.delivered

    run(body)


def test_no_second_answer_and_no_next_event_while_a_response_streams():
    async def body():
        async with streaming() as streamed, streamed.connect() as other:
            request_id = streamed.event.request_id
            assert (await other.post(f"invocation/{request_id}/response"))[0] == 403
            again = "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
            assert (await other.post(f"invocation/{request_id}/response", b"{}", again))[0] == 403
            await other.send(NEXT)
            assert (await other.answer())[0] == 403
            assert (await other.post(f"invocation/{request_id}/error", b'{"errorType": "E"}'))[0] == 202
            assert (await streamed.exchange).error_type == "E"
            await streamed.chunk(b"late")
            assert await streamed.end() == 403  # that invocation has its answer

    run(body)


@pytest.mark.parametrize("stream", [None, ResponseStream])
def test_only_who_takes_streams_gets_one(stream):
    async def body():
        async with api() as (transport, connect), connect() as client:
            event = event_for(stream=stream and stream())
            exchange, _ = await begin(transport, client, event)
            mode = "" if stream else "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
            assert (await client.post(f"invocation/{event.request_id}/response", b"whole", mode))[0] == 202
            assert (await exchange).payload == b"whole"
            assert not event.is_streaming

    run(body)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=20), st.integers(1, 64))
def test_however_it_is_cut_all_of_it_arrives(pieces, step):
    async def body():
        async with streaming() as streamed:
            wire = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"
            for at in range(0, len(wire), step * 16):
                await streamed.client.send(wire[at : at + step * 16])
            assert (await streamed.client.answer())[0] == 202
            streamed.event.stream.close()
            assert b"".join([chunk async for chunk in streamed.chunks]) == b"".join(pieces)

    run(body)
