"""The HTTP Runtime API on a real socket: the protocol as AWS documents it, and what hostile code may send."""

import asyncio
import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosset.environments.http_connection import MAX_HEAD_BYTES
from cosset.environments.runtime_api import MAX_CONNECTIONS, MAX_REPLY_BYTES
from cosset.environments.transport import RuntimeInitError, TransportClosedError
from support.runtime import NEXT, api, begin, run
from support.written import event_for


def test_an_event_goes_out_with_awss_headers_and_the_answer_comes_back():
    async def body():
        async with api() as (transport, connect), connect() as client:
            event = event_for(b'{"a":1}', client_context='{"k": "ü\\n"}', cognito_identity='{"i":1}')
            exchange, (status, headers, payload) = await begin(transport, client, event)
            assert (status, payload) == (200, b'{"a":1}')
            assert headers == {
                "Lambda-Runtime-Aws-Request-Id": event.request_id,
                "Lambda-Runtime-Deadline-Ms": str(event.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": event.invoked_arn,
                "Lambda-Runtime-Trace-Id": event.trace_id,
                "Lambda-Runtime-Client-Context": '{"k":"\\u00fc\\n"}',
                "Lambda-Runtime-Cognito-Identity": '{"i":1}',
                "Content-Type": "application/json",
                "Content-Length": "7",
            }
            answered = await client.post(f"invocation/{event.request_id}/response", b"[1]", "Content-Type: text/x\r\n")
            assert answered == (202, {"status": "OK"})
            reply = await exchange
            assert (reply.payload, reply.content_type, reply.error_type) == (b"[1]", "text/x", None)

    run(body)


def test_a_client_context_cannot_make_headers():
    async def body():
        async with api() as (transport, connect), connect() as client:
            event = event_for(client_context="not json\r\nLambda-Runtime-Aws-Request-Id: forged")
            _, (_, headers, _) = await begin(transport, client, event)
            assert headers["Lambda-Runtime-Aws-Request-Id"] == event.request_id
            assert "\r\n" in json.loads(headers["Lambda-Runtime-Client-Context"])

    run(body)


def test_an_event_waits_for_the_runtime_to_ask():
    async def body():
        async with api() as (transport, connect), connect() as client:
            event, later = event_for(), event_for()
            exchange, _ = await begin(transport, client, event)
            await client.post(f"invocation/{event.request_id}/response")
            await exchange
            second = asyncio.ensure_future(transport.exchange(later))
            await asyncio.sleep(0)
            await client.send(NEXT)
            _, headers, _ = await client.answer()
            assert headers["Lambda-Runtime-Aws-Request-Id"] == later.request_id
            await client.post(f"invocation/{later.request_id}/response")
            await second

    run(body)


def test_an_error_comes_back_with_its_type():
    async def body():
        async with api() as (transport, connect), connect() as client:
            for body_, header, expected in (
                (b'{"errorType":"A"}', "Lambda-Runtime-Function-Error-Type: B\r\n", "B"),
                (b'{"errorType":"A"}', "", "A"),
                (b"not json", "", "Runtime.Unknown"),
                (b"[" * 100_000, "", "Runtime.Unknown"),
                (b'{"errorType":7}', "", "Runtime.Unknown"),
            ):
                event = event_for()
                exchange, _ = await begin(transport, client, event)
                assert (await client.post(f"invocation/{event.request_id}/error", body_, header))[0] == 202
                reply = await exchange
                assert (reply.error_type, reply.payload) == (expected, body_)

    run(body)


def test_wrong_ids_and_wrong_states_get_awss_errors():
    async def body():
        async with api() as (transport, connect), connect() as client, connect() as other:
            event = event_for()
            assert await client.post("invocation/nope/response") == (
                400,
                {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"},
            )
            exchange, _ = await begin(transport, client, event)
            assert (await client.post("invocation/nope/error"))[0] == 400
            assert (await client.post("init/error"))[1]["errorType"] == "InvalidStateTransition"
            await other.send(NEXT)
            status, _, answered = await other.answer()
            assert (status, json.loads(answered)["errorType"]) == (403, "InvalidStateTransition")
            await client.post(f"invocation/{event.request_id}/response")
            assert (await client.post(f"invocation/{event.request_id}/response"))[0] == 403
            await exchange
            assert await client.post(f"invocation/{event.request_id}/response") == (
                403,
                {
                    "errorMessage": "State transition from RuntimeResponseSentState to InvocationResponse failed for "
                    "runtime. Error: State transition is not allowed",
                    "errorType": "InvalidStateTransition",
                },
            )

    run(body)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/2020-01-01/extension/register", 404),
        ("/2018-06-01/runtime/restore/next", 501),
        ("/2018-06-01/runtime/invocation/next/", 404),
        ("/", 404),
    ],
)
def test_what_is_not_there_says_so(path, status):
    async def body():
        async with api() as (_, connect), connect() as client:
            await client.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            assert (await client.answer())[0] == status

    run(body)


def test_an_init_error_ends_init():
    async def body():
        async with api() as (transport, connect), connect() as client:
            header = "Lambda-Runtime-Function-Error-Type: Runtime.HandlerNotFound\r\n"
            assert (await client.post("init/error", b'{"errorMessage":"m"}', header))[0] == 202
            with pytest.raises(RuntimeInitError) as raised:
                await transport.ready()
            assert (raised.value.error_type, raised.value.payload) == (
                "Runtime.HandlerNotFound",
                b'{"errorMessage":"m"}',
            )
            await client.send(NEXT)
            assert (await client.answer())[0] == 403

    run(body)


def test_chunked_answers_and_errors_in_their_trailers():
    async def body():
        async with api() as (transport, connect), connect() as client:
            shown = base64.b64encode(b'{"errorType":"Late"}').decode()
            for trailers, payload, error_type in (
                ("", b"one two", None),
                (
                    f"Lambda-Runtime-Function-Error-Type: Late\r\nLambda-Runtime-Function-Error-Body: {shown}\r\n",
                    b'{"errorType":"Late"}',
                    "Late",
                ),
                ("Lambda-Runtime-Function-Error-Type: Late\r\n", b'{"errorType": "Late", "errorMessage": ""}', "Late"),
            ):
                event = event_for()
                exchange, _ = await begin(transport, client, event)
                head = (
                    f"POST /2018-06-01/runtime/invocation/{event.request_id}/response HTTP/1.1\r\nHost: x\r\n"
                    "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                await client.send(head.encode() + b"4\r\none \r\n")
                await client.send(b"3\r\ntwo\r\n0\r\n" + trailers.encode() + b"\r\n")
                assert (await client.answer())[0] == 202
                reply = await exchange
                assert (reply.payload, reply.error_type) == (payload, error_type)

    run(body)


def test_an_answer_that_is_too_large_is_counted_and_not_kept():
    async def body():
        async with api() as (transport, connect), connect() as client:
            event = event_for()
            exchange, _ = await begin(transport, client, event)
            size = MAX_REPLY_BYTES + 1
            status, answered = await client.post(f"invocation/{event.request_id}/response", b"x" * size)
            assert (status, answered["errorType"]) == (413, "RequestEntityTooLarge")
            reply = await exchange
            assert reply.error_type == "Function.ResponseSizeTooLarge"
            assert f"({MAX_REPLY_BYTES} bytes)" in json.loads(reply.payload)["errorMessage"]

    run(body)


OFFERS = [
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAE\r\n",
    "connection: keep-alive, UPGRADE\r\nUPGRADE: websocket\r\n",
    "Upgrade: h2c\r\n",
]


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("piece_bytes", [1, 70, 10_000])
def test_an_offer_to_upgrade_is_not_taken_and_costs_no_body(offer, piece_bytes):
    """The JDK's HttpClient offers h2c with every request."""

    async def body():
        async with api() as (transport, connect), connect() as client:
            event = event_for()
            exchange, _ = await begin(transport, client, event)
            path = f"/2018-06-01/runtime/invocation/{event.request_id}/response"
            data = f"POST {path} HTTP/1.1\r\nHost: x\r\n{offer}Content-Length: 3\r\n\r\n[1]".encode()
            data += f"GET /x HTTP/1.1\r\nHost: x\r\n{offer}\r\n".encode()
            for start in range(0, len(data), piece_bytes):
                await client.send(data[start : start + piece_bytes])
                await asyncio.sleep(0)
            assert (await client.answer())[0] == 202
            assert (await client.answer())[0] == 404
            assert (await exchange).payload == b"[1]"
            await client.send(NEXT)  # the connection serves on
            exchange = asyncio.ensure_future(transport.exchange(event_for()))
            assert (await client.answer())[0] == 200
            transport.close()
            with pytest.raises(TransportClosedError):
                await exchange

    run(body)


@pytest.mark.parametrize("behind", [NEXT, b""])
def test_a_response_is_accepted_though_more_comes_with_it_or_nothing_ever(behind):
    """Some send without waiting; some, as netcat, end their output first and then read."""

    async def body():
        async with api() as (transport, connect), connect() as client:
            event = event_for()
            exchange, _ = await begin(transport, client, event)
            path = f"/2018-06-01/runtime/invocation/{event.request_id}/response"
            await client.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n[1]".encode() + behind)
            if not behind:
                client.writer.write_eof()
            assert (await exchange).payload == b"[1]"
            assert (await client.answer())[0] == 202
            if not behind:
                assert await client.closed()
                return
            exchange = asyncio.ensure_future(transport.exchange(event_for()))
            assert (await client.answer())[0] == 200
            transport.close()
            with pytest.raises(TransportClosedError):
                await exchange

    run(body)


MALFORMED = [
    b"GARBAGE\r\n\r\n",
    b"\x00" * 100,
    b"CONNECT example.org:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
]


@pytest.mark.parametrize("data", MALFORMED)
def test_what_is_malformed_is_told_so_and_nothing_after_it_is_read(data):
    async def body():
        async with api() as (transport, connect):
            async with connect() as client:
                await client.send(data + NEXT)
                status, headers, _ = await client.answer()
                assert (status, headers["Connection"]) == (400, "close")
                assert await client.closed()
            async with connect() as waiting:
                await waiting.send(NEXT + data)  # it owes nobody an answer before that to the first
                assert await waiting.closed()
            async with connect() as other:
                await other.send(NEXT)
                await transport.ready()

    run(body)


def test_who_asks_for_a_head_gets_no_body():
    async def body():
        async with api() as (_, connect), connect() as client:
            await client.send(b"HEAD /x HTTP/1.1\r\nHost: x\r\n\r\nGET /x HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404")
            assert (await client.answer())[0] == 404

    run(body)


def test_who_writes_a_trace_header_writes_no_other():
    async def body():
        async with api() as (transport, connect), connect() as client:
            event = event_for(trace_id="Root=1-2-3\r\nLambda-Runtime-Cognito-Identity: {}")
            exchange, (status, headers, _) = await begin(transport, client, event)
            assert (status, [name for name in headers if "Trace" in name or "Cognito" in name]) == (200, [])
            await client.post(f"invocation/{event.request_id}/response")
            await exchange

    run(body)


def test_says_when_the_runtime_asks_for_its_next_event():
    async def body():
        async with api() as (transport, connect), connect() as client:
            event = event_for()
            exchange, _ = await begin(transport, client, event)
            await client.post(f"invocation/{event.request_id}/response")
            await exchange
            asked = []
            transport.when_asked(lambda: asked.append("later"))
            assert asked == []
            await client.send(NEXT)
            while not asked:
                await asyncio.sleep(0)
            transport.when_asked(lambda: asked.append("at once"))
            assert asked == ["later", "at once"]

    run(body)


def test_a_connection_that_is_to_be_closed_is_closed_after_an_answer_that_came_late():
    async def body():
        async with api() as (transport, connect), connect() as client:
            await client.send(NEXT.replace(b"Host: x", b"Host: x\r\nConnection: close"))
            await transport.ready()
            exchange = asyncio.ensure_future(transport.exchange(event_for()))
            _, headers, _ = await client.answer()
            assert headers["Connection"] == "close"
            assert await client.closed()
            exchange.cancel()

    run(body)


def test_expect_100_continue():
    async def body():
        async with api() as (_, connect), connect() as client:
            await client.send(
                b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                b"Content-Length: 2\r\n\r\n"
            )
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"{}")
            assert (await client.answer())[0] == 202

    run(body)


@pytest.mark.parametrize(
    "data",
    [
        b"GET " + b"/" * 5000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * (MAX_HEAD_BYTES + 100_000),
        b"".join(b"GET / HTTP/1.1\r\n" for _ in range(1)) + b"".join(b"X%d: y\r\n" % n for n in range(400_000)),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"e" * (MAX_HEAD_BYTES + 100_000),
        NEXT + NEXT,
    ],
)
def test_endless_requests_are_cut_off(data):
    async def body():
        async with api() as (transport, connect), connect() as client:
            try:
                await client.send(data)
                assert await client.closed()
            except (ConnectionResetError, BrokenPipeError):
                pass
            async with connect() as other:
                await other.send(NEXT)
                await transport.ready()

    run(body)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([NEXT, NEXT[:20], b"POST / HTTP/1.1\r\n", b"\r\n\r\n",
       b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"0\r\n\r\n"])), max_size=8))  # fmt: skip
def test_no_bytes_harm_the_next_connection(pieces):
    async def body():
        async with api() as (transport, connect):
            async with connect() as client:
                for piece in pieces:
                    client.writer.write(piece)
                    await asyncio.sleep(0)
            async with connect() as client:
                event = event_for()
                exchange = asyncio.ensure_future(transport.exchange(event))
                while not exchange.done():
                    await client.send(NEXT)
                    status, headers, _ = await client.answer()
                    assert status == 200
                    await client.post(f"invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/response")
                    await asyncio.sleep(0)

    run(body)


def test_a_runtime_that_left_gets_nothing_and_the_event_waits_for_the_next():
    async def body():
        async with api() as (transport, connect):
            async with connect() as client:
                await client.send(NEXT)
                await transport.ready()
            while transport._waiting:
                await asyncio.sleep(0)
            event = event_for()
            async with connect() as client:
                exchange, _ = await begin(transport, client, event)
                await client.post(f"invocation/{event.request_id}/response")
                await exchange

    run(body)


def test_closing_tells_whether_the_event_was_handed_over():
    async def body():
        for hand_over in (False, True):
            async with api() as (transport, connect), connect() as client:
                if hand_over:
                    exchange, _ = await begin(transport, client, event_for())
                else:
                    exchange = asyncio.ensure_future(transport.exchange(event_for()))
                    await asyncio.sleep(0)
                transport.close()
                transport.close()
                with pytest.raises(TransportClosedError) as raised:
                    await exchange
                assert raised.value.delivered is hand_over
                with pytest.raises(TransportClosedError):
                    await transport.exchange(event_for())

    run(body)


def test_connections_are_bounded():
    async def body():
        async with api() as (_, connect):
            clients = [await connect().__aenter__() for _ in range(MAX_CONNECTIONS)]
            async with connect() as one_too_many:
                assert await one_too_many.closed()
            for client in clients:
                client.writer.close()

    run(body)
