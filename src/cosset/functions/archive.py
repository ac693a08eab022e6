"""Deployment packages: checks an uploaded zip and unpacks it, trusting nothing that it says about itself.

Refuses what is not a zip, what is encrypted, what unpacks to more than AWS's limit, and every entry that is not a
plain file, a folder or a link inside the package. Blocking: call it off the event loop. Read next: code.py.
"""

import contextlib
import errno
import io
import lzma
import os
import shutil
import stat
import struct
import uuid
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cosset.functions import errors
from cosset.wire.errors import ServiceError

MAX_ZIPPED_BYTES = 52_428_800
"""Of a package that is sent with the call; one that is fetched may be as large as what is in it."""
MAX_UNZIPPED_BYTES = 262_144_000
MAX_ENTRIES = 200_000
"""Above this a zip is refused, with the folders that its names imply: a package of empty files must not eat the file
system's inodes."""
MAX_LINK_BYTES = 4096
MAX_DEPTH = 256
_FSYNC_EACH_UP_TO = 64
_CHUNK = 1 << 20
_ENTRY_MARK, _END_MARK, _END_64_MARK = b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x07"
_END_BYTES, _END_64_BYTES = 22, 20
_TAIL_BYTES = _END_BYTES + 65_535
"""Where the end of a zip is looked for: a comment may follow it."""
# What the file system says to names and links that it cannot hold: the zip is at fault, not this machine.
_BAD_PATH = (errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP, errno.ENOTDIR, errno.EILSEQ, errno.EISDIR, errno.EEXIST)

# What zipfile raises for input that is not what it claims to be.
_BROKEN_ZIP = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    IndexError,
    OverflowError,
)


class UnsafeEntryError(Exception):
    """An entry that would end up outside the package's folder, or is no plain file, folder or link."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to unpack. `path` is relative to the package and stays inside it."""

    path: PurePosixPath
    info: zipfile.ZipInfo
    kind: int
    executable: bool


def measure(package: bytes) -> int:
    """The bytes that the package says it holds, unpacked; `unpack` holds it to them.

    Raises:
        ServiceError: as `unpack`, for what can be told without unpacking.
    """
    return sum(entry.info.file_size for entry in read_entries(package))


def unpack(package: bytes, folder: Path) -> None:
    """Unpacks `package` so that `folder` appears complete or not at all.

    Files are 0644 or 0755, folders 0755, whatever the zip says, so that an environment's own user can read them.
    When `folder` exists it is complete already, and is left alone. A crash leaves only a `.unpacking-` folder, which
    `sweep` removes.

    Raises:
        ServiceError: InvalidParameterValueException, RequestEntityTooLargeException in AWS's words.
    """
    entries = read_entries(package)
    if folder.is_dir():
        return
    work = folder.parent / f".unpacking-{uuid.uuid4().hex}"
    work.mkdir(parents=True, mode=0o755)
    try:
        _write_entries(package, entries, work)
        _make_durable(work, len(entries))
        with contextlib.suppress(OSError):  # another call has just finished the same package: the folder is there
            work.rename(folder)
        if not folder.is_dir():
            raise FileNotFoundError(folder)
        _sync_folder(folder.parent)
    except (UnsafeEntryError, *_BROKEN_ZIP) as error:
        raise _could_not_unzip() from error
    except OSError as error:
        if error.errno in _BAD_PATH:
            raise _could_not_unzip() from error
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def read_entries(package: bytes) -> list[Entry]:
    """The entries of a zip that is safe to unpack, checked without unpacking it.

    Of entries with one name the last counts, as for `unzip -o`.
    """
    if _most_entries(package) > MAX_ENTRIES:
        raise _could_not_unzip()
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            infos = archive.infolist()
    except _BROKEN_ZIP as error:
        raise _could_not_unzip() from error
    if not infos:
        raise errors.invalid_parameter("Uploaded file must be a non-empty zip")
    if sum(info.file_size for info in infos) >= MAX_UNZIPPED_BYTES:
        raise too_large_unzipped()
    entries: dict[PurePosixPath, Entry] = {}
    try:
        for info in infos:
            entry = _entry_of(info)
            if entry is not None:
                entries[entry.path] = entry
        _refuse_tangled_paths(entries)
    except UnsafeEntryError as error:
        raise _could_not_unzip() from error
    return list(entries.values())


def sweep(folder: Path) -> None:
    """Removes what a crash left half unpacked."""
    for left in folder.glob(".unpacking-*"):
        shutil.rmtree(left, ignore_errors=True)


def too_large_unzipped() -> ServiceError:
    return errors.invalid_parameter(f"Unzipped size must be smaller than {MAX_UNZIPPED_BYTES} bytes")


def _could_not_unzip() -> ServiceError:
    return errors.invalid_parameter("Could not unzip uploaded file. Please check your file, then try to upload again.")


def _entry_of(info: zipfile.ZipInfo) -> Entry | None:
    if info.flag_bits & 0x1:
        raise UnsafeEntryError(f"{info.filename!r} is encrypted")
    name = info.orig_filename
    if "\0" in name or name.startswith("/"):
        raise UnsafeEntryError(f"{name!r} is not a relative path")
    path = PurePosixPath(name)
    if ".." in path.parts:
        raise UnsafeEntryError(f"{name!r} leaves the package")
    if not path.parts:  # "./", the package itself
        return None
    if len(path.parts) > MAX_DEPTH:
        raise UnsafeEntryError(f"{name[:80]!r}... lies too deep")
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode) or (stat.S_IFDIR if name.endswith("/") else stat.S_IFREG)
    if kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        raise UnsafeEntryError(f"{name!r} is neither a file nor a folder nor a link")
    if name.endswith("/"):
        kind = stat.S_IFDIR
    if kind == stat.S_IFLNK and info.file_size > MAX_LINK_BYTES:
        raise UnsafeEntryError(f"{name!r} links too far")
    return Entry(path, info, kind, bool(mode & 0o111))


def _most_entries(package: bytes) -> int:
    """No fewer than it has. Counted before they are read: each takes ten times its bytes in memory."""
    end = package.rfind(_END_MARK)
    if end < 0:
        return 0
    start, at_64 = 0, end - _END_64_BYTES
    is_the_only_one = package.find(_END_MARK, max(0, len(package) - _TAIL_BYTES)) == end
    if is_the_only_one and end + _END_BYTES <= len(package) and package[at_64 : at_64 + 4] != _END_64_MARK:
        (size,) = struct.unpack_from("<I", package, end + 12)
        start = max(0, end - size)
    return package.count(_ENTRY_MARK, start)


def _refuse_tangled_paths(entries: dict[PurePosixPath, Entry]) -> None:
    """Nothing may lie beneath a file or a link: only so is every parent a folder that we made ourselves."""
    folders: set[PurePosixPath] = set()
    for path in entries:
        for parent in path.parents:
            if parent in folders:
                break  # and so are those above it
            folders.add(parent)
            above = entries.get(parent)
            if above is not None and above.kind != stat.S_IFDIR:
                raise UnsafeEntryError(f"{path} lies beneath {parent}, which is not a folder")
        if len(folders) + len(entries) > MAX_ENTRIES:
            raise UnsafeEntryError("too many folders")


def _write_entries(package: bytes, entries: list[Entry], root: Path) -> None:
    written = 0
    links: list[tuple[Path, str]] = []
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        for entry in entries:
            target = root / entry.path
            if entry.kind == stat.S_IFDIR:
                _make_folder(target)
                continue
            _make_folder(target.parent)
            if entry.kind == stat.S_IFLNK:
                links.append((target, os.fsdecode(archive.read(entry.info))))
                continue
            written += _write_file(archive, entry, target, MAX_UNZIPPED_BYTES - written)
    # Links come last and are checked once all are there: nothing is ever written through one.
    for target, destination in links:
        if not destination or "\0" in destination or destination.startswith("/"):
            raise UnsafeEntryError(f"{target} links out of the package")
        target.symlink_to(destination)
    real_root = Path(os.path.realpath(root))
    for target, _ in links:
        if not Path(os.path.realpath(target)).is_relative_to(real_root):
            raise UnsafeEntryError(f"{target} links out of the package")


def _write_file(archive: zipfile.ZipFile, entry: Entry, target: Path, room: int) -> int:
    size = 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with archive.open(entry.info) as source, open(os.open(target, flags, 0o644), "wb") as sink:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > room:  # the directory of the zip lied about the size
                raise too_large_unzipped()
            sink.write(chunk)
        os.fchmod(sink.fileno(), 0o755 if entry.executable else 0o644)
    return size


def _make_folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)


def _make_durable(root: Path, count: int) -> None:
    """Modes as they should be whatever the umask, and everything on disk before the rename."""
    files: list[str] = []
    for where, _, names in os.walk(root):
        os.chmod(where, 0o755)
        if count <= _FSYNC_EACH_UP_TO:
            files += [os.path.join(where, name) for name in names]
            files.append(where)
    if count > _FSYNC_EACH_UP_TO:
        os.sync()  # one flush of everything is cheaper than thousands of single ones
        return
    for name in files:
        if not os.path.islink(name):
            _sync_folder(Path(name))


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
