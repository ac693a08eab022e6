"""A folder for one process alone."""

import fcntl
import os
import time
from pathlib import Path

from cosset.store.errors import StoreError


class FolderLock:
    """Keeps a folder for one process, through a lock that the system drops when the process ends, however it ends."""

    def __init__(self, folder: Path, name: str = "lock", patience_s: float = 2.0) -> None:
        """A holder that was just killed may take a moment to go: waits `patience_s` for it. Blocks; not on the loop."""
        path = folder / name
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"Cannot write in the data folder {folder}: {error.strerror}.") from error
        deadline = time.monotonic() + patience_s
        while not self._taken():
            if time.monotonic() > deadline:
                holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                os.close(self._descriptor)
                raise StoreError(f"The data folder {folder} is in use by another Cosset (process {holder}).")
            time.sleep(0.02)
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        os.close(self._descriptor)
