"""The door on the network: uvicorn around a Door, on sockets that are given, drained on stop.

Binds nothing and owns no signals: server.py does both. More listening sockets may come and go while it serves (one in
an environment's own network namespace). Next: limits.py, connection.py, streaming.py, door.py for the pipeline.
"""

import asyncio
import socket
import ssl
from functools import partial
from typing import Any, cast

import uvicorn

from cosset.gateway.connection import Connection
from cosset.gateway.door import Door
from cosset.gateway.inflow import Buffers
from cosset.gateway.limits import Limits, Quota
from cosset.gateway.streaming import application
from cosset.settings import Settings


class Front:
    """Serves a Door. `start`, then `close`; in between sockets may be added and removed.

    A connection that is over a limit is answered and closed (connection.Limits). `close` stops accepting, lets calls
    under way finish for at most `drain_s`, then cuts them off.
    """

    def __init__(self, door: Door, settings: Settings, limits: Limits | None = None) -> None:
        self._limits = limits or Limits(max_connections=settings.max_connections)
        self._connection = partial(Connection, answer=door.handle, limits=self._limits, buffers=Buffers())
        self._config = uvicorn.Config(
            app=cast(Any, partial(application, door)),
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
