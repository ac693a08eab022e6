"""Which processes still run, and a host whose first process buries nobody."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from cosset.runtimes.sealing import kernel

PATIENCE_S = 120


def is_running(pid: int) -> bool:
    """Neither one that waits to be buried does, nor the first of a pid namespace that waits until its members are: both
    have given back all memory, and what else they held."""
    try:
        return "VmSize:" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def left_of(pids: Iterable[int]) -> list[int]:
    """Those that have not ended after two minutes; as a rule none, at once."""
    left, until_s = list(pids), time.monotonic() + PATIENCE_S
    while (left := [pid for pid in left if is_running(pid)]) and time.monotonic() < until_s:
        time.sleep(0.01)
    return left


@contextlib.contextmanager
def nobody_buries() -> Iterator[None]:
    """What becomes an orphan below this process stays unburied until the end of this."""
    before = set(children(os.getpid()))
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 0)
        for pid in set(children(os.getpid())) - before:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
