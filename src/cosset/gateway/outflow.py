"""Files on their way out: handed to the kernel, which takes them from its page cache to the socket without a copy here.

For plain connections on Linux; one with TLS, or a file that cannot be sent, is read and written as any other body.
Decision 0033. Next: streaming.py, which decides; services/s3/readings.py, which gives the pieces.
"""

import asyncio
import errno
import fcntl
import os
import struct
import sys
import termios

from uvicorn.protocols.http.flow_control import FlowControl

from cosset.wire.file_bodies import FilePiece
from cosset.wire.message import BodyBrokenError

_NOT_SENDABLE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_LEFT = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF)


class NotSendableError(Exception):
    """The file system of this file has no way to send it. Nothing of the piece has been sent."""


def can_send(transport: asyncio.Transport) -> bool:
    """Whether files may go out on it past the transport."""
    plain = transport.get_extra_info("sslcontext") is None and transport.get_extra_info("socket") is not None
    return plain and sys.platform == "linux"


class FileSender:
    """Sends pieces of files on one connection, between what the transport writes; `close` when no more come.

    `stall_s`: a client that takes nothing for so long is cut off. `gone` is set when it has left.
    """

    def __init__(self, transport: asyncio.Transport, flow: FlowControl, gone: asyncio.Event, stall_s: float) -> None:
        self._transport = transport
        self._flow = flow
        self._gone = gone
        self._stall_s = stall_s
        self._loop = asyncio.get_running_loop()
        # The transport's own descriptor may not be watched beside it.
        self._socket = os.dup(transport.get_extra_info("socket").fileno())
        self._leaving: asyncio.Task[bool] | None = None

    def close(self) -> None:
        os.close(self._socket)
        if self._leaving is not None:
            self._leaving.cancel()

    async def begin(self) -> None:
        """Until what the transport was given before has left it."""
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(0)
            await self._flow.drain()
            self._transport.set_write_buffer_limits()

    async def send(self, piece: FilePiece) -> None:
        """Returns when the kernel has it all, or the client has left.

        Raises: BodyBrokenError where the file is shorter than it was, NotSendableError.
        """
        start, left = piece.start, piece.length
        while left and not self._gone.is_set():
            try:
                sent = os.sendfile(self._socket, piece.descriptor, start, left)
            except BlockingIOError:
                await self._until_writable()
                continue
            except OSError as error:
                if error.errno in _LEFT:
                    self._cut_off()
                    return
                if error.errno in _NOT_SENDABLE and left == piece.length:
                    raise NotSendableError from error
                raise BodyBrokenError from error
            if not sent:
                raise BodyBrokenError("A file is shorter than it was")
            start += sent
            left -= sent

    async def _until_writable(self) -> None:
        """Or until the client has left: on its own, or because it took nothing."""
        writable = self._loop.create_future()
        if self._leaving is None:
            self._leaving = self._loop.create_task(self._gone.wait())
        self._loop.add_writer(self._socket, _set, writable)
        try:
            unread = self._unread_bytes()
            while not writable.done() and not self._gone.is_set():
                await asyncio.wait((writable, self._leaving), timeout=self._stall_s, return_when="FIRST_COMPLETED")
                before, unread = unread, self._unread_bytes()
                if not writable.done() and unread >= before:
                    self._cut_off()
        finally:
            self._loop.remove_writer(self._socket)

    def _cut_off(self) -> None:
        self._transport.abort()
        self._gone.set()

    def _unread_bytes(self) -> int:
        """What the kernel still holds for the client. It says that there is room only when there is plenty of it: who
        reads slowly is told by this from who does not read."""
        return int(struct.unpack("i", fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4)))[0])


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
