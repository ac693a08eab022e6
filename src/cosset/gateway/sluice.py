"""A large body's way past the event loop: a thread that reads the socket itself, for as long as the client is fast.

The loop is not woken once meanwhile. A client that lets the thread wait is handed back to the loop: nobody can hold
one. Decision 0049. Next: inflow.py.
"""

import asyncio
import select
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

_PATIENCE_MS = 20
"""For what was asked for to come."""


class Sluices:
    """Threads for bodies on their way in, all connections together. Whoever finds none is read on the event loop."""

    def __init__(self, most: int = 4) -> None:
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="sluice")
        self._most = most if sys.platform == "linux" else 0
        self.in_use = 0

    @property
    def has_one(self) -> bool:
        return self.in_use < self._most

    async def run(self, sluice: "Sluice", work: Callable[[], None]) -> None:
        """Returns, or raises, when the work has ended, and not before: it uses what its caller takes back then."""
        self.in_use += 1
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            sluice.shut()
            while not running.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([running])
            raise
        finally:
            self.in_use -= 1


class Sluice:
    """A connection's socket, for one thread, while its transport does not read. Raises OSError: no descriptor left."""

    def __init__(self, connected: Any) -> None:
        # A descriptor of its own: the transport may be closed meanwhile, and its number be another file's.
        self._socket = socket.fromfd(connected.fileno(), connected.family, connected.type)
        self._worth = 0
        self._is_shut = False
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def shut(self) -> None:
        """Before long no more is received. From any thread."""
        self._is_shut = True

    def receive(self, target: memoryview, worth: int) -> int:
        """How many bytes came: `worth` or more, where the kernel could gather so many. Zero where they do not come
        before long, the client has left, or this is shut."""
        if self._is_shut:
            return 0
        try:
            if worth != self._worth:
                self._worth = worth
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, worth)
            if not self._poll.poll(_PATIENCE_MS):
                return 0
            return self._socket.recv_into(target)
        except OSError:
            return 0  # the loop will meet it, too

    def close(self) -> None:
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._socket.close()
