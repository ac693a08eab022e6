"""The certificate authority that environments are shown, read from the data folder: the server's, who is not believed.

What it hands over goes into a root that functions read, and is read with the launcher's rights: so it must be a
certificate and nothing else, and no link to a file that the server could not read itself. Read next: spawners.py;
gateway/authority.py, which made it.
"""

import os
import re
import stat
from pathlib import Path

from cosset.runtimes.sealing.filesystem import Authority

FOLDER, CERTIFICATE = "authority", "certificate.pem"
SUBJECT_HASH = "fb398dd8"
"""OpenSSL's hash of its subject, which never changes."""
_LARGEST_BYTES = 8192
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/=]{1,64}\n)+-----END CERTIFICATE-----\n")


def read(data: Path) -> Authority | None:
    """None: there is none, or none that may be shown."""
    try:
        content = _read_plainly(data)
    except OSError:
        return None
    return Authority(content, SUBJECT_HASH) if _PEM.fullmatch(content) else None


def _read_plainly(data: Path) -> bytes:
    """Raises: OSError, also for links and whatever is no file."""
    folder = os.open(data / FOLDER, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fd = os.open(CERTIFICATE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError("no file")
            return file.read(_LARGEST_BYTES)
    finally:
        os.close(folder)
