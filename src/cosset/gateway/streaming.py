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
from cosset.gateway.outflow import FileSender, NotSendableError, can_send
from cosset.wire.file_bodies import FileBody
from cosset.wire.message import BodyBrokenError, Headers, Request, Response

GONE = "cosset.gone"
"""Key in the state of an ASGI scope: an asyncio.Event, set when the client has left."""

CONNECTION = "cosset.connection"
"""Key in the same: the connection."""

_LET_GO_BYTES = 1 << 27
"""A client that is still sending reads no answer: what is left of its body is read and thrown away."""
_LET_GO_S = 2.0


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
    sender = FileSender(cycle.transport, cycle.flow, gone, connection.limits.stall_s)
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
            await asyncio.sleep(0)  # a client as fast as this would keep others waiting
    finally:
        sender.close()


async def application(door: Door, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    assert scope["type"] == "http"
    state = cast(Any, scope)["state"]
    connection, gone = state.pop(CONNECTION), state[GONE]
    request = await _read_request(cast(Any, scope), receive)
    try:
        response = await door.handle(request, gone)
        if isinstance(request.body, _Body) and not await request.body.let_go("expect" in request.headers):
            response.headers.append(("connection", "close"))
    except ClientGoneError:
        return
    await _send_response(response, cast(Any, send).__self__, connection, gone)


async def _read_request(scope: dict[str, Any], receive: ASGIReceiveCallable) -> Request:
    """A body that is there already is given as bytes, any other as an iterator: the door decides what to hold."""
    headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
    return Request(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=await _first_body(headers, receive),
        scheme=scope["scheme"],
        host=headers.get("host") or "localhost",
        peer=scope["client"][0] if scope.get("client") else "",
    )


async def _first_body(headers: Headers, receive: ASGIReceiveCallable) -> bytes | AsyncIterator[bytes]:
    length = headers.get("content-length")
    if "transfer-encoding" not in headers and length in (None, "0"):
        return b""
    return _Body(receive)


class _Body:
    """The body as it comes. uvicorn stops reading from the client while 64 KB wait here: back-pressure.

    What an answer that came early left unread must not be taken for the next request on the connection.
    """

    def __init__(self, receive: ASGIReceiveCallable) -> None:
        self._receive = receive
        self._has_begun = False
        self._has_ended = False

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        """Raises ClientGoneError: the client left in the middle."""
        while not self._has_ended:
            self._has_begun = True
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            self._has_ended = not message["more_body"]
            if message["body"]:
                return message["body"]
        raise StopAsyncIteration

    async def let_go(self, expects_word: bool) -> bool:
        """Reads on to the end, if that is near; whether the connection may be used again.

        `expects_word`: the client waits to be told before it sends the body, and will not send it after an answer.
        """
        if self._has_ended:
            return True
        if expects_word and not self._has_begun:
            return False
        read = 0
        try:
            async with asyncio.timeout(_LET_GO_S):
                async for piece in self:
                    read += len(piece)
                    if read > _LET_GO_BYTES:
                        return False
        except TimeoutError:
            return False
        return True
