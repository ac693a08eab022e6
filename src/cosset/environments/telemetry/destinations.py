"""How a batch leaves: one HTTP request for each, or lines of JSON over one TCP connection.

The other end is the function's own code: what it answers is bounded and only its status is looked at. Read next:
delivery.py, which decides when and how often.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from cosset.environments.telemetry.subscription import Destination

Connect = Callable[[int], Awaitable[socket.socket]]
"""To a port of the environment's loopback. Raises: OSError."""

_MAX_LINE_BYTES = 8 * 1024


class RefusedError(OSError):
    """The subscriber answered, but not that it has taken the batch."""


class HttpDestination:
    """A connection for each batch: subscribers are small servers, and many close after each answer."""

    def __init__(self, destination: Destination, connect: Connect) -> None:
        self._destination = destination
        self._connect = connect

    async def send(self, batch: list[bytes]) -> None:
        """Raises: OSError."""
        body = b"[" + b",".join(batch) + b"]"
        head = (
            f"{self._destination.method} {self._destination.path} HTTP/1.1\r\n"
            f"Host: sandbox.localdomain:{self._destination.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        sock = await self._connect(self._destination.port)
        reader, writer = await asyncio.open_connection(sock=sock, limit=_MAX_LINE_BYTES)
        try:
            writer.write(head.encode() + body)
            await writer.drain()
            await _check_status(reader)
        except BaseException:
            writer.transport.abort()  # what the subscriber does not read is not kept for it
            raise
        writer.close()

    def close(self) -> None:
        """Nothing is kept between batches."""


class TcpDestination:
    """One connection, made anew when the subscriber has closed it. That a line was taken cannot be known, as on AWS."""

    def __init__(self, destination: Destination, connect: Connect) -> None:
        self._destination = destination
        self._connect = connect
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, batch: list[bytes]) -> None:
        """Raises: OSError."""
        writer = self._writer
        if writer is None or writer.is_closing():
            sock = await self._connect(self._destination.port)
            _, writer = await asyncio.open_connection(sock=sock, limit=_MAX_LINE_BYTES)
            self._writer = writer
        try:
            writer.write(b"\n".join(batch) + b"\n")
            await writer.drain()
        except BaseException:
            self._abort()
            raise

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _abort(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None


def make_destination(destination: Destination, connect: Connect) -> HttpDestination | TcpDestination:
    return HttpDestination(destination, connect) if destination.is_http else TcpDestination(destination, connect)


async def _check_status(reader: asyncio.StreamReader) -> None:
    """Raises: RefusedError."""
    try:
        line = await reader.readline()
    except ValueError:
        raise RefusedError("its answer is no HTTP") from None
    words = line.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].startswith(b"2"):
        raise RefusedError(f"it answered {line[:80]!r}")
