"""One environment as the launcher knows it: what it consists of, and how far it has come.

It touches what is its own and nothing else: its process, its end of the channel, its groups, its disk. Who leads it
from stage to stage: cells.py, read next.
"""

import os
import select
import signal
import socket
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from cosset.environments.launcher import cgroups, images, requests
from cosset.runtimes.sealing import channel

_LAST_MESSAGES = 3
_LONGEST_FAILURE = 500


class Stage(IntEnum):
    FORKING = 0
    FORKED = 1
    PREPARED = 2
    ASSIGNED = 3
    STARTED = 4
    DEAD = 5


@dataclass(slots=True, eq=False)
class Cell:
    """`request` is None for a spare that nobody has asked for yet. The init at the other end of `channel` is not to be
    trusted more than the function once that has started."""

    name: str
    slot: int
    root: requests.RootKey
    uid: int
    channel: socket.socket
    cgroup: cgroups.Cgroup
    disk_mb: int
    image: images.Image | None
    is_spare: bool = False
    """It was begun before anybody asked for it."""
    stage: Stage = Stage.FORKING
    request: requests.Spawn | None = None
    request_fds: list[int] = field(default_factory=list)
    listener_fds: list[int] = field(default_factory=list)
    pipe_fds: list[int] = field(default_factory=list)
    pid: int = 0
    """Of the init."""
    pidfd: int = -1
    runtime_pid: int | None = None
    """Where the runtime is no child of the init."""
    link_fd: int | None = None
    ending: dict[str, Any] | None = None
    failure: str | None = None
    is_again: bool = False
    """What it failed of another would not."""
    is_killed: bool = False
    is_oom: bool = False
    is_heir: bool = False
    """Its disk is that of another, in whose place it is."""
    keeps_disk: bool = True
    """When it ends, its disk is for whoever is started in its place: it was reset, or ended by itself."""

    def open_gates(self) -> dict[str, int]:
        """Of its groups of version 1, by name; they are the caller's."""
        return {f"gate{number}": fd for number, fd in enumerate(self.cgroup.open_gates())}

    def disk_fds(self) -> dict[str, int]:
        """What its disk is made of, by name; they stay this one's."""
        return {} if self.image is None else {"disk": self.image.loop_fd, "file": self.image.file_fd}

    def has_more(self) -> bool:
        """Whether it has said something that nobody has heard yet."""
        watch = select.poll()
        watch.register(self.channel, select.POLLIN)
        return any(events & select.POLLIN for _, events in watch.poll(0))

    def kill(self, *, is_wanted: bool = True) -> None:
        """One that has no process yet is killed as soon as it gets one. `is_wanted`: nobody waits for it any more."""
        self.is_killed |= is_wanted
        if self.pidfd >= 0:
            self.cgroup.unthrottle()
            self.cgroup.thaw()
            kill_pidfd(self.pidfd)

    def has_ended(self) -> bool:
        """Whether it is dead already, though the loop has not heard of it."""
        if self.pidfd < 0:
            return self.is_killed
        watch = select.poll()
        watch.register(self.pidfd, select.POLLIN)
        return bool(watch.poll(0))

    def hear_failure(self, message: dict[str, Any]) -> None:
        self.failure = str(message.get("error"))[:_LONGEST_FAILURE]
        self.is_again = message.get("again") is True

    def was_unlucky(self) -> bool:
        """Of one that has not started: whether what it ended of lies neither in its function nor in the host."""
        return self.is_again or (self.is_spare and self.failure is None and self.ending is None)

    def has_disk(self) -> None:
        """It says so: its loop device is attached."""
        if self.image is not None:
            self.image.is_attached = True

    def hear_last(self) -> None:
        """What it said before it died may still lie in the socket."""
        for _ in range(_LAST_MESSAGES):
            try:
                received = channel.receive(self.channel, socket.MSG_DONTWAIT)
            except (OSError, channel.ChannelError):
                return
            if received is None:
                return
            message, fds = received
            close_all(fds)
            if message.get("event") == "exit" and self.ending is None:
                self.ending = message
            elif message.get("event") == "failed":
                self.hear_failure(message)

    def close(self) -> None:
        """All descriptors but the disk's, which is removed with what else it leaves. The loop has let them go."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        if self.link_fd is not None:
            os.close(self.link_fd)
            self.link_fd = None
        self.channel.close()
        close_all(self.listener_fds + self.pipe_fds + self.request_fds)

    def disk_used_bytes(self) -> int:
        return 0 if self.image is None else self.image.used_bytes()


def kill_pidfd(pidfd: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return


def close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
