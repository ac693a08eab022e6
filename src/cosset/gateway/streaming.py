"""Bodies that stream, in and out: what is too large, or too slow, to be an Exchange.

A request goes through ASGI as uvicorn's connection gives it, an answer through uvicorn's cycle, which waits while the
client is slow to read. Next: connection.py, which decides what streams.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from cosset.gateway.body import ClientGoneError
from cosset.gateway.door import Door
from cosset.gateway.exchange import Exchange, encode_headers
from cosset.gateway.inflow import Inflow
from cosset.gateway.outflow import FileSender, NotSendableError, can_send
from cosset.wire.file_bodies import FileBody
from cosset.wire.message import Body, BodyBrokenError, Headers, Request, Response

GONE = "cosset.gone"
"""Key in the state of an ASGI scope: an asyncio.Event, set when the client has left."""

CONNECTION = "cosset.connection"
"""Key in the same: the connection."""


async def stream(connection: Any, exchange: Exchange, response: Response) -> None:
    """An answer that streams to a request that came whole: written by uvicorn's cycle, which takes the exchange's place
    in the connection."""
    cycle = RequestResponseCycle(
        scope=cast(Any, {"method": exchange.method.decode(), "state": {GONE: exchange.gone}}),
        transport=connection.transport,
        flow=connection.flow,
        logger=connection.logger,
        access_logger=connection.access_logger,
        access_log=False,
        default_headers=connection.server_state.default_headers,
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=exchange.keep_alive,
        on_response=connection.on_response_complete,
    )
    connection.running = cycle
    if connection.cycle is exchange:
        connection.cycle = cycle
    cycle.disconnected = exchange.disconnected
    await _send_response(response, cycle, connection, exchange.gone)
    if not cycle.response_complete and not cycle.disconnected:
        connection.transport.close()  # the body broke off


async def _send_response(response: Response, cycle: RequestResponseCycle, connection: Any, gone: asyncio.Event) -> None:
    """Waits while the client is slow to read. Ends a body whose reader has left; one that breaks off is left without
    its end, for which the connection is closed."""
    body = response.body
    start: Any = {"type": "http.response.start", "status": response.status, "headers": encode_headers(response)}
    if isinstance(body, bytes):
        await cycle.send(start)
        await cycle.send({"type": "http.response.body", "body": body, "more_body": False})
        return
    try:
        await cycle.send(start)
        if cycle.scope["method"] != "HEAD":
            if isinstance(body, FileBody) and cycle.chunked_encoding is False and can_send(cycle.transport):
                await _send_files(body, cycle, connection, gone)
            await _send_chunks(body, cycle, gone)
        await cycle.send({"type": "http.response.body", "body": b"", "more_body": False})
    except BodyBrokenError:
        return
    finally:
        if isinstance(body, AsyncGenerator):
            await body.aclose()


async def _send_chunks(body: AsyncIterator[bytes], cycle: RequestResponseCycle, gone: asyncio.Event) -> None:
    async for chunk in body:
        if gone.is_set():
            return
        if chunk:
            await cycle.send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _send_files(body: FileBody, cycle: RequestResponseCycle, connection: Any, gone: asyncio.Event) -> None:
    """What cannot be sent so is left in the body. Raises BodyBrokenError."""
    try:
        sender = FileSender(cycle.transport, cycle.flow, gone, connection.limits.stall_s)
    except OSError:
        return  # no descriptor is left for it
    try:
        await sender.begin()
        while not gone.is_set() and (piece := await body.next_piece()) is not None:
            if piece.length > cycle.expected_content_length:
                raise BodyBrokenError("The body is longer than it was said to be")
            try:
                await sender.send(piece)
            except NotSendableError:
                await cycle.send({"type": "http.response.body", "body": body.read_piece(piece), "more_body": True})
                return
            cycle.expected_content_length -= piece.length
            if cycle.expected_content_length:
                await asyncio.sleep(0)  # a client as fast as this would keep others waiting
    finally:
        sender.close()


async def application(door: Door, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """The ASGI application, for uvicorn's own cycles only: it knows whose `send` it has."""
    assert scope["type"] == "http"
    cycle = cast(Any, send).__self__
    assert isinstance(cycle, RequestResponseCycle)
    state = cast(Any, scope)["state"]
    connection, gone = state.pop(CONNECTION), state[GONE]
    headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
    inflow = _inflow(headers, cycle, connection)
    try:
        response = await door.handle(_request(cast(Any, scope), headers, inflow or b""), gone)
        if inflow is not None and not await inflow.let_go("expect" in headers):
            response.headers.append(("connection", "close"))
    except ClientGoneError:
        return
    finally:
        if inflow is not None:
            inflow.close()
    await _send_response(response, cycle, connection, gone)


def _inflow(headers: Headers, cycle: RequestResponseCycle, connection: Any) -> Inflow | None:
    length = headers.get("content-length")
    if "transfer-encoding" in headers:
        return Inflow(cycle, connection, None)
    return None if length in (None, "0") else Inflow(cycle, connection, int(length))


def _request(scope: dict[str, Any], headers: Headers, body: Body) -> Request:
    """A body that streams is given as an iterator: the door decides what to hold."""
    return Request(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        scheme=scope["scheme"],
        host=headers.get("host") or "localhost",
        peer=scope["client"][0] if scope.get("client") else "",
    )
