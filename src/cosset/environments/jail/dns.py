"""Names for environments that may reach the internet: a UDP socket inside, answered from here by the host's resolvers.

Each query goes out from a socket of its own, so that only the resolver it went to can answer it. What is asked is not
looked into; it is bounded in size, in number and in time, and beyond the bounds nothing is answered, as UDP may.
Refuses TCP: an answer that does not fit stays cut off. Read next: tier.py; ../launcher/egress.py, the packets' way.
"""

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Nameservers = Callable[[], Sequence[tuple[str, int]]]
MAX_PENDING = 64
"""Queries of one environment under way at once."""
TIMEOUT_S = 5.0
_MAX_QUERY_BYTES = 1232
_MAX_ANSWER_BYTES = 4096
_MIN_BYTES = 12
_BURST = 16
"""Queries read in one go, so that no environment holds up the loop."""


@dataclass(frozen=True, slots=True)
class _Query:
    """`name` is the number that we gave it, `asked_as` the function's own."""

    name: bytes
    asked_as: bytes
    sender: tuple[str, int]
    timer: asyncio.TimerHandle
    give_up: Callable[[], None]


def host_nameservers(path: Path = Path("/etc/resolv.conf")) -> list[tuple[str, int]]:
    """The host's own, in its order; the resolver of this machine where it names none, as libc has it."""
    found = []
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) > 1 and words[0] == "nameserver":
                found.append((words[1], 53))
    return found[:3] or [("127.0.0.1", 53)]


class DnsForwarder:
    """Serves one environment's socket, which it owns, until `close`."""

    def __init__(self, inside: socket.socket, nameservers: Nameservers = host_nameservers) -> None:
        self._loop = asyncio.get_running_loop()
        self._inside = inside
        self._nameservers = list(nameservers())
        self._pending: dict[socket.socket, _Query] = {}
        inside.setblocking(False)
        self._loop.add_reader(inside.fileno(), self._on_queries)

    def close(self) -> None:
        """Idempotent."""
        if self._inside.fileno() >= 0:
            self._loop.remove_reader(self._inside.fileno())
            self._inside.close()
        for upstream in list(self._pending):
            self._forget(upstream)

    def _on_queries(self) -> None:
        for _ in range(_BURST):
            try:
                query, sender = self._inside.recvfrom(_MAX_QUERY_BYTES + 1)
            except OSError:
                return
            if _MIN_BYTES <= len(query) <= _MAX_QUERY_BYTES and len(self._pending) < MAX_PENDING:
                self._forward(query, sender, self._nameservers)

    def _forward(self, query: bytes, sender: tuple[str, int], nameservers: list[tuple[str, int]]) -> None:
        """To the first; to the next when that does not answer in time."""
        if not nameservers:
            return
        name = random.SystemRandom().randbytes(2)
        upstream = socket.socket(socket.AF_INET6 if ":" in nameservers[0][0] else socket.AF_INET, socket.SOCK_DGRAM)
        upstream.setblocking(False)
        try:
            upstream.connect(nameservers[0])
            upstream.send(name + query[2:])
        except OSError:
            upstream.close()
            self._forward(query, sender, nameservers[1:])
            return

        def ask_the_next() -> None:
            self._forget(upstream)
            self._forward(query, sender, nameservers[1:])

        timer = self._loop.call_later(TIMEOUT_S / max(1, len(self._nameservers)), ask_the_next)
        self._pending[upstream] = _Query(name, query[:2], sender, timer, ask_the_next)
        self._loop.add_reader(upstream.fileno(), self._on_answer, upstream)

    def _on_answer(self, upstream: socket.socket) -> None:
        query = self._pending[upstream]
        try:
            answer = upstream.recv(_MAX_ANSWER_BYTES)
        except BlockingIOError:
            return
        except OSError:  # nobody there: the next is asked now
            query.give_up()
            return
        if len(answer) < _MIN_BYTES or answer[:2] != query.name:
            return
        self._forget(upstream)
        with contextlib.suppress(OSError):
            self._inside.sendto(query.asked_as + answer[2:], query.sender)

    def _forget(self, upstream: socket.socket) -> None:
        entry = self._pending.pop(upstream, None)
        if entry is not None:
            entry.timer.cancel()
            self._loop.remove_reader(upstream.fileno())
            upstream.close()
