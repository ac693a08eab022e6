"""AWS's HTTP Runtime API (2018-06-01) for one environment, on one listening socket: the socket is its identity.

Everything happens in callbacks of the event loop, without a task a request. The listening socket may have been made
inside a jail's own network namespace. What extensions ask for goes to extensions/api.py. Read next: environment.py.
Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import asyncio
import base64
import binascii
import json
import re
import socket
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from cosset.environments.api import Event
from cosset.environments.extensions.api import ExtensionsApi, error_answer, serves
from cosset.environments.http_connection import Answered, BodySink, HttpConnection, HttpRequest, Room
from cosset.environments.response_stream import MAX_STREAM_BYTES
from cosset.environments.transport import TRUNCATED, Reply, RuntimeInitError, TransportClosedError, oversized

MAX_REPLY_BYTES = 6 * 1024 * 1024 + 100
MAX_CONNECTIONS = 64
_MAX_BESIDE_BYTES = 2 * 1024 * 1024
"""Of bodies that come while a reply of the longest kind does."""
_MAX_WAITING = 16
_TRUNCATION_GRACE_S = 1.0
"""A stream that breaks off is mostly the end of the process, which says more: how long that has to be noticed."""
_MAX_ERROR_TYPE = 256
RUNTIME_PREFIX = "/2018-06-01/runtime/"
_INVOCATION = re.compile(r"invocation/([^/]+)/(response|error)")
_ACCEPTED = Answered(202, b'{"status":"OK"}\n')
_RESPONSE_MODE = "lambda-runtime-function-response-mode"
_STREAMING_TRAILER_TYPE = "lambda-runtime-function-error-type"
_STREAMING_TRAILER_BODY = "lambda-runtime-function-error-body"


class _Delivery(NamedTuple):
    event: Event
    reply: asyncio.Future[Reply]


class HttpTransport:
    """Transport over the HTTP Runtime API. Owns the listening socket and every connection made to it."""

    def __init__(self, make_extensions: Callable[[], ExtensionsApi] | None = None) -> None:
        self._make_extensions = make_extensions
        self._extensions: ExtensionsApi | None = None
        self._on_asked: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._delivery: _Delivery | None = None
        self._delivered = False
        self._answered_id = ""
        """Of the last event that has its reply."""
        self._waiting: deque[HttpConnection] = deque()
        self._connections: set[HttpConnection] = set()
        self._server: asyncio.Server | None = None
        self._closed = False
        self._room = Room(MAX_REPLY_BYTES + _MAX_BESIDE_BYTES)
        self._streaming: HttpConnection | None = None
        """The connection over which the response under way streams."""

    @classmethod
    async def serve(
        cls, listener: socket.socket, make_extensions: Callable[[], ExtensionsApi] | None = None
    ) -> "HttpTransport":
        """Takes over a bound, listening socket. `make_extensions`: who answers what is not the runtime's."""
        transport = cls(make_extensions)
        listener.setblocking(False)
        transport._server = await transport._loop.create_server(transport._connection, sock=listener)
        return transport

    async def ready(self) -> None:
        await asyncio.shield(self._ready)

    def exchange(self, event: Event) -> asyncio.Future[Reply]:
        if self._closed:
            raise TransportClosedError("the Runtime API is closed", delivered=False)
        assert self._delivery is None, "one event at a time"
        reply: asyncio.Future[Reply] = self._loop.create_future()
        self._delivery = _Delivery(event, reply)
        self._delivered = False
        self._streaming = None
        self._deliver()
        return reply

    def when_asked(self, callback: Callable[[], None]) -> None:
        if self._waiting:
            callback()
        else:
            self._on_asked = callback

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()
        self._waiting.clear()
        if not self._ready.done():
            self._ready.set_exception(TransportClosedError("the runtime did not ask for an event", delivered=False))
            self._ready.exception()
        if self._delivery is not None and not self._delivery.reply.done():
            self._delivery.reply.set_exception(
                TransportClosedError("the runtime ended before it answered", delivered=self._delivered)
            )

    # What the connections call.

    def connected(self, connection: HttpConnection) -> bool:
        """False: too many connections, or the environment is ending."""
        if self._closed or len(self._connections) >= MAX_CONNECTIONS:
            return False
        self._connections.add(connection)
        return True

    def disconnected(self, connection: HttpConnection) -> None:
        self._connections.discard(connection)
        if connection in self._waiting:
            self._waiting.remove(connection)
        if self._extensions is not None:
            self._extensions.disconnected(connection)
        if connection is self._streaming and self._delivery is not None:
            self._loop.call_later(_TRUNCATION_GRACE_S, self._truncated, self._delivery)

    def begins(self, connection: HttpConnection, request: HttpRequest) -> BodySink | None:
        """A body that streams, where the caller takes streams; every other is collected."""
        delivery = self._delivery
        stream = None if delivery is None else delivery.event.stream
        if delivery is None or stream is None or request.method != "POST" or self._streaming is not None:
            return None
        match = _INVOCATION.fullmatch(request.path.removeprefix(RUNTIME_PREFIX))
        if match is None or match[2] != "response" or match[1] != delivery.event.request_id:
            return None
        if not self._delivered:
            return None
        if request.headers.get(_RESPONSE_MODE, "").lower() != "streaming":
            return None
        self._streaming = connection
        content_type = request.headers.get("content-type", stream.content_type)
        stream.begin(content_type, pause=connection.pause, resume=connection.resume)
        return BodySink(stream.feed, MAX_STREAM_BYTES)

    def handle(self, connection: HttpConnection, request: HttpRequest) -> Answered | None:
        """The answer, or None when it comes later (`next`)."""
        if not request.path.startswith(RUNTIME_PREFIX):
            return self._beside_the_runtime(connection, request)
        path = request.path[len(RUNTIME_PREFIX) :]
        if path == "invocation/next":
            return self._next(connection) if request.method == "GET" else _METHOD_NOT_ALLOWED
        if path == "init/error":
            return self._init_error(request) if request.method == "POST" else _METHOD_NOT_ALLOWED
        match = _INVOCATION.fullmatch(path)
        if match is None:
            return _unknown_path(request.path)
        if request.method != "POST":
            return _METHOD_NOT_ALLOWED
        return self._invocation_ended(connection, match[1], match[2], request)

    def _beside_the_runtime(self, connection: HttpConnection, request: HttpRequest) -> Answered | None:
        if self._make_extensions is None or not serves(request.path):
            return _unknown_path(request.path)
        if self._extensions is None:
            self._extensions = self._make_extensions()
        return self._extensions.handle(connection, request)

    # The operations.

    def _next(self, connection: HttpConnection) -> Answered | None:
        if self._ready.done() and self._ready.exception() is not None:
            return _state_error("Runtime reported an init error")
        if self._delivered and self._delivery is not None:
            return _state_error("The invocation under way has no response yet")
        if len(self._waiting) >= _MAX_WAITING:
            return _state_error("Too many requests for the next invocation")
        self._waiting.append(connection)
        if not self._ready.done():
            self._ready.set_result(None)
        self._deliver()
        asked, self._on_asked = self._on_asked, None
        if asked is not None and self._waiting:
            asked()
        return None

    def _deliver(self) -> None:
        if self._delivery is None or self._delivered:
            return
        while self._waiting:
            connection = self._waiting.popleft()
            if connection.answer(_event_answer(self._delivery.event)):
                self._delivered = True
                return

    def _init_error(self, request: HttpRequest) -> Answered:
        if self._ready.done():
            return _state_error("Runtime is initialized already")
        if request.too_large:
            return _too_large()
        error_type = _error_type(request)
        self._ready.set_exception(RuntimeInitError(error_type, request.body))
        self._ready.exception()  # ready() may not be waiting; the environment learns of it all the same
        return _ACCEPTED

    def _invocation_ended(
        self, connection: HttpConnection, request_id: str, kind: str, request: HttpRequest
    ) -> Answered:
        delivery = self._delivery
        if delivery is None and request_id == self._answered_id:
            return _second_answer(kind)
        if delivery is None or not self._delivered or request_id != delivery.event.request_id:
            return error_answer(400, "InvalidRequestID", "Invalid request ID")
        if kind == "response" and self._streaming not in (None, connection):
            return _state_error("The invocation has a response under way")
        if request.too_large:
            limit_bytes = MAX_STREAM_BYTES if request.streamed else MAX_REPLY_BYTES
            self._end(delivery, oversized(limit_bytes))
            return _too_large(limit_bytes)
        if kind == "error":
            self._end(delivery, Reply(request.body, error_type=_error_type(request)))
        else:
            self._end(delivery, _success(request))
        return _ACCEPTED  # at once: the runtime then asks for its next event while this one's caller is answered

    def _end(self, delivery: _Delivery, reply: Reply) -> None:
        """An idle environment keeps neither the event nor the reply."""
        self._delivery, self._streaming = None, None
        self._answered_id = delivery.event.request_id
        if not delivery.reply.done():  # who waited for it may have given up
            delivery.reply.set_result(reply)

    def _truncated(self, delivery: _Delivery) -> None:
        """The runtime hung up in the middle of a stream, and lives on."""
        if self._delivery is delivery:
            body = {"errorType": TRUNCATED, "errorMessage": "The response stream ended before it was complete"}
            self._end(delivery, Reply(json.dumps(body).encode(), error_type=TRUNCATED))

    def _connection(self) -> HttpConnection:
        return HttpConnection(self, max_body_bytes=MAX_REPLY_BYTES, room=self._room)


def _event_answer(event: Event) -> Answered:
    headers = (
        f"Lambda-Runtime-Aws-Request-Id: {event.request_id}\r\nLambda-Runtime-Deadline-Ms: {event.deadline_ms}\r\n"
        f"Lambda-Runtime-Invoked-Function-Arn: {event.invoked_arn}\r\n"
    )
    if event.trace_id and event.trace_id.isprintable():  # whoever wrote it into a message is not to write headers
        headers += f"Lambda-Runtime-Trace-Id: {event.trace_id}\r\n"
    if event.client_context is not None:
        headers += f"Lambda-Runtime-Client-Context: {_json_header(event.client_context)}\r\n"
    if event.cognito_identity is not None:
        headers += f"Lambda-Runtime-Cognito-Identity: {_json_header(event.cognito_identity)}\r\n"
    return Answered(200, event.payload, event.content_type, headers)


def _json_header(text: str) -> str:
    """JSON on one line of ASCII. The caller chose this text: a line feed in it must not become a header."""
    if text.isascii() and text.isprintable():
        return text
    try:
        return json.dumps(json.loads(text), separators=(",", ":"))
    except (ValueError, RecursionError):
        return json.dumps(text)


def _success(request: HttpRequest) -> Reply:
    """A streamed reply can fail after it has begun: then its error comes in the trailers."""
    content_type = request.header(b"content-type", "application/json")
    failed = request.trailers.get(_STREAMING_TRAILER_TYPE)
    if failed is None:
        return Reply(request.body, content_type)
    try:
        payload = base64.b64decode(request.trailers.get(_STREAMING_TRAILER_BODY, ""), validate=True)
    except binascii.Error:
        payload = b""
    payload = payload or json.dumps({"errorType": failed, "errorMessage": ""}).encode()
    return Reply(payload, error_type=failed[:_MAX_ERROR_TYPE])


def _error_type(request: HttpRequest) -> str:
    """From the header, as documented; runtimes that leave it out say it in the body."""
    if header := request.headers.get("lambda-runtime-function-error-type"):
        return header[:_MAX_ERROR_TYPE]
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return "Runtime.Unknown"
    declared = body.get("errorType") if isinstance(body, dict) else None
    return declared[:_MAX_ERROR_TYPE] if isinstance(declared, str) and declared else "Runtime.Unknown"


def _state_error(message: str) -> Answered:
    return error_answer(403, "InvalidStateTransition", message)


def _second_answer(kind: str) -> Answered:
    """AWS's sentence, as users of its runtimes have met it (github.com/brefphp/bref issue 1562)."""
    wanted = "InvocationResponse" if kind == "response" else "InvocationErrorResponse"
    transition = f"State transition from RuntimeResponseSentState to {wanted} failed for runtime"
    return _state_error(f"{transition}. Error: State transition is not allowed")


def _too_large(limit_bytes: int = MAX_REPLY_BYTES) -> Answered:
    return error_answer(413, "RequestEntityTooLarge", f"Exceeded maximum allowed payload size ({limit_bytes} bytes).")


_METHOD_NOT_ALLOWED = Answered(405, b"Method Not Allowed\n", "text/plain")
_UNSUPPORTED = {
    "/2018-06-01/runtime/restore/": "SnapStart",
}


def _unknown_path(path: str) -> Answered:
    for prefix, name in _UNSUPPORTED.items():
        if path.startswith(prefix):
            return error_answer(501, "NotImplemented", f"{name} is not implemented by this Cosset ({path})")
    return Answered(404, b"404 page not found\n", "text/plain")
