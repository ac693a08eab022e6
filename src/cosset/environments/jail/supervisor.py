"""The server's end of what an environment's init does for extensions: their start, their end, ways to the ports inside.

What comes from there is believed no more than the function is: every message is checked, and a descriptor counts only
if it is a stream socket. Where there are no external extensions the socket is made when it is first needed. Read next:
runtimes/sealing/supervision.py, the other end; ../extensions/supervisor.py, the contract.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from cosset.environments.extensions.supervisor import LaunchError, OnExtensionEnd
from cosset.environments.launcher.client import JailProcess
from cosset.environments.transport import Exit
from cosset.runtimes.sealing import channel

_CONNECT_S = 2.0
"""For the init to answer; it may not be scheduled at once."""
_MAX_CONNECTING = 64
_AT_ONCE = 16
_MAX_REASON = 200


class JailSupervisor:
    """Supervisor over the init. `attach` comes before everything else."""

    def __init__(self, supervised: socket.socket | None = None) -> None:
        """`supervised`: our end, where the init was given the other one at its start."""
        self._loop = asyncio.get_running_loop()
        self._starts_external = supervised is not None
        self._socket: socket.socket | None = None
        self._process: JailProcess | None = None
        self._runtime_end: asyncio.Future[Exit] = self._loop.create_future()
        self._connecting: deque[tuple[int, asyncio.Future[socket.socket]]] = deque()
        self._early: list[dict[str, Any]] = []
        self._ended: OnExtensionEnd | None = None
        self._failed: Callable[[LaunchError], None] = lambda _: None
        self._closed = False
        if supervised is not None:
            self._listen(supervised)

    def attach(self, process: JailProcess) -> None:
        self._process = process

    def watch(self, ended: OnExtensionEnd, failed: Callable[[LaunchError], None]) -> None:
        self._ended, self._failed = ended, failed
        early, self._early = self._early, []
        for message in early:
            self._hear_of_extension(message)

    def start_runtime(self) -> None:
        self._send({"do": "start"})

    def signal_runtime(self, number: int) -> None:
        self._send({"do": "signal", "number": number})

    async def runtime_ended(self) -> Exit:
        if self._starts_external:
            return await asyncio.shield(self._runtime_end)
        assert self._process is not None
        return await self._process.wait()

    async def connect(self, port: int) -> socket.socket:
        if len(self._connecting) >= _MAX_CONNECTING:
            raise ConnectionRefusedError("too many connections are being made")
        waiting: tuple[int, asyncio.Future[socket.socket]] = (port, self._loop.create_future())
        self._connecting.append(waiting)
        self._send({"do": "connect", "port": port})
        try:
            async with asyncio.timeout(_CONNECT_S):
                return await waiting[1]
        finally:
            if waiting in self._connecting and not waiting[1].done():
                waiting[1].cancel()  # its answer still comes, in its turn

    async def close(self) -> None:
        self._closed = True
        for _, waiting in self._connecting:
            if not waiting.done():
                waiting.set_exception(ConnectionAbortedError("the environment has ended"))
        self._connecting.clear()
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _listen(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        self._socket = ours
        self._loop.add_reader(ours.fileno(), self._on_readable)

    def _send(self, message: dict[str, Any]) -> None:
        """Nothing, when the environment has ended."""
        if self._closed or self._process is None:
            return
        if self._socket is None:
            ours, theirs = channel.pair()
            self._listen(ours)
            self._process.supervise(theirs.detach())
        assert self._socket is not None
        try:
            channel.send(self._socket, message)
        except (OSError, channel.ChannelError):
            return  # a full socket too: an init that does not read is not well

    def _on_readable(self) -> None:
        for _ in range(_AT_ONCE):
            if self._socket is None:
                return
            try:
                received = channel.receive(self._socket)
            except BlockingIOError:
                return
            except (OSError, channel.ChannelError):
                received = None
            if received is None:
                self._loop.remove_reader(self._socket.fileno())
                return
            self._hear(*received)

    def _hear(self, message: dict[str, Any], fds: list[int]) -> None:
        fd = fds.pop(0) if fds else None
        for extra in fds:
            os.close(extra)
        if "port" in message:
            self._hear_of_connection(message, fd)
            return
        if fd is not None:
            os.close(fd)
        if "runtime" in message and not self._runtime_end.done():
            self._runtime_end.set_result(_exit(message["runtime"]))
        elif "extension" in message and self._ended is None:
            if len(self._early) < _AT_ONCE:
                self._early.append(message)
        elif "extension" in message:
            self._hear_of_extension(message)

    def _hear_of_extension(self, message: dict[str, Any]) -> None:
        name = str(message["extension"])
        if "refused" in message:
            self._failed(LaunchError(name, str(message["refused"])[:_MAX_REASON]))
        elif self._ended is not None:
            self._ended(name, _exit(message.get("ended")))

    def _hear_of_connection(self, message: dict[str, Any], fd: int | None) -> None:
        """The init answers in the order in which it is asked."""
        waiting = self._connecting.popleft()[1] if self._connecting else None
        connection = None if fd is None else _stream(fd)
        if waiting is None or waiting.done():
            if connection is not None:
                connection.close()
        elif connection is not None:
            waiting.set_result(connection)
        else:
            number = message.get("refused")
            number = number if isinstance(number, int) and 0 < number < 4096 else 111
            waiting.set_exception(OSError(number, os.strerror(number)))


def _exit(ending: object) -> Exit:
    """As the init tells it: `code` or `signal`."""
    if isinstance(ending, dict):
        code, number = ending.get("code"), ending.get("signal")
        if isinstance(number, int):
            return Exit(signal=number)
        if isinstance(code, int):
            return Exit(code=code)
    return Exit(signal=9)


def _stream(fd: int) -> socket.socket | None:
    """The socket, if it is one that leads into the environment's own network."""
    try:
        connection = socket.socket(fileno=fd)
    except OSError:
        os.close(fd)
        return None
    if connection.family != socket.AF_INET or connection.type != socket.SOCK_STREAM:
        connection.close()
        return None
    connection.setblocking(False)
    return connection
