"""What the init of an environment does for its extensions: starts them, tells of their ends, and does as it is told.

The server speaks to it over a socket of their own; nothing here is trusted by the other end more than the function is.
Only environments with extensions have one. Read next: seal.py; environments/jail/supervisor.py, the other end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket

from . import channel as messages
from . import extensions

MYPY = False
if MYPY:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

_CONNECT_S = 0.25
"""On its own loopback a connection is made at once, or refused; a listener that takes none is not waited for."""


class Supervision:
    """The init's end. `runtime` is the pid. `outlives`: the runtime's end is told of, and not the end of all."""

    def __init__(self, sock: socket.socket, runtime: int, *, outlives: bool) -> None:
        self._runtime = runtime
        self.outlives = outlives
        self._socket = sock
        self._extensions: dict[int, str] = {}
        self._start: Callable[[], None] | None = None

    def fileno(self) -> int:
        return self._socket.fileno()

    def begin(self, names: Sequence[str], variables: Mapping[str, str], output: int, start: Callable[[], None]) -> None:
        """Starts the external extensions. `start` is called when the server says that the runtime may begin."""
        self._start = start
        kept = extensions.without_runtime_variables(variables)
        for name in names:
            try:
                self._extensions[extensions.start(name, kept, output)] = name
            except OSError as error:
                self._tell({"extension": name, "refused": (error.strerror or "unknown error").lower()})

    def ended(self, pid: int, ending: Mapping[str, Any]) -> None:
        """A child has ended."""
        if pid == self._runtime:
            self._runtime = 0
            self._tell({"runtime": ending})
        elif pid in self._extensions:
            self._tell({"extension": self._extensions.pop(pid), "ended": ending})

    def act(self) -> bool:
        """One request of the server's. False: there will be no more."""
        try:
            received = messages.receive(self._socket, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except (OSError, messages.ChannelError):
            return False
        if received is None:
            return False
        message, fds = received
        for fd in fds:
            os.close(fd)
        do = message.get("do")
        if do == "start" and self._start is not None:
            start, self._start = self._start, None
            start()
        elif do == "signal" and self._runtime:
            os.kill(self._runtime, signal.Signals(message["number"]))
        elif do == "connect":
            self._connect(message["port"])
        return True

    def _connect(self, port: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.settimeout(_CONNECT_S)
            try:
                connection.connect(("127.0.0.1", port))
            except OSError as error:
                self._tell({"port": port, "refused": error.errno or 0})
            else:
                self._tell({"port": port}, [connection.fileno()])

    def _tell(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        with contextlib.suppress(OSError):  # the server has gone
            messages.send(self._socket, message, fds)
