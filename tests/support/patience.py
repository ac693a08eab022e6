"""Waiting for what another process or thread does: looking often, and long enough for a machine ten times slower."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 240.0
LOOK_EVERY_S = 0.1
Found = TypeVar("Found")


def until(look: Callable[[], Found], patience_s: float = PATIENCE_S) -> Found:
    """The first thing that is found and is true."""
    ends_s = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < ends_s, f"it never came to that: {found!r}"
        time.sleep(LOOK_EVERY_S)
    return found


def until_nothing(left: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Returns when nothing is left of what is missing, or under way; else fails with what is."""
    ends_s = time.monotonic() + patience_s
    while found := left():
        assert time.monotonic() < ends_s, f"left: {found!r}"
        time.sleep(LOOK_EVERY_S)
