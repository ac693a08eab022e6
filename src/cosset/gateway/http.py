"""The door on the network: uvicorn around a Door, on sockets that are given, drained on stop.

Binds nothing and owns no signals: server.py does both. More listening sockets may come and go while it serves (one in
an environment's own network namespace). Next: limits.py, connection.py, door.py for the pipeline.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, cast

import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from cosset.gateway.body import ClientGoneError
from cosset.gateway.connection import GONE, Connection, send_response
from cosset.gateway.door import Door
from cosset.gateway.limits import Limits, Quota
from cosset.settings import Settings
from cosset.wire.message import Headers, Request

_log = logging.getLogger(__name__)

_LET_GO_BYTES = 1 << 27
"""A client that is still sending reads no answer: what is left of its body is read and thrown away."""
_LET_GO_S = 2.0


class Front:
    """Serves a Door. `start`, then `close`; in between sockets may be added and removed.

    A connection that is over a limit is answered and closed (connection.Limits). `close` stops accepting, lets calls
    under way finish for at most `drain_s`, then cuts them off.
    """

    def __init__(self, door: Door, settings: Settings, limits: Limits | None = None) -> None:
        self._limits = limits or Limits(max_connections=settings.max_connections)
        self._connection = partial(Connection, answer=door.handle, limits=self._limits)
        self._config = uvicorn.Config(
            app=cast(Any, partial(_application, door)),
            http=cast(Any, partial(self._connection, quota=Quota(self._limits.max_connections))),
            loop="none",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=2048,
            timeout_graceful_shutdown=settings.drain_s,
        )
        self._server = uvicorn.Server(self._config)
        self._added: dict[socket.socket, asyncio.Server] = {}
        self._ticks: asyncio.Task[None] | None = None

    async def start(self, sockets: list[socket.socket]) -> None:
        """Returns when every socket accepts. The sockets are bound already; they are the Front's from here on."""
        self._config.load()
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup(sockets=sockets)
        await self._server.on_tick(0)
        self._ticks = asyncio.create_task(self._tick(), name="front-ticks")

    async def _tick(self) -> None:
        """Keeps the Date header. In place of uvicorn's main loop, which wakes ten times as often."""
        while True:
            await asyncio.sleep(1)
            await self._server.on_tick(0)

    async def add_listener(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serves one more socket, bound and perhaps listening already. Its connections have a quota of their own.
        `tls`: they speak HTTPS.

        Raises:
            RuntimeError: the Front is closed.
        """
        if self._ticks is None:
            raise RuntimeError("The front is closed")
        make = partial(
            self._connection,
            config=self._config,
            server_state=self._server.server_state,
            app_state=self._server.lifespan.state,
            quota=Quota(self._limits.max_inner_connections),
        )
        patience_s = None if tls is None else self._limits.head_s
        loop = asyncio.get_running_loop()
        server = await loop.create_server(make, sock=sock, backlog=128, ssl=tls, ssl_handshake_timeout=patience_s)
        if self._ticks is None:
            server.close()
        else:
            self._added[sock] = server

    async def remove_listener(self, sock: socket.socket) -> None:
        """Stops accepting on the socket and closes it. Calls that came in through it go on. Idempotent."""
        server = self._added.pop(sock, None)
        if server is not None:
            server.close()

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)

    async def close(self) -> None:
        """Drains and stops. Idempotent; when it returns no connection and no call is left."""
        if self._ticks is None:
            return
        for server in self._added.values():
            server.close()
        self._added.clear()
        self._ticks.cancel()
        self._ticks = None
        await self._server.shutdown()
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        if self._server.server_state.tasks:
            await asyncio.wait(self._server.server_state.tasks, timeout=1)


async def _application(door: Door, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    assert scope["type"] == "http"
    gone: asyncio.Event = cast(Any, scope)["state"][GONE]
    request = await _read_request(cast(Any, scope), receive)
    try:
        response = await door.handle(request, gone)
        if isinstance(request.body, _Body) and not await request.body.let_go("expect" in request.headers):
            response.headers.append(("connection", "close"))
    except ClientGoneError:
        return
    await send_response(response, send, gone)


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
