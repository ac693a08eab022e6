"""Opens files of which the kernel knows everything already: nobody waits for a disk, and no thread is needed for it.

openat2 with RESOLVE_CACHED, of Linux 5.12 and later; elsewhere nothing is known. Next: services/s3/readings.py.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path

_OPENAT2 = 437  # on every architecture
_AT_FDCWD = -100
_RESOLVE_CACHED = 0x20
_HOW = struct.pack("=QQQ", os.O_RDONLY | os.O_CLOEXEC, 0, _RESOLVE_CACHED)

OpenCached = Callable[[Path], int | None]


def _find() -> OpenCached:
    if sys.platform != "linux":
        return lambda path: None
    syscall = ctypes.PyDLL(None).syscall  # which keeps the interpreter: it takes two microseconds
    syscall.restype = ctypes.c_long
    number, here, size = ctypes.c_long(_OPENAT2), ctypes.c_long(_AT_FDCWD), ctypes.c_size_t(len(_HOW))

    def open_cached(path: Path) -> int | None:
        descriptor: int = syscall(number, here, ctypes.c_char_p(os.fsencode(path)), ctypes.c_char_p(_HOW), size)
        return descriptor if descriptor >= 0 else None

    return open_cached


open_cached = _find()
"""A descriptor to read the file; None where that is not known without a disk, for whatever reason."""
