"""What an environment sees of the disk: a read-only root made of named paths, and its own few folders on top.

A spawner enters its root once; every environment it forks takes a private copy and adds /var/task, /opt, /tmp and
/proc. The folders these come from lie under HIDDEN, which is gone before any code of the function runs.
Refuses nothing: the launcher has checked every path. Read next: seal.py.
"""

from __future__ import annotations

import os
import stat

from . import kernel

MYPY = False
if MYPY:
    from collections.abc import Sequence
    from typing import Any

HIDDEN = "/.cosset"
DATA = HIDDEN + "/data"
SCRATCH = HIDDEN + "/scratch"
RUNTIMES = HIDDEN + "/runtimes"
NEW_PROC = HIDDEN + "/proc"
_OLD_ROOT = HIDDEN + "/old"

SANDBOX_UID = 993
SANDBOX_GID = 990
"""The user inside, by the numbers AWS gives its own (sbx_user1051)."""

_SYSTEM_FOLDERS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr")
_SHARED_CONFIGURATION = ("/etc/pki/ca-trust/extracted", "/etc/alternatives")
_CERTIFICATES = ("/etc/ssl/certs", "/etc/pki/tls/certs")
_BUNDLES = ("ca-certificates.crt", "ca-bundle.crt")
"""Of all authorities in one file, as the families of Linux call it: for Go, curl, and who else does not look into the
folder."""
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
OWN_AUTHORITY = "/etc/ssl/certs/cosset.pem"
JAVA_AUTHORITIES = "/etc/ssl/certs/cosset.jks"
"""The same as AUTHORITIES, in the one form that a JVM reads."""
_COPIED_CONFIGURATION = (
    "/etc/ld.so.cache",
    "/etc/mime.types",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/openssl.cnf",
)
_OWN_CONFIGURATION = {
    "/etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\n"
    "sbx_user1051:x:%d:%d::/home/sbx_user1051:/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n" % (SANDBOX_UID, SANDBOX_GID),
    "/etc/group": "root:x:0:\nsbx_group:x:%d:\nnogroup:x:65534:\n" % SANDBOX_GID,
    "/etc/hosts": "127.0.0.1 localhost sandbox sandbox.localdomain\n",
    "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:3 attempts:2\n",
    "/etc/environment": "",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_LARGEST_COPY_BYTES = 512 * 1024
_DEVICES = ("null", "zero", "full", "random", "urandom")
_EMPTY, _EMPTY_FILE = "/home", "/etc/environment"
_COVERED = tuple("/proc/" + name for name in ("acpi", "asound", "bus", "driver", "dynamic_debug", "fs", "irq", "scsi"))
_COVERED_FILES = tuple("/proc/" + name for name in ("cmdline", "diskstats", "locks", "partitions"))
_EMPTY_FOLDERS = ("/proc", "/tmp", "/opt", "/var/task", "/var/runtime", "/home", HIDDEN)
_HIDDEN_FOLDERS = (DATA, SCRATCH, NEW_PROC, _OLD_ROOT)

DISK_OPTIONS = "noinit_itable"
"""Its inodes are left as the holes that they are in the image."""
_READ_ONLY = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
# What statvfs says of a mount, and the flag that says the same when mounting. A user namespace may not clear them.
_KEPT_FLAGS = {2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: kernel.MS_RELATIME}


class Authority:
    """A certificate authority: its certificate in PEM, and OpenSSL's hash of its subject, by which it is looked up."""

    def __init__(self, certificate: bytes, subject_hash: str) -> None:
        self.certificate = certificate
        self.subject_hash = subject_hash


def enter_root(
    mount_point: str,
    folders: dict[str, str],
    copies: dict[str, str],
    authority: Authority | None,
    has_java_store: bool = False,
) -> None:
    """Gives this process, in a mount namespace of its own, the read-only root that its environments start from.

    `folders` maps places inside to further host folders or files; DATA and SCRATCH stay writable. `copies` maps
    small files. `authority` is trusted besides those that the host trusts; None: there is no such. `has_java_store`: so
    that a JVM can trust it, too.
    """
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("cosset", mount_point, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0755,size=8m")
    for folder in _EMPTY_FOLDERS:
        os.makedirs(mount_point + folder, 0o755)
    # A mount of its own, so that all below it can be taken away in one stroke: each costs a grace period.
    kernel.mount("cosset", mount_point + HIDDEN, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0700,size=64k")
    for folder in _HIDDEN_FOLDERS:
        os.makedirs(mount_point + folder, 0o755)
    _add_system(mount_point)
    _add_configuration(mount_point)
    _add_certificates(mount_point, authority)
    if has_java_store and authority is not None:
        from . import java_store  # what a Python spawner loads, its functions would find loaded

        with open(mount_point + AUTHORITIES, "rb") as bundle, open(mount_point + JAVA_AUTHORITIES, "wb") as store:
            store.write(java_store.of_bundle(bundle.read()))
    _add_devices(mount_point)
    for target, source in sorted(folders.items()):
        bind(source, mount_point + target, 0 if target in (DATA, SCRATCH) else _READ_ONLY)
    for source, target in copies.items():
        _copy(source, mount_point + target)
    bind("/proc", mount_point + "/proc", 0)
    kernel.pivot_root(mount_point, mount_point + _OLD_ROOT)
    os.chdir("/")
    kernel.unmount(_OLD_ROOT)
    kernel.mount("none", "/", None, kernel.MS_REMOUNT | kernel.MS_BIND | _READ_ONLY)


def bind(source: str, target: str, flags: int) -> None:
    """Shows `source` at `target` too, making the place when it is missing."""
    _make_place(source, target)
    try:
        kernel.mount(source, target, None, kernel.MS_BIND)
    except OSError:
        # In a user namespace a mount with others below it can only be taken whole.
        kernel.mount(source, target, None, kernel.MS_BIND | kernel.MS_REC)
    if flags:
        present = os.statvfs(target).f_flag
        kept = sum(flag for seen, flag in _KEPT_FLAGS.items() if present & seen)
        kernel.mount("none", target, None, kernel.MS_REMOUNT | kernel.MS_BIND | kept | flags)


def add_own_proc() -> None:
    """A /proc of this process's pid namespace instead of the host's; of what the kernel tells everybody there about
    the machine, not what concerns its disks (those behind other environments' /tmp, too) and devices."""
    # Mounted beside the old one first: in a user namespace the kernel gives no new proc where none is seen.
    kernel.mount("proc", NEW_PROC, "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    kernel.unmount("/proc")
    kernel.mount(NEW_PROC, "/proc", None, kernel.MS_MOVE)
    for cover, place in covered():
        kernel.mount(cover, place, None, kernel.MS_BIND)


def covered() -> list[tuple[str, str]]:
    """What of /proc is hidden, of what this kernel has, each behind what it is covered with: an empty folder, or an
    empty file."""
    folders = [(_EMPTY, folder) for folder in _COVERED if os.path.isdir(folder)]
    return folders + [(_EMPTY_FILE, file) for file in _COVERED_FILES if os.path.exists(file)]


def mount_disk(fd: int, target: str) -> None:
    """Shows the ext4 on the block device `fd`."""
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOATIME
    kernel.mount("/proc/self/fd/%d" % fd, target, "ext4", flags, DISK_OPTIONS)


def add_own_folders(code: str, layers: Sequence[str], scratch: str | None) -> None:
    """/var/task, /opt and /tmp of one environment; then nothing under HIDDEN is left.

    `code` and `layers` are paths below DATA, `scratch` the name of a folder in SCRATCH; None: /tmp has a disk of its
    own already. Of several layers the later covers the earlier, as on AWS.
    """
    bind(os.path.join(DATA, code), "/var/task", _READ_ONLY)
    paths = [os.path.join(DATA, layer) for layer in layers]
    if len(paths) == 1:
        bind(paths[0], "/opt", _READ_ONLY)
    elif paths:
        kernel.mount("layers", "/opt", "overlay", _READ_ONLY, "lowerdir=" + ":".join(reversed(paths)))
    if scratch is not None:
        bind(os.path.join(SCRATCH, scratch), "/tmp", kernel.MS_NOSUID | kernel.MS_NODEV)
    kernel.unmount(HIDDEN)


def _copy(source: str, target: str) -> None:
    with open(source, "rb") as file, open(target, "wb") as copy:
        copy.write(file.read())


def _make_place(source: str, target: str) -> None:
    if os.path.lexists(target):
        return
    if os.path.isdir(source):
        os.makedirs(target, 0o755)
        return
    os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))


def _add_system(root: str) -> None:
    for folder in _SYSTEM_FOLDERS:
        if os.path.islink(folder):
            os.symlink(os.readlink(folder), root + folder)
        elif os.path.isdir(folder):
            bind(folder, root + folder, _READ_ONLY)


def _add_configuration(root: str) -> None:
    os.makedirs(root + "/etc", 0o755)
    for folder in _SHARED_CONFIGURATION:
        if os.path.isdir(folder):
            bind(folder, root + folder, _READ_ONLY)
    contents: dict[str, Any] = dict(_OWN_CONFIGURATION)
    for path in _COPIED_CONFIGURATION:
        if os.path.isfile(path):
            with open(path, "rb") as file:
                contents[path] = file.read()
    for path, content in contents.items():
        os.makedirs(os.path.dirname(root + path), 0o755, exist_ok=True)
        with open(root + path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())


def _add_certificates(root: str, authority: Authority | None) -> None:
    """The host's, in folders of our own, so that one may be added in each way in which it is looked for."""
    for folder in _CERTIFICATES:
        if authority is None:
            if os.path.isdir(folder):
                bind(folder, root + folder, _READ_ONLY)
            continue
        if folder == os.path.dirname(AUTHORITIES) or os.path.isdir(folder):
            os.makedirs(root + folder)
            for entry in os.scandir(folder) if os.path.isdir(folder) else ():
                _show_certificate(entry, root + entry.path)
            for bundle in _BUNDLES:
                if folder + "/" + bundle == AUTHORITIES or os.path.exists(folder + "/" + bundle):
                    _write_bundle(folder + "/" + bundle, root, authority)
            for name in ("cosset.pem", authority.subject_hash + ".0"):
                with open("%s%s/%s" % (root, folder, name), "wb") as file:
                    file.write(authority.certificate)


def _show_certificate(entry: os.DirEntry[str], target: str) -> None:
    if entry.is_symlink():
        os.symlink(os.readlink(entry.path), target)
    elif entry.is_dir() or entry.stat().st_size > _LARGEST_COPY_BYTES:
        bind(entry.path, target, _READ_ONLY)
    else:
        _copy(entry.path, target)


def _write_bundle(path: str, root: str, authority: Authority) -> None:
    content = b""
    if os.path.exists(path):
        with open(path, "rb") as file:
            content = file.read()
    if os.path.lexists(root + path):
        os.unlink(root + path)
    with open(root + path, "wb") as file:
        file.write(content + authority.certificate)


def _add_devices(root: str) -> None:
    os.makedirs(root + "/dev", 0o755)
    for name in _DEVICES:
        bind("/dev/" + name, root + "/dev/" + name, kernel.MS_NOSUID | kernel.MS_NOEXEC)
    for name, target in {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        os.symlink(target, root + "/dev/" + name)


def unveil(paths: Sequence[str]) -> None:
    """Makes `paths` reachable for a process without privileges, in a mount namespace of its own.

    A folder on the way that others may not enter is covered by an empty one that they may, with the paths bound
    below it: nothing else of it shows, and the host's own permissions stay as they are. Where none is closed, nothing
    is done.

    Raises: PermissionError, where a container's root may not.
    """
    closed = _closed_folders(paths)
    if not closed:
        return
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    for cover, below in closed.items():
        handles = {path: os.open(path, os.O_PATH) for path in below}
        kernel.mount("cosset", cover, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0755,size=1m")
        for path, handle in handles.items():
            _make_place("/proc/self/fd/%d" % handle, path)
            kernel.mount("/proc/self/fd/%d" % handle, path, None, kernel.MS_BIND)
            os.close(handle)
        kernel.mount("none", cover, None, kernel.MS_REMOUNT | kernel.MS_BIND | _READ_ONLY)


def _closed_folders(paths: Sequence[str]) -> dict[str, list[str]]:
    """For each path its topmost ancestor that others may not enter; a path below another of them is left out."""
    found: dict[str, list[str]] = {}
    kept: list[str] = []
    for path in sorted(set(map(os.path.realpath, paths))):
        if any(path == other or path.startswith(other + "/") for other in kept):
            continue
        kept.append(path)
        parts = path.split("/")
        for length in range(2, len(parts)):
            ancestor = "/".join(parts[:length])
            if not os.stat(ancestor).st_mode & stat.S_IXOTH:
                found.setdefault(ancestor, []).append(path)
                break
    return found
