"""How much of a body the kernel gathers before it says that something came. Decision 0042. Next: inflow.py."""

import asyncio
import socket
import sys
from contextlib import suppress
from typing import Any

_WINDOWS = 4
"""What may wait in the kernel, of what it is asked for: the client is to have sent more by then."""
_PATIENCE_S = 0.02
"""For a buffer's worth to gather; who is slower is read as it comes."""


class Gathering:
    """How much of a body has to be in the kernel before it says so (SO_RCVLOWAT): `most` bytes, where the client is
    fast enough. On Linux, whose kernel makes room for it."""

    def __init__(self, connected: Any, most: int) -> None:
        self._socket = connected if sys.platform == "linux" else None
        self._most = most
        self._worth = 1
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, left: int) -> None:
        """Of a body of which so much is still to come."""
        if self._worth == 1 and left > self._most:
            self._ask_for(_WINDOWS * self._most)  # the window that the client is given stays as wide
            self._ask_for(self._most)

    def go_on(self, left: int) -> None:
        """Something came: what does not come any more is not waited for."""
        self.stop_hurrying()
        if left < self._worth:
            self.end()

    def hurry(self) -> None:
        """Somebody waits: what is there will be given before long."""
        if self._worth > 1 and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self.end)

    def stop_hurrying(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self) -> None:
        self.stop_hurrying()
        if self._worth > 1:
            self._ask_for(1)

    def leave(self) -> None:
        """The socket is gone."""
        self.stop_hurrying()
        self._socket = None

    def _ask_for(self, size: int) -> None:
        if self._socket is not None:
            self._worth = size
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
