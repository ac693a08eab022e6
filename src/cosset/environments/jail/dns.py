"""Names inside environments: sockets for UDP and TCP there, answered from here.

AWS's own names lead to Cosset, names below `localhost` to the environment itself; the rest goes to the host's
resolvers where the environment may reach the internet, and is refused where it may not: asking for names is a way out
too. There is no way out by IPv6, so no name has such an address. Each query by UDP goes out from a socket of its own,
so that only the resolver it went to can answer it. All is bounded in size, in number and in time; beyond the bounds
nothing is answered. Read next: names.py, what is in a query; ../launcher/egress.py, the packets' way.
"""

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosset.environments.jail import names

Nameservers = Callable[[], Sequence[tuple[str, int]]]
AWS_DOMAINS = ("amazonaws.com", "amazonaws.com.cn", "api.aws")
INSIDE = "127.0.0.1"
MAX_PENDING = 64
"""Queries of one environment by UDP under way at once."""
MAX_STREAMS = 16
"""Connections of one environment by TCP at once."""
TIMEOUT_S = 5.0
STREAM_S = 20.0
"""How long one of them may last, however much is asked over it."""
_MAX_QUERY_BYTES = 1232
_MAX_ANSWER_BYTES = 65535
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


def no_nameservers() -> list[tuple[str, int]]:
    """Of an environment without a way to the internet."""
    return []


class NameServer:
    """Serves one environment's two sockets, which it owns, until `close`.

    Args:
        nameservers: who is asked about what is not our own; none of them: it is refused.
        has_local_aws: AWS's names lead to Cosset.
    """

    def __init__(
        self, inside: socket.socket, listener: socket.socket, nameservers: Nameservers, *, has_local_aws: bool
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._inside = inside
        self._listener = listener
        self._nameservers = list(nameservers())
        self._own_domains = ("localhost", *AWS_DOMAINS) if has_local_aws else ("localhost",)
        self._pending: dict[socket.socket, _Query] = {}
        self._streams: set[asyncio.Task[None]] = set()
        for each, reader in ((inside, self._on_queries), (listener, self._on_connection)):
            each.setblocking(False)
            self._loop.add_reader(each.fileno(), reader)

    def close(self) -> None:
        """Idempotent."""
        for each in (self._inside, self._listener):
            if each.fileno() >= 0:
                self._loop.remove_reader(each.fileno())
                each.close()
        for upstream in list(self._pending):
            self._forget(upstream)
        for stream in self._streams:
            stream.cancel()

    def _answer(self, query: bytes) -> bytes | None:
        """Without asking anyone. None: that must be asked elsewhere."""
        question = names.read_question(query)
        if question is None:
            return names.write_refusal(query, None, names.FORMAT_ERROR)
        if any(names.is_below(question.name, domain) for domain in self._own_domains):
            return names.write_address(query, question, INSIDE)
        if not self._nameservers:
            return names.write_refusal(query, question, names.REFUSED)
        return names.write_nothing(query, question) if question.kind == names.AAAA else None

    # By UDP.

    def _on_queries(self) -> None:
        for _ in range(_BURST):
            try:
                query, sender = self._inside.recvfrom(_MAX_QUERY_BYTES + 1)
            except OSError:
                return
            if not names.HEAD_BYTES <= len(query) <= _MAX_QUERY_BYTES or query[2] & 0x80:
                continue
            answer = self._answer(query)
            if answer is not None:
                self._send(answer, sender)
            elif len(self._pending) < MAX_PENDING:
                self._forward(query, sender, self._nameservers)

    def _send(self, answer: bytes, sender: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):  # whoever asked has gone
            self._inside.sendto(answer, sender)

    def _forward(self, query: bytes, sender: tuple[str, int], nameservers: list[tuple[str, int]]) -> None:
        """To the first; to the next when that does not answer in time."""
        if not nameservers:
            return
        name = random.SystemRandom().randbytes(2)
        upstream = socket.socket(_family(nameservers[0][0]), socket.SOCK_DGRAM)
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

        timer = self._loop.call_later(TIMEOUT_S / len(self._nameservers), ask_the_next)
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
        if len(answer) < names.HEAD_BYTES or answer[:2] != query.name:
            return
        self._forget(upstream)
        self._send(query.asked_as + answer[2:], query.sender)

    def _forget(self, upstream: socket.socket) -> None:
        entry = self._pending.pop(upstream, None)
        if entry is not None:
            entry.timer.cancel()
            self._loop.remove_reader(upstream.fileno())
            upstream.close()

    # By TCP, for answers that do not fit.

    def _on_connection(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            if len(self._streams) >= MAX_STREAMS:
                connection.close()
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._converse(connection), name="names by TCP")
            self._streams.add(task)
            task.add_done_callback(self._streams.discard)

    async def _converse(self, connection: socket.socket) -> None:
        """One question after another."""
        with connection, contextlib.suppress(OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
            reader, writer = await asyncio.open_connection(sock=connection)
            try:
                async with asyncio.timeout(STREAM_S):
                    while (query := await _read_message(reader, _MAX_QUERY_BYTES)) is not None:
                        answer = self._answer(query) or await self._ask(query)
                        if answer is None:
                            return
                        writer.write(len(answer).to_bytes(2, "big") + answer)
                        await writer.drain()
            finally:
                writer.close()

    async def _ask(self, query: bytes) -> bytes | None:
        """The first resolver that answers by TCP."""
        for nameserver in self._nameservers:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                async with asyncio.timeout(TIMEOUT_S / len(self._nameservers)):
                    reader, writer = await asyncio.open_connection(*nameserver)
                    try:
                        writer.write(len(query).to_bytes(2, "big") + query)
                        answer = await _read_message(reader, _MAX_ANSWER_BYTES)
                    finally:
                        writer.close()
                if answer is not None and answer[:2] == query[:2]:
                    return answer
        return None


async def _read_message(reader: asyncio.StreamReader, most_bytes: int) -> bytes | None:
    """None: it is no message of this length."""
    length = int.from_bytes(await reader.readexactly(2), "big")
    if not names.HEAD_BYTES <= length <= most_bytes:
        return None
    return await reader.readexactly(length)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
