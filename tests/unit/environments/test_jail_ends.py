import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.jail.ends import Ends
from cosset.environments.launcher.client import Request


def request(**changes: Any) -> Request:
    given = {"id": "e1", "kind": "python", "code": Path("/c"), "memory_mb": 1, "disk_mb": 1, "environment": {}}
    return Request(**{**given, "interpreter": Path("/usr/bin/python3"), **changes})


def kinds(fds: list[int]) -> list[str]:
    names = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
    return [names[stat.S_IFMT(os.fstat(fd).st_mode)] for fd in fds]


class Opened:
    """Every descriptor that is opened for ends; no more than `most` pairs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int = 100) -> None:
        self.fds: list[int] = []
        self._left = most
        for module, name in ((os, "pipe"), (socket, "socketpair")):
            monkeypatch.setattr(module, name, self._counted(getattr(module, name)))

    def _counted(self, opens: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            if not self._left:
                raise OSError(errno.EMFILE, "Too many open files")
            self._left -= 1
            pair = opens(*arguments)
            self.fds += [end if isinstance(end, int) else end.fileno() for end in pair]
            return pair

        return counted

    def still_open(self) -> list[int]:
        def is_open(fd: int) -> bool:
            try:
                os.fstat(fd)
            except OSError:
                return False
            return True

        return [fd for fd in self.fds if is_open(fd)]


@pytest.mark.parametrize(
    ("changes", "inside", "pipes"),
    [
        ({}, ["pipe", "pipe", "socket"], 2),
        ({"extensions": ("x",)}, ["pipe", "pipe", "socket", "pipe", "socket"], 2),
        ({"kind": "program"}, ["pipe", "pipe"], 2),
        ({"kind": "program", "interpreter": None}, ["pipe"], 1),
        ({"kind": "program", "standby": {"LANG": "C"}}, [], 0),
    ],
)
def test_what_goes_inside_goes_in_the_launchers_order(
    changes: dict[str, Any], inside: list[str], pipes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Opened(monkeypatch)
    ends = Ends.of(request(**changes))
    assert kinds(ends.inside) == inside
    assert len(ends.pipes) == pipes
    assert (ends.transport is not None) == ("kind" not in changes)
    assert (ends.printed is not None) == (ends.supervised is not None) == ("extensions" in changes)
    for theirs in ends.inside:
        os.close(theirs)
    ends.close()
    assert not opened.still_open()


@pytest.mark.parametrize("most", range(5))
def test_without_room_for_all_of_them_none_is_left(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened(monkeypatch, most)
    with pytest.raises(OSError, match="Too many open files"):
        Ends.of(request(extensions=("x",)))
    assert len(opened.fds) == 2 * most
    assert not opened.still_open()
