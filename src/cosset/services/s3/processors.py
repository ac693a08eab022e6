"""Two threads on two processors, where there are two: the one that counts is not to wait for the one that feeds it.

The kernel leaves both on one for as long as another is not quite idle, and each then has half of it. Linux only;
elsewhere, and where it is not allowed, nothing is changed. Decision 0049. Next: drafts.py.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress


def _find() -> Callable[[], int]:
    if sys.platform == "linux":
        call = getattr(ctypes.PyDLL(None), "sched_getcpu", None)  # which keeps the interpreter: it asks no kernel
        if call is not None:
            return call  # type: ignore[no-any-return]
    return lambda: -1


current_processor = _find()
"""The number of the processor that this thread is on; negative where that is not known."""


def allowed_processors() -> frozenset[int]:
    """Those that this process may use; none where the system does not say."""
    return frozenset(os.sched_getaffinity(0)) if sys.platform == "linux" else frozenset()


class Separation:
    """Of one thread that feeds from one that counts, wherever the kernel has that one run."""

    def __init__(self, allowed: frozenset[int], current: Callable[[], int] = current_processor) -> None:
        self._allowed = allowed
        self._current = current
        self._taken = self._shunned = -1
        self._thread = 0

    def note(self) -> None:
        """By the one that counts, now and then: where it is."""
        self._taken = self._current()

    def keep_off(self) -> None:
        """By the one that feeds, now and then."""
        if self._taken == self._shunned:
            return
        self._shunned = self._taken
        self._thread = threading.get_native_id()
        self._allow(self._allowed - {self._taken})

    def end(self) -> None:
        """The one that fed may run anywhere again. From any thread."""
        if self._thread:
            self._allow(self._allowed)
            self._taken = self._shunned = -1
            self._thread = 0

    def _allow(self, processors: frozenset[int]) -> None:
        if processors:
            with suppress(OSError):  # that thread, or all of these processors, have gone
                os.sched_setaffinity(self._thread, processors)
