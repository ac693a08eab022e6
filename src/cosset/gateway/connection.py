"""One client connection: uvicorn's HttpToolsProtocol with the limits of this door around it.

What uvicorn leaves to a proxy in front is here: how long a head may be and take, how long a body may stall, how many
connections there may be. Uses uvicorn's internals, hence the narrow version range in pyproject and the edge cases in
tests/security/test_door.py; why a subclass, see docs/decisions/0004-the-door.md. Reads no AWS call: door.py does.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

GONE = "cosset.gone"
"""Key in an ASGI scope: an asyncio.Event, set when the client has left."""


_OFFERS = frozenset({b"upgrade", b"http2-settings"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one connection, but for `max_connections` and `max_inner_connections`: so many at once through the public
    sockets together, and through each socket added later. At each limit the connection is answered and closed.

    `head_s` runs from the first byte of a request, or from connecting, to the end of its head; `stall_s` between two
    pieces of a body; `discard_bytes` is what a client may go on sending after it has had its answer.
    """

    max_connections: int
    max_inner_connections: int = 64
    head_bytes: int = 64 * 1024
    head_s: float = 20.0
    stall_s: float = 30.0
    keep_alive_s: float = 75.0
    discard_bytes: int = 256 * 1024 * 1024


class Quota:
    """Connections at once through one door: what comes in by one socket cannot use up another's."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


class Connection(HttpToolsProtocol):
    """Answers 503 beyond the connections that are allowed, 431 to a head that is too long, 408 to one that stalls."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
        quota: Quota,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.timeout_keep_alive = limits.keep_alive_s  # type: ignore[assignment]  # call_later takes fractions
        self._limits = limits
        self._quota = quota
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._discarded_bytes = 0
        self._refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._quota.used += 1
        if self._quota.used > self._quota.limit:
            self._refuse(503)
        else:
            self._watch(self._limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._quota.used -= 1
        for cycle in (self.cycle, *(queued for queued, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.scope["state"][GONE].set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._in_head:
            if self._head_bytes == 0:
                self._watch(self._limits.head_s)
            self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        self._feed(data)
        if self._in_head and self._head_bytes > self._limits.head_bytes and not self._refused:
            self._refuse(431)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Nothing here upgrades. The parser gives up the body of a request that offers to, so it reads the head once
        more, without the offer (uvicorn issue 2722: the JDK's HttpClient offers h2c, and its signatures failed)."""
        if self.parser.get_method() == b"CONNECT":
            self._refuse(400)
            return
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(token for token in value.split(b",") if token.strip().lower() not in _OFFERS)
            if name not in _OFFERS and (value or name != b"connection"):
                head += [name, b": ", value, b"\r\n"]
        self.parser = _make_parser(self)
        self._feed(b"".join([*head, b"\r\n"]) + rest)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_head = False
        self._head_bytes = 0
        self._discarded_bytes = 0
        if len(self.url) + sum([len(name) + len(value) for name, value in self.headers]) > self._limits.head_bytes:
            self._refuse(431)
            return
        self.scope["state"][GONE] = asyncio.Event()
        self._watch(self._limits.stall_s)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        if self.cycle.response_complete:
            self._discarded_bytes += len(body)
            if self._discarded_bytes > self._limits.discard_bytes:
                self.transport.close()
            return
        self._watch(self._limits.stall_s)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._refused or self.parser.should_upgrade():
            return
        self._unwatch()
        self._in_head = True
        super().on_message_complete()

    def _watch(self, delay_s: float) -> None:
        self._unwatch()
        self._timer = self.loop.call_later(delay_s, self._on_stall)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_stall(self) -> None:
        """Only who owes us bytes stalls: while the door itself is slow to read, the clock starts again."""
        if self.flow.read_paused:
            self._watch(self._limits.stall_s)
        elif not self.transport.is_closing():
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Says why, and closes. What the client is still sending is not read; the timer ends a client that stays."""
        self._refused = True
        self._unwatch()
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


def _make_parser(protocol: HttpToolsProtocol) -> Any:
    """As uvicorn makes it: lenient where a client pipelines after `Connection: close`."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
