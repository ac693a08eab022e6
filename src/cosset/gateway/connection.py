"""One client connection: uvicorn's HttpToolsProtocol with the limits of this door around it.

What uvicorn leaves to a proxy in front is here: how long a head may be and take, how long a body may stall, how many
connections there may be. A small request is answered as an Exchange, in one write; every other goes through ASGI
(streaming.py). Uses uvicorn's internals, hence the narrow version range in pyproject and the edge cases in
tests/security/test_door.py; why a subclass, see docs/decisions/0004-the-door.md.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from cosset.gateway.exchange import WHOLE_BYTES, Exchange, encode_whole
from cosset.gateway.inflow import Buffers
from cosset.gateway.limits import Limits, Quota
from cosset.gateway.streaming import CONNECTION, GONE, stream
from cosset.wire.http_heads import BesideBody, without_offer
from cosset.wire.message import Request, Response

Answer = Callable[[Request, asyncio.Event], Awaitable[Response]]

_MAX_PIPELINED = 64
_log = logging.getLogger(__name__)


class Connection(HttpToolsProtocol):
    """Answers 503 beyond the connections that are allowed, 431 to a head that is too long, 408 to one that stalls."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        answer: Answer,
        limits: Limits,
        quota: Quota,
        buffers: Buffers,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._rested_s: float | None = None
        """Since when no request is under way; None while one is."""
        self._answer = answer
        self.limits = limits
        self.buffers = buffers
        self._quota = quota
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._beside = BesideBody()
        """What came since the head ended."""
        self._is_large = False
        """The body is not to be read whole before anybody has looked at the head."""
        self._moved = False
        self._discarded_bytes = 0
        self._refused = False
        self.running: Exchange | RequestResponseCycle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._quota.used += 1
        if self._quota.used > self._quota.limit:
            self._refuse(503)
        else:
            self._timer = self.loop.call_later(self.limits.head_s, self._on_slow_head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._stop_unread_timer()
        self._quota.used -= 1
        for cycle in (self.running, self.cycle, *(queued for queued, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                _tell_gone(cycle)
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._rested_s = None
        if self._in_head:
            self._head_bytes += len(data)
        else:
            self._beside.feed(len(data))
        self._feed(data)
        if not self._refused:
            self._watch()

    def _watch(self) -> None:
        """A timer only while a request is incomplete; most requests are complete after one piece of data."""
        if not self._in_head:
            if self._beside.size_bytes > self.limits.head_bytes:
                self._refuse(431)
            elif self._timer is None:
                self._timer = self.loop.call_later(self.limits.stall_s, self._on_stall)
        elif self._head_bytes == 0:
            self._unwatch()
        elif self._head_bytes > self.limits.head_bytes:
            self._refuse(431)
        elif self._timer is None:
            self._timer = self.loop.call_later(self.limits.head_s, self._on_slow_head)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_slow_head(self) -> None:
        self._timer = None
        self._refuse(408)

    def _on_stall(self) -> None:
        """Only who owes us bytes stalls: not while the door itself is slow to read."""
        if self._moved or self.flow.read_paused:
            self._moved = False
            self._timer = self.loop.call_later(self.limits.stall_s, self._on_stall)
        else:
            self._timer = None
            self._refuse(408)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_unread_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread_timer()

    def _start_unread_timer(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._unread_timer = self.loop.call_later(self.limits.stall_s, self._on_unread, unread)

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _on_unread(self, before: int) -> None:
        """A client that does not read its answer holds our memory: cut off when none of it has gone in `stall_s`."""
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self._start_unread_timer()

    def on_response_complete(self) -> None:
        """As uvicorn's, but for the timer: one serves many requests."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        self._rested_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._start_keep_alive(self.limits.keep_alive_s)

    def _start_keep_alive(self, delay_s: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(delay_s, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._rested_s is None:
            return  # at work; armed again when it rests
        left_s = self._rested_s + self.limits.keep_alive_s - self.loop.time()
        if left_s > 0:
            self._start_keep_alive(left_s)
        elif self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _refuse(self, status: int) -> None:
        """Says why where no other answer is owed first, and closes."""
        self._refused = True
        self._unwatch()
        if self.transport.is_closing():
            return
        owed = self.cycle is not None and not self.cycle.response_complete
        if not owed or not (self._in_head or self.cycle.response_started or self.pipeline):
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        if owed:
            _tell_gone(self.cycle)
        self.transport.close()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400)

    def _decline_upgrade(self, rest: bytes) -> None:
        """The parser reads the head once more."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(400)
            return
        head = without_offer(method, self.url, self.parser.get_http_version(), self.headers)
        self.parser = _make_parser(self)
        self._feed(head + rest)

    def on_message_begin(self) -> None:
        """Without the scope that uvicorn would make here: only what goes through ASGI needs one."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._is_large = False
        self._head_bytes = self._head_bytes or 1

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: what S3 knows of them is within the body, and no other is part of the head
        name = name.lower()
        if name == b"content-length":
            self._is_large = self._is_large or int(value) > WHOLE_BYTES
        elif name == b"transfer-encoding":
            self._is_large = True
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._refused or self.parser.should_upgrade():
            return
        if self._is_head_too_long() or len(self.pipeline) >= _MAX_PIPELINED:
            self._refuse(431)
            return
        self._in_head = False
        self._head_bytes = self._discarded_bytes = 0
        self._beside.begin()
        self._unwatch()
        if self._is_large or not self._may_exchange():
            self._make_scope()
            super().on_headers_complete()
        else:
            keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
            self.running = Exchange(self.parser.get_method(), self.url, self.headers, keep_alive=keep_alive)
            self.cycle = cast(RequestResponseCycle, self.running)

    def _is_head_too_long(self) -> bool:
        """Of a request that came behind another in one piece of data, only counting tells."""
        if 1 < self._head_bytes <= self.limits.head_bytes:
            return False
        size = len(self.url) + sum([len(name) + len(value) for name, value in self.headers])
        return size > self.limits.head_bytes

    def _make_scope(self) -> None:
        url, headers, expect_100_continue = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expect_100_continue
        self.scope["headers"] = headers
        self.scope["state"] |= {GONE: asyncio.Event(), CONNECTION: self}

    def _may_exchange(self) -> bool:
        """Not behind another request, not where the client waits to be asked for the body, not for odd URLs."""
        idle = self.cycle is None or self.cycle.response_complete
        return idle and not self.expect_100_continue and self.url.startswith(b"/")

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        self._moved = True
        self._beside.is_body(len(body))
        if self.cycle.response_complete:
            self._discarded_bytes += len(body)
            if self._discarded_bytes > self.limits.discard_bytes:
                self._refuse(413)
        elif isinstance(self.cycle, Exchange):
            self.cycle.add_body(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._refused or self.parser.should_upgrade():
            return
        self._unwatch()
        self._in_head = True
        self._head_bytes = 0
        if isinstance(self.cycle, Exchange):
            task = self.loop.create_task(self._exchange(self.cycle))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        else:
            super().on_message_complete()

    def body_moved(self) -> None:
        """Some of the body came, past the parser (inflow.py)."""
        self._moved = True

    def body_ended(self) -> None:
        """It came to its end past the parser: what comes next is a request."""
        self.parser = _make_parser(self)
        self.on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.running = cycle
        super()._start_asgi_task(cycle, app)

    async def _exchange(self, exchange: Exchange) -> None:
        """The task boundary of an Exchange. The door answers whatever happens; what still fails here ends the
        connection, as does the end of a drain."""
        try:
            response = await self._answer(exchange.request(self.scheme or "http", self._peer()), exchange.gone)
            if isinstance(response.body, bytes):
                self._finish(exchange, response)
            else:
                await stream(self, exchange, response)
        except asyncio.CancelledError:
            self.transport.close()
            raise
        except Exception:  # noqa: BLE001 - the task boundary of an Exchange
            _log.exception("An answer could not be sent")
            self.transport.close()

    def _peer(self) -> str:
        return self.client[0] if self.client is not None else ""

    def _finish(self, exchange: Exchange, response: Response) -> None:
        if exchange.disconnected:
            return
        keep_alive = exchange.keep_alive
        self.transport.write(
            encode_whole(response, exchange.method, self.server_state.default_headers, keep_alive=keep_alive)
        )
        exchange.response_complete = True
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()


def _tell_gone(cycle: Exchange | RequestResponseCycle) -> None:
    cycle.disconnected = True
    gone = cycle.gone if isinstance(cycle, Exchange) else cast(Any, cycle.scope)["state"][GONE]
    gone.set()


def _make_parser(protocol: HttpToolsProtocol) -> Any:
    """As uvicorn makes it: lenient where a client pipelines after `Connection: close`."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
