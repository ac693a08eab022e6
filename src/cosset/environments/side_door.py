"""The Runtime API's address where the runtime itself speaks in frames: for extensions, internal and external ones.

Costs a cold start one watched descriptor; everything else is made with the first connection. The runtime's own
operations are refused here as AWS refuses them in a wrong state: the events come another way. Read next: framed.py.
"""

import asyncio
import socket
from collections.abc import Callable

from cosset.environments.extensions.api import ExtensionsApi, error_answer, serves
from cosset.environments.http_connection import Answered, BodySink, HttpConnection, HttpRequest
from cosset.environments.runtime_api import MAX_CONNECTIONS, RUNTIME_PREFIX

_MAX_BODY_BYTES = 256 * 1024
_ACCEPTED_AT_ONCE = 16


class SideDoor:
    """Owner of the listening socket and of every connection made to it."""

    def __init__(self, listener: socket.socket, api: Callable[[], ExtensionsApi]) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._make_api = api
        self._api: ExtensionsApi | None = None
        self._connections: set[HttpConnection] = set()
        self._opening: set[asyncio.Task[object]] = set()
        listener.setblocking(False)
        self._loop.add_reader(listener.fileno(), self._on_connection)

    def close(self) -> None:
        """Idempotent."""
        if self._listener.fileno() < 0:
            return
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for connection in list(self._connections):
            connection.abort()

    def _on_connection(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, _address = self._listener.accept()
            except OSError:
                return
            if len(self._connections) + len(self._opening) >= MAX_CONNECTIONS:
                accepted.close()
                continue
            task: asyncio.Task[object] = self._loop.create_task(self._open(accepted), name="side door")
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(self._connection, accepted)
        except OSError:
            accepted.close()

    def _connection(self) -> HttpConnection:
        return HttpConnection(self, max_body_bytes=_MAX_BODY_BYTES)

    # What the connections call.

    def connected(self, connection: HttpConnection) -> bool:
        if self._listener.fileno() < 0:
            return False
        self._connections.add(connection)
        return True

    def disconnected(self, connection: HttpConnection) -> None:
        self._connections.discard(connection)
        if self._api is not None:
            self._api.disconnected(connection)

    def begins(self, connection: HttpConnection, request: HttpRequest) -> BodySink | None:
        return None

    def handle(self, connection: HttpConnection, request: HttpRequest) -> Answered | None:
        if request.too_large:
            return error_answer(413, "RequestEntityTooLarge", f"Exceeded maximum size ({_MAX_BODY_BYTES} bytes).")
        if serves(request.path):
            if self._api is None:
                self._api = self._make_api()
            return self._api.handle(connection, request)
        if request.path.startswith(RUNTIME_PREFIX):
            message = "The runtime of this environment gets its events another way"
            return error_answer(403, "InvalidStateTransition", message)
        return Answered(404, b"404 page not found\n", "text/plain")
