"""The disks behind /tmp where there is root: sparse ext4 images on the data disk, one an environment, of its own size.

An image is a nameless file on a loop device that lets go by itself: the environment mounts it, and when it ends,
however that happens, mount, device and file are gone. The file system is made once a size and written into each image
(some tens of kilobytes), so that none waits for mkfs. Sparse: upkeep.py, to be read next, watches the disk.
"""

import errno
import fcntl
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from cosset.environments.launcher.scratch import Scratch
from cosset.runtimes.sealing import filesystem, kernel, loops

DEFAULT_MB = 512
"""EphemeralStorage of those who ask for none: what is prepared in advance."""
_MAX_TEMPLATES = 16
_BYTES_AN_INODE = 16 * 1024
_TRIES = 16
_MIB = 1024 * 1024

_LOOP_CTL_ADD = 0x4C80
_LOOP_CTL_GET_FREE = 0x4C82

Template = list[tuple[int, bytes]]
"""What an empty file system consists of: offsets and bytes; the rest is a hole."""


class ImagesUnavailableError(Exception):
    """This host cannot mount images; the message says what is missing."""


@dataclass(slots=True)
class Image:
    """Owned by the launcher until `release`. `file_fd` and `loop_fd` are for the environment, which makes the one the
    other; `loop_fd` is to be closed once it has it."""

    size_mb: int
    file_fd: int
    loop_fd: int
    number: int
    """Of the loop device."""
    is_attached: bool = False
    """The environment has said so. Until then nobody else is to have the device."""
    inode: int = 0
    """Of the file, by which the kernel calls what has no name."""

    def used_bytes(self) -> int:
        """On the data disk."""
        return os.fstat(self.file_fd).st_blocks * 512

    def let_go_of_loop(self) -> None:
        if self.loop_fd >= 0:
            os.close(self.loop_fd)
            self.loop_fd = -1

    def release(self) -> None:
        self.let_go_of_loop()
        if self.file_fd >= 0:
            os.close(self.file_fd)
            self.file_fd = -1

    def is_detached(self) -> bool:
        """When its environment is dead: whether the kernel has taken the last mount away, which it does after the last
        process has gone, and after whatever held a file open. From then on nobody writes there any more."""
        backing = _read(Path(f"/sys/block/loop{self.number}/loop/backing_file"))
        return not backing.endswith(f"/#{self.inode} (deleted)\n")


class Images:
    """Makes images in the launcher's own folder on the data disk. `is_root`: of the host, not of a user namespace."""

    def __init__(self, scratch: Scratch, *, is_root: bool) -> None:
        self._scratch = scratch
        self._templates: dict[int, Template] = {}
        self._is_unavailable = not is_root
        self._control: int | None = None
        self._promised: list[Image] = []
        """Those whose devices may not be attached yet."""

    def make(self, size_mb: int) -> Image | None:
        """None: this host has no images, which is found out with the first, and said once.

        Raises: OSError, when there is no room for one more.
        """
        if self._is_unavailable:
            return None
        try:
            self._get_template(size_mb)
        except ImagesUnavailableError as error:
            if self._templates:  # the host can: it only cannot now, or not so large
                raise OSError(f"no disk of {size_mb} MB for /tmp: {error}") from error
            self._is_unavailable = True
            sys.stderr.write(f"cosset: only single files in /tmp are capped, not their sum: {error}\n")
            return None
        return self._make(size_mb)

    def reopen(self, image: Image) -> None:
        """Another device, for another environment, for an image that is on none any more.

        Raises: OSError.
        """
        image.let_go_of_loop()
        image.loop_fd, image.number = self._open_device()
        image.is_attached = False
        self._promised.append(image)

    def free_bytes(self) -> int:
        """On the disk that all images share."""
        return self._scratch.free_bytes()

    def _get_template(self, size_mb: int) -> None:
        if size_mb in self._templates:
            return
        if not self._templates:
            self._try()
        made = make_template(size_mb)
        if len(self._templates) == _MAX_TEMPLATES:
            del self._templates[next(iter(self._templates))]
        self._templates[size_mb] = made

    def _try(self) -> None:
        """Whether files on this disk can be loop devices at all.

        Raises: ImagesUnavailableError.
        """
        try:
            file_fd = self._scratch.open_nameless()
            try:
                os.ftruncate(file_fd, _MIB)
                os.close(_attach(file_fd))
            finally:
                os.close(file_fd)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                raise ImagesUnavailableError("files on this disk can be no loop devices") from error
            raise ImagesUnavailableError(f"no loop device: {error}") from error

    def _make(self, size_mb: int) -> Image:
        file_fd = self._scratch.open_nameless()
        try:
            os.ftruncate(file_fd, image_bytes(size_mb))
            for offset, data in self._templates[size_mb]:
                os.pwrite(file_fd, data, offset)
            loop_fd, number = self._open_device()
        except BaseException:
            os.close(file_fd)
            raise
        image = Image(size_mb, file_fd, loop_fd, number, inode=os.fstat(file_fd).st_ino)
        self._promised.append(image)
        return image

    def _open_device(self) -> tuple[int, int]:
        """A loop device that nobody has, and that none of ours has been promised."""
        self._promised = [image for image in self._promised if not image.is_attached and image.file_fd >= 0]
        promised = [image.number for image in self._promised]
        if self._control is None:
            self._control = _open_control()
        number = fcntl.ioctl(self._control, _LOOP_CTL_GET_FREE)
        if number in promised:
            number = max(promised) + 1
            while os.path.exists(f"/sys/block/loop{number}/loop"):
                number += 1
        return _open_loop(self._control, number), number


def image_bytes(size_mb: int) -> int:
    """Of an image with that much room: there is a table of inodes in it, and ext4 keeps 16 MB for itself."""
    return (size_mb + size_mb // 60 + 20) * _MIB


def make_template(size_mb: int) -> Template:
    """An empty file system of this size. Mounts it once, in a process of its own, which also shows that it can be.

    Raises: ImagesUnavailableError.
    """
    mkfs = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:" + os.environ.get("PATH", ""))
    if mkfs is None:
        raise ImagesUnavailableError("there is no mkfs.ext4 (package e2fsprogs)")
    file_fd = os.memfd_create("cosset-tmp", os.MFD_CLOEXEC)
    told, teller = os.pipe()
    try:
        os.ftruncate(file_fd, image_bytes(size_mb))
        pid = os.fork()
        if pid == 0:
            _make_file_system(mkfs, file_fd, teller)
        os.close(teller)
        teller = -1
        reason = os.read(told, 1024).decode(errors="replace")
        if os.waitpid(pid, 0)[1] != 0:
            raise ImagesUnavailableError(reason or "the process that tried was killed")
        return _content(file_fd)
    finally:
        for fd in (file_fd, told, teller):
            if fd >= 0:
                os.close(fd)


def _make_file_system(mkfs: str, file_fd: int, teller: int) -> None:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
        os.set_inheritable(file_fd, True)
        options = ["-q", "-F", "-O", "^has_journal,^resize_inode", "-m", "0", "-i", str(_BYTES_AN_INODE)]
        command = [mkfs, *options, "-E", "lazy_itable_init=1", f"/proc/self/fd/{file_fd}"]
        status = os.waitpid(os.posix_spawn(mkfs, command, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}), 0)[1]
        if status != 0:
            raise OSError(f"mkfs.ext4 ended with {os.waitstatus_to_exitcode(status)}")
        loop_fd = _attach(file_fd)
        filesystem.mount_disk(loop_fd, "/tmp")
        os.rmdir("/tmp/lost+found")
        kernel.unmount_now("/tmp")
        os.close(loop_fd)
        code = 0
    except OSError as error:
        os.write(teller, str(error).encode()[:1000])
    finally:
        os._exit(code)


def _content(fd: int) -> Template:
    """Everything but the holes."""
    found: Template = []
    end = 0
    while True:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return found
            raise
        end = os.lseek(fd, start, os.SEEK_HOLE)
        for offset in range(start, end, loops.BLOCK_BYTES):
            data = os.pread(fd, loops.BLOCK_BYTES, offset)
            if not data.strip(b"\0"):
                continue
            if found and sum((found[-1][0], len(found[-1][1]))) == offset:
                found[-1] = (found[-1][0], found[-1][1] + data)
            else:
                found.append((offset, data))


def _attach(file_fd: int) -> int:
    """A loop device on the file.

    Raises: OSError.
    """
    control = _open_control()
    try:
        for _ in range(_TRIES):
            loop_fd = _open_loop(control, fcntl.ioctl(control, _LOOP_CTL_GET_FREE))
            try:
                loops.configure(loop_fd, file_fd)
                return loop_fd
            except loops.TakenError:
                os.close(loop_fd)
    finally:
        os.close(control)
    raise OSError("no loop device: others take them all")


def _open_control() -> int:
    return os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)


def _open_loop(control: int, number: int) -> int:
    try:
        return os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        fcntl.ioctl(control, _LOOP_CTL_ADD, number)
        return os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
