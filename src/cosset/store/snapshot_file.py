"""The format of a snapshot: a tar file that begins with a manifest and ends with the hashes of all that is between.

The manifest says by which Cosset it was made and in which version of the format and of the tables, so that one that is
too new is refused before anything is read. A file that was cut short or changed does not end in its hashes. Knows no
table and no folder of Cosset; next: assembly/snapshot.py.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

FORMAT = 1
MANIFEST, HASHES = "manifest.json", "hashes.json"
_CHUNK = 1024 * 1024
_MAX_JSON = 256 * 1024 * 1024


class SnapshotError(Exception):
    """The message says what is wrong with the file, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`schema` is the version of the database's tables; `engine` where they came from."""

    cosset: str
    schema: int
    engine: str
    made_ms: int
    format: int = FORMAT


class SnapshotWriter:
    """Writes one snapshot into `file`, member by member; `finish` makes it whole."""

    def __init__(self, file: IO[bytes], manifest: Manifest) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - `finish` ends it
        self._hashes: dict[str, str] = {}
        self._add_json(MANIFEST, asdict(manifest))

    def add(self, name: str, path: Path) -> None:
        """A regular file, a folder or a symbolic link, as it is."""
        info = self._tar.gettarinfo(path, name)
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        if info.islnk():
            info.type = tarfile.REGTYPE  # a file of several names is a file
            info.size = path.stat().st_size
        if not info.isreg():
            self._tar.addfile(info)
            self._hashes[name] = _shown(info)
            return
        with path.open("rb") as content:
            reading = _Hashing(content, info.size)
            self._tar.addfile(info, reading)
        self._hashes[name] = reading.hexdigest

    def finish(self) -> None:
        self._add_json(HASHES, self._hashes)
        self._tar.close()

    def _add_json(self, name: str, value: Mapping[str, Any]) -> None:
        text = json.dumps(value).encode()
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(text), 0o600
        self._tar.addfile(info, io.BytesIO(text))


class SnapshotReader:
    """Reads one snapshot. `manifest` is checked before anything else; `extract` all that is in it."""

    def __init__(self, file: IO[bytes], *, newest_schema: int) -> None:
        """Raises: SnapshotError, for what is no snapshot, or was made by a newer Cosset."""
        try:
            self._tar = tarfile.open(fileobj=file, mode="r|")  # noqa: SIM115 - the file is the caller's
            first = self._tar.next()
        except (tarfile.TarError, EOFError) as error:
            raise SnapshotError("This is no snapshot of Cosset.") from error
        if first is None or first.name != MANIFEST:
            raise SnapshotError("This is no snapshot of Cosset.")
        self.manifest = _manifest(self._json(first))
        _check(self.manifest, newest_schema)

    def extract(self, folder: Path) -> None:
        """Into an empty folder of its own; every file durable on return. Raises: SnapshotError, with a folder half
        full, for the caller to remove."""
        found: dict[str, str] = {}
        folders: list[tuple[Path, int]] = []
        links: list[Path] = []
        hashes: dict[str, Any] | None = None
        for info in self._members():
            if info.name == HASHES:
                hashes = self._json(info)
                break
            target = folder / _safe(info.name)
            _make_parents(target, folder)
            found[info.name] = self._put(info, target, folder)
            if info.isdir():
                folders.append((target, info.mode))
            if info.issym():
                links.append(target)
        for link in links:  # each by itself stays inside; one through another might not
            if not Path(os.path.realpath(link)).is_relative_to(os.path.realpath(folder)):
                raise SnapshotError(f"The snapshot holds what no snapshot holds: {link.name!r}.")
        if hashes is None:
            raise SnapshotError("The snapshot is cut short. Make another one.")
        if hashes != found:
            raise SnapshotError("The snapshot was changed or is damaged: its hashes do not hold. Make another one.")
        for path, mode in reversed(folders):
            path.chmod(mode & 0o777)
        _sync_tree(folder)

    def _members(self) -> Iterator[tarfile.TarInfo]:
        while True:
            try:
                info = self._tar.next()
            except (tarfile.TarError, EOFError) as error:
                raise SnapshotError("The snapshot is cut short. Make another one.") from error
            if info is None:
                return
            yield info

    def _put(self, info: tarfile.TarInfo, target: Path, folder: Path) -> str:
        if info.isdir():
            target.mkdir(exist_ok=True)
            return _shown(info)
        if info.issym():
            _check_link(info, folder)
            target.symlink_to(info.linkname)
            return _shown(info)
        content = self._tar.extractfile(info) if info.isreg() else None
        if content is None:
            raise SnapshotError(f"The snapshot holds what no snapshot holds: {info.name!r}.")
        digest = hashlib.sha256()
        try:
            with target.open("xb") as file:
                while chunk := content.read(_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        except (tarfile.TarError, EOFError) as error:
            raise SnapshotError("The snapshot is cut short. Make another one.") from error
        except FileExistsError as error:
            raise SnapshotError(f"The snapshot holds {info.name!r} twice.") from error
        target.chmod(info.mode & 0o777)
        return digest.hexdigest()

    def _json(self, info: tarfile.TarInfo) -> dict[str, Any]:
        content = self._tar.extractfile(info)
        try:
            if content is None or info.size > _MAX_JSON:
                raise ValueError
            value = json.loads(content.read())
            if not isinstance(value, dict):
                raise ValueError
        except (ValueError, RecursionError, tarfile.TarError, EOFError) as error:
            raise SnapshotError(f"The snapshot is damaged: its {info.name} cannot be read.") from error
        return value


class _Hashing(io.RawIOBase):
    """A file on its way: exactly `size` bytes of it, and their hash."""

    def __init__(self, content: IO[bytes], size: int) -> None:
        self._content = content
        self._left = size
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        data = self._content.read(wanted)
        self._left -= len(data)
        self._digest.update(data)
        return data

    @property
    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _manifest(values: Mapping[str, Any]) -> Manifest:
    number = values.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise SnapshotError(
            f"The snapshot was made by a newer Cosset ({values.get('cosset')}, format {number}; this one knows up to "
            f"{FORMAT}). Load it with that one, or a later one."
        )
    try:
        return Manifest(**values)
    except TypeError as error:
        raise SnapshotError("The snapshot is damaged: its manifest cannot be read.") from error


def _check(manifest: Manifest, newest_schema: int) -> None:
    if not isinstance(manifest.schema, int) or manifest.schema < 1 or manifest.format < 1:
        raise SnapshotError("The snapshot is damaged: its manifest cannot be read.")
    if manifest.schema > newest_schema:
        raise SnapshotError(
            f"The snapshot was made by a newer Cosset ({manifest.cosset}, schema {manifest.schema}; this one knows up "
            f"to {newest_schema}). Load it with that one, or a later one."
        )


def _safe(name: str) -> PurePosixPath:
    """Nothing may leave the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\x00" in name:
        raise SnapshotError(f"The snapshot holds what no snapshot holds: {name!r}.")
    return path


def _make_parents(target: Path, folder: Path) -> None:
    """Nothing is written through a link: where one leads is not looked at."""
    for parent in reversed(target.relative_to(folder).parents[:-1]):
        place = folder / parent
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise SnapshotError(f"The snapshot holds what no snapshot holds: {str(parent)!r}.")
        place.mkdir(exist_ok=True)


def _check_link(info: tarfile.TarInfo, folder: Path) -> None:
    """A link of a package stays within the folder, wherever the folder is."""
    target = os.path.normpath(os.path.join(folder, os.path.dirname(info.name), info.linkname))
    if os.path.isabs(info.linkname) or not target.startswith(f"{folder}{os.sep}"):
        raise SnapshotError(f"The snapshot holds what no snapshot holds: {info.name!r}.")


def _shown(info: tarfile.TarInfo) -> str:
    return f"-> {info.linkname}" if info.issym() else "folder"


def _sync_tree(folder: Path) -> None:
    for place, _, _ in os.walk(folder):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
