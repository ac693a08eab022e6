"""The folders behind every environment's /tmp, on the data disk: empty at start, erased after,
or after a reset kept for the next (left_disks.py).

They lie in `scratch` in the data folder, which the server owns: this one belongs to the launcher, is only ever reached
through its descriptor, and is refused when it is not what we made. With root there are no folders but nameless files
in it: images.py.
"""

import contextlib
import os
import shutil
import stat
from pathlib import Path

from cosset.environments.launcher.run_folder import OwnerError

NAME = "scratch"


class Scratch:
    """Owner of all scratch folders of one data folder.

    Raises: OwnerError, when the folder is not what a launcher made.
    """

    def __init__(self, data: Path) -> None:
        above = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(NAME, 0o711, dir_fd=above)
            self._fd = os.open(NAME, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        except NotADirectoryError:
            raise OwnerError(f"{data / NAME} is no folder of the launcher's: remove it") from None
        finally:
            os.close(above)
        if os.fstat(self._fd).st_uid != os.geteuid():
            raise OwnerError(f"{data / NAME} does not belong to the launcher: remove it")

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode: whoever mounts the folder by its name makes sure that it is this one."""
        status = os.fstat(self._fd)
        return status.st_dev, status.st_ino

    def open_nameless(self) -> int:
        """A file that is gone with its last descriptor."""
        return os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=self._fd)

    def free_bytes(self) -> int:
        status = os.fstatvfs(self._fd)
        return status.f_bavail * status.f_frsize

    def make(self, name: str, uid: int) -> None:
        os.mkdir(name, 0o700, dir_fd=self._fd)
        if uid:
            os.chown(name, uid, uid, dir_fd=self._fd, follow_symlinks=False)

    def rename(self, name: str, new_name: str) -> None:
        """For another environment of the same uid."""
        os.rename(name, new_name, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def erase(self, name: str) -> int | None:
        """Removes one folder; when that may take long, in a process of its own, whose pid is the answer."""
        try:
            os.rmdir(name, dir_fd=self._fd)
        except FileNotFoundError:
            return None
        except OSError:
            pid = os.fork()
            if pid == 0:
                try:
                    shutil.rmtree(name, ignore_errors=True, dir_fd=self._fd)
                finally:
                    os._exit(0)
            return pid
        return None

    def reap(self) -> None:
        """Removes whatever an owner before has left."""
        for name in os.listdir(self._fd):
            if stat.S_ISDIR(os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mode):
                shutil.rmtree(name, ignore_errors=True, dir_fd=self._fd)
            else:
                os.unlink(name, dir_fd=self._fd)
