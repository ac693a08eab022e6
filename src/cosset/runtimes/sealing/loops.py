"""The one call that makes a file a block device. It waits milliseconds for the kernel: so whoever needs it makes it."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

BLOCK_BYTES = 4096
CONFIGURE = 0x4C0A
_LO_FLAGS_AUTOCLEAR = 4
_LO_FLAGS_DIRECT_IO = 16
WHAT = "the disk"
"""How a list of calls names this one."""


class TakenError(OSError):
    """Somebody else was quicker: the device has another file."""


def configure(loop_fd: int, file_fd: int) -> None:
    """Shows the file as this loop device, which lets go of it when its last user has gone.

    Raises: TakenError; OSError.
    """
    try:
        fcntl.ioctl(loop_fd, CONFIGURE, configuration(file_fd))
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise TakenError(errno.EBUSY, os.strerror(errno.EBUSY)) from None
        raise


def configuration(file_fd: int) -> bytes:
    """What the call is given."""
    # Past the page cache: or else what is written to /tmp would be held twice, once inside and once for the file.
    flags = _LO_FLAGS_AUTOCLEAR | _LO_FLAGS_DIRECT_IO
    info = struct.pack("<QQQQQIIII64s64s32sQQ", 0, 0, 0, 0, 0, 0, 0, 0, flags, b"", b"", b"", 0, 0)
    return struct.pack("<II", file_fd, BLOCK_BYTES) + info + bytes(64)
