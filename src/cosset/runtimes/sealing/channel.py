"""One JSON object a message, with descriptors beside it, over a SOCK_SEQPACKET socket.

Bounded on both sides: a longer message, or one that is not an object, ends the conversation. Read next: spawner.py.
"""

from __future__ import annotations

import array
import json
import os
import socket

MYPY = False
if MYPY:
    from collections.abc import Sequence
    from typing import Any

    Message = dict[str, Any]

MAX_MESSAGE_BYTES = 128 * 1024
MAX_FDS = 16
# As plain numbers: enumerations cost microseconds to join.
_TELL_NO_SIGNAL = int(socket.MSG_NOSIGNAL)
_CLOSE_ON_EXEC = int(socket.MSG_CMSG_CLOEXEC)
_CUT = int(socket.MSG_TRUNC)
_LOST = int(socket.MSG_CTRUNC)
_SPACE = socket.CMSG_SPACE(MAX_FDS * 4)


class ChannelError(Exception):
    """The other side broke the protocol."""


class DescriptorsLostError(ChannelError):
    """This process may open no more: `message` came without those beside it, which are closed."""

    def __init__(self, message: Message) -> None:
        super().__init__("too many open files")
        self.message = message


def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_MESSAGE_BYTES)
    return ours, theirs


def send(channel: socket.socket, message: Message, fds: Sequence[int] = (), flags: int = 0) -> None:
    """Raises: ChannelError when the message is too long, OSError when the other side has gone."""
    data = json.dumps(message, separators=(",", ":")).encode()
    if len(data) > MAX_MESSAGE_BYTES or len(fds) > MAX_FDS:
        raise ChannelError("message of %d bytes and %d descriptors" % (len(data), len(fds)))
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    channel.sendmsg([data], rights, _TELL_NO_SIGNAL | flags)


def receive(channel: socket.socket, flags: int = 0) -> tuple[Message, list[int]] | None:
    """The next message and its descriptors, which are then the caller's; None when the other side has gone.

    Raises: ChannelError, DescriptorsLostError among them; BlockingIOError when asked not to wait.
    """
    data, rights, received, _ = channel.recvmsg(MAX_MESSAGE_BYTES, _SPACE, flags | _CLOSE_ON_EXEC)
    fds = array.array("i")
    for level, kind, payload in rights:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    if not data and not fds:
        return None
    try:
        if received & _CUT:
            raise ChannelError("message too long")
        message = json.loads(data)
        if not isinstance(message, dict):
            raise ChannelError("not an object")
        if received & _LOST:
            raise DescriptorsLostError(message)
    except (ValueError, RecursionError, ChannelError) as error:
        for fd in fds:
            os.close(fd)
        if isinstance(error, ChannelError):
            raise
        raise ChannelError(str(error)) from None
    return message, list(fds)
