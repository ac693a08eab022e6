"""Forks environments that are alike: one process a kind of root, told by the launcher over its control channel.

Single-threaded, trusted, and never in touch with what a function sends. Its children take over from `seal.live`.
`run_program` is the runtime of everything that is a program of its own; Python's is runtimes/python/zygote.py.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import Any, Dict

from . import channel as messages
from . import kernel, seal


def serve(control: socket.socket, cell: seal.Cell) -> None:
    """Until the launcher goes: one fork a message. The message brings the environment's own channel."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the launcher watches the children by pidfd
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    while True:
        received = messages.receive(control)
        if received is None:
            return
        _, (fd,) = received
        try:
            pid = _fork(control, fd, own_pids, cell)
            pidfd = kernel.open_pidfd(pid)
        except OSError as error:
            messages.send(control, {"error": str(error)})
            continue
        finally:
            os.close(fd)
        messages.send(control, {"pid": pid}, [pidfd])
        os.close(pidfd)


def _fork(control: socket.socket, fd: int, own_pids: int, cell: seal.Cell) -> int:
    kernel.unshare(kernel.CLONE_NEWPID)
    try:
        pid = os.fork()
        if pid == 0:
            control.close()
            os.close(own_pids)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            seal.live(socket.socket(fileno=fd), cell)
    finally:
        kernel.enter_namespace(own_pids, kernel.CLONE_NEWPID)
    return pid


def run_program(assignment: Dict[str, Any], fds: Dict[str, int]) -> None:
    """Becomes the runtime's program. Descriptors beyond its output are none of its business."""
    kernel.close_fds_from(3)
    command = assignment["command"]
    os.execve(command[0], command, assignment["environment"])
