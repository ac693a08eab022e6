"""Has the disk begin with what was written, before anybody waits for it: of a large file little is left to sync then.

`posix_fadvise` does it too, but then tries to drop the pages from memory, which is where their first reader wants them.
"""

import ctypes
import sys
from collections.abc import Callable

_WRITE = 2  # SYNC_FILE_RANGE_WRITE

StartWritingBack = Callable[[int, int, int], None]


def _find() -> StartWritingBack:
    if sys.platform == "linux":
        call = getattr(ctypes.CDLL(None), "sync_file_range", None)
        if call is not None:
            call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
            return lambda descriptor, start, length: call(descriptor, start, length, _WRITE)
    return lambda descriptor, start, length: None


start_writing_back = _find()
"""Of a descriptor, `length` bytes from `start` on. Promises nothing: whoever needs them on disk syncs."""
