"""For a node that is started with this folder on its PYTHONPATH: counts the Python calls that it makes, when asked.

SIGUSR1 begins a count anew, SIGUSR2 ends it and writes `calls` to the file that BENCH_COUNTS names: calls of
Python functions and of built-in ones, of every thread that has begun since the first count. No clock plays a part, so
no other load does. Read next: bench/causes.py.
"""

import json
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

_PATH = os.environ.get("BENCH_COUNTS", "")
_COUNTED = ("call", "c_call")


class _Counts:
    """Each thread has a cell of its own: none is lost between two threads."""

    def __init__(self) -> None:
        self.cells: list[list[int]] = []
        self._own = threading.local()

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if event in _COUNTED:
            cell = getattr(self._own, "cell", None)
            if cell is None:
                cell = self._own.cell = [0]
                self.cells.append(cell)
            cell[0] += 1


if _PATH:
    _counts = _Counts()

    def _begin(number: int, frame: FrameType | None) -> None:
        for cell in _counts.cells:
            cell[0] = 0
        threading.setprofile_all_threads(_counts.profile) if sys.version_info >= (3, 12) else threading.setprofile(
            _counts.profile
        )
        sys.setprofile(_counts.profile)

    def _end(number: int, frame: FrameType | None) -> None:
        sys.setprofile(None)
        with open(f"{_PATH}.new", "w") as file:
            json.dump({"calls": sum(cell[0] for cell in _counts.cells)}, file)
        os.replace(f"{_PATH}.new", _PATH)

    signal.signal(signal.SIGUSR1, _begin)
    signal.signal(signal.SIGUSR2, _end)
