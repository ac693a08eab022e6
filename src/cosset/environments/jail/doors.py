"""The ports inside environments, watched through one descriptor for all of them, until somebody comes to one.

Most functions connect to nothing there, and each port that is watched by itself costs a start a socket, a reader of the
loop and whatever serves it. So nothing of that is made before it is needed, and whoever comes waits in the socket until
it is. Refuses to accept anything itself. Read next: tier.py, which says what is served behind them.
"""

import asyncio
import contextlib
import os
import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_AT_ONCE = 16
"""Environments that are opened in one turn of the loop."""

Open = Callable[[], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Porch:
    """The descriptors of one environment, and who takes them over."""

    fds: Sequence[int]
    open: Open


class Doors:
    """Of all environments of one tier."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._porches: dict[int, _Porch] = {}

    def watch(self, fds: Sequence[int], on_first: Open) -> Callable[[], None]:
        """`on_first` is called once, when somebody has come to one of these: all of them are the callee's from then on.
        What is answered closes them, unless that has happened.

        Raises: OSError, with nothing watched, when the kernel watches no more; they stay the caller's.
        """
        porch = _Porch(fds, on_first)
        epoll = self._watching()
        try:
            for fd in fds:
                epoll.register(fd, select.EPOLLIN)
                self._porches[fd] = porch
        except OSError:
            self._let_go(porch)
            raise
        return lambda: self._close(porch)

    def close(self) -> None:
        """Idempotent. What is still watched is closed."""
        for porch in list(self._porches.values()):
            self._close(porch)
        if self._epoll is not None:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _watching(self) -> select.epoll:
        if self._epoll is None:
            self._epoll = select.epoll()
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._on_comers)
        return self._epoll

    def _on_comers(self) -> None:
        assert self._epoll is not None
        for fd, _ in self._epoll.poll(0, _AT_ONCE):
            porch = self._porches.get(fd)
            if porch is not None:  # or else another of its doors has opened it in this turn
                self._let_go(porch)
                porch.open()

    def _close(self, porch: _Porch) -> None:
        if self._let_go(porch):
            for fd in porch.fds:
                os.close(fd)

    def _let_go(self, porch: _Porch) -> bool:
        """Whether it was watched. The descriptors stay open."""
        watched = [fd for fd in porch.fds if self._porches.get(fd) is porch]
        for fd in watched:
            del self._porches[fd]
            if self._epoll is not None:
                with contextlib.suppress(OSError):
                    self._epoll.unregister(fd)
        return bool(watched)
