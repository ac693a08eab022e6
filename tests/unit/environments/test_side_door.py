"""The address of the Runtime API beside a framed transport: what is served there, and what hostile code may send."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosset.clock import SystemClock
from cosset.environments.extensions.phases import ExtensionPhases
from cosset.environments.runtime_api import MAX_CONNECTIONS
from cosset.environments.side_door import SideDoor
from support.runtime import Client, run
from support.written import Lines, spec_for

REGISTER = "/2020-01-01/extension/register"
NEXT = b"GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: x\r\n"


@asynccontextmanager
async def door():
    phases = ExtensionPhases(spec_for("/nowhere"), Lines(), SystemClock())
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    opened = SideDoor(listener, phases.api)
    try:
        yield phases, lambda: Client(address)
    finally:
        opened.close()
        opened.close()
        await phases.close()


async def ask(client, method, path, body=b"", headers=""):
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    await client.send(head.encode() + body)
    status, fields, answered = await client.answer()
    return status, fields, answered


async def register(client, name="own"):
    body = b'{"events": ["INVOKE"]}'
    _, fields, _ = await ask(client, "POST", REGISTER, body, f"Lambda-Extension-Name: {name}\r\n")
    return f"Lambda-Extension-Identifier: {fields['Lambda-Extension-Identifier']}\r\n"


def test_what_is_refused_says_why_in_awss_words():
    async def body():
        async with door() as (_, connect), connect() as client:
            me = await register(client)
            for method, path, sent, headers, status, error_type in (
                ("POST", REGISTER, b"{}", "", 403, "Extension.InvalidExtensionName"),
                ("POST", REGISTER, b"[", "Lambda-Extension-Name: x\r\n", 400, "InvalidRequestFormat"),
                ("POST", REGISTER, b'{"events": 7}', "Lambda-Extension-Name: x\r\n", 400, "InvalidRequestFormat"),
                ("GET", "/2020-01-01/extension/event/next", b"", "", 403, "Extension.MissingExtensionIdentifier"),
                ("POST", "/2020-01-01/extension/exit/error", b"{}", me, 403, "Extension.MissingHeader"),
                ("PUT", "/2022-07-01/telemetry", b"{}", me, 400, "ValidationError"),
                ("PUT", "/2020-08-15/logs", b"{}", me, 400, "Logs.ValidationError"),
                ("GET", "/2018-06-01/runtime/invocation/next", b"", "", 403, "InvalidStateTransition"),
                ("POST", REGISTER, b"x" * 300_000, "", 413, "RequestEntityTooLarge"),
            ):
                answered = await ask(client, method, path, sent, headers)
                assert (answered[0], json.loads(answered[2])["errorType"]) == (status, error_type), path
            for method, path, status in (
                ("DELETE", REGISTER, 405),
                ("POST", "/2022-07-01/telemetry", 405),
                ("POST", "/2020-01-01/extension/nothing", 404),
                ("GET", "/", 404),
            ):
                assert (await ask(client, method, path))[0] == status

    run(body)


def test_a_next_waits_and_whoever_hangs_up_may_ask_again():
    async def body():
        async with door() as (phases, connect):
            async with connect() as client:
                me = await register(client)
                await client.send(NEXT + me.encode() + b"\r\n")
                while phases.registry.find(me.split(": ")[1].strip()).waiting is None:
                    await asyncio.sleep(0)
            while phases.registry.find(me.split(": ")[1].strip()).waiting is not None:
                await asyncio.sleep(0)
            async with connect() as client:
                await client.send(NEXT + me.encode() + b"\r\n")
                while phases.registry.find(me.split(": ")[1].strip()).waiting is None:
                    await asyncio.sleep(0)

    run(body)


def test_connections_are_bounded():
    async def body():
        async with door() as (_, connect):
            clients = [await connect().__aenter__() for _ in range(MAX_CONNECTIONS)]
            for client in clients:
                await ask(client, "GET", "/")
            async with connect() as one_too_many:
                assert await one_too_many.closed()
            for client in clients:
                client.writer.close()

    run(body)


PIECES = [NEXT, b"\r\n", b"POST /2020-01-01/extension/register HTTP/1.1\r\n", b"Lambda-Extension-Name: a\r\n",
          b"Content-Length: 22\r\n", b'{"events": ["INVOKE"]}', b"PUT /2022-07-01/telemetry HTTP/1.1\r\n", b"\r\n\r\n",
          b"Lambda-Extension-Identifier: \xff\r\n"]  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(PIECES)), max_size=8))
def test_no_bytes_harm_the_next_connection(pieces):
    async def body():
        async with door() as (_, connect):
            async with connect() as client:
                for piece in pieces:
                    client.writer.write(piece)
                    await asyncio.sleep(0)
            async with connect() as client:
                assert (await ask(client, "GET", "/"))[0] == 404

    run(body)


@pytest.mark.parametrize("body", [b'{"events": []}', b"{}", b""])
def test_an_extension_may_want_no_events(body):
    async def scenario():
        async with door() as (_, connect), connect() as client:
            headers = "Lambda-Extension-Name: own\r\nLambda-Extension-Accept-Feature: other, accountId\r\n"
            status, _, answered = await ask(client, "POST", REGISTER, body, headers)
            assert (status, json.loads(answered)["accountId"]) == (200, "000000000000")

    run(scenario)
