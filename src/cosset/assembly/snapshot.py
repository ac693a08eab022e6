"""A snapshot: the whole state of an installation in one file, and back. By the data folder itself, as its owner.

While a server runs: the database is copied as it is at one moment, without holding anybody up; files are pinned by
hard links before and after, so that what the database names is there; logs come last, so that they hold at least what
the database says has ended. What is left out: what a start makes anew (scratch, locks). Read next:
store/snapshot_file.py, the format; store/snapshot_database.py.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cosset import __version__
from cosset.assembly.tables import EVERY_TABLE
from cosset.clock import SystemClock
from cosset.settings import Settings
from cosset.store.disk import sync_folder
from cosset.store.errors import StoreError
from cosset.store.folder_lock import FolderLock
from cosset.store.root_key import FILE_NAME as ROOT_KEY
from cosset.store.snapshot_database import NEWEST_SCHEMA, back_up, export_postgresql, import_postgresql, schema_of
from cosset.store.snapshot_file import Manifest, SnapshotReader, SnapshotWriter
from cosset.store.sqlite import FILE_NAME as DATABASE

LOGS = "logs"
_STAGING = ".snapshot-"
_LEFT_OUT = frozenset({"scratch", "lock", LOGS, "unfinished"})


def save(settings: Settings, file: IO[bytes], *, with_root_key: bool = True) -> Manifest:
    """Writes the snapshot; what is written is whole when this returns. Raises: StoreError, OSError, sqlite3.Error."""
    assert EVERY_TABLE
    data = settings.data
    assert data is not None
    if settings.database is None and not (data / DATABASE).exists():
        raise StoreError(f"There is no database in {data}: has a server run there?")
    with _staging(data) as staging:
        pinned = staging / "files"
        pinned.mkdir()
        _pin(data, pinned)
        database = staging / DATABASE
        if settings.database is None:
            back_up(data / DATABASE, database)
        else:
            export_postgresql(settings.database, database)
        (staging / LOGS).mkdir()
        for path in sorted((data / LOGS).glob("*.db")):
            back_up(path, staging / LOGS / path.name)
        _pin(data, pinned)
        manifest = Manifest(
            cosset=__version__,
            schema=schema_of(database),
            engine="sqlite" if settings.database is None else "postgresql",
            made_ms=SystemClock().now_ms(),
        )
        writer = SnapshotWriter(file, manifest)
        writer.add(DATABASE, database)
        for path in sorted((staging / LOGS).iterdir()):
            writer.add(f"{LOGS}/{path.name}", path)
        _add_tree(writer, pinned, with_root_key=with_root_key)
        if with_root_key and settings.key_file is not None:
            writer.add(ROOT_KEY, settings.key_file)
        writer.finish()
    return manifest


def load(settings: Settings, file: IO[bytes], *, replace: bool = False) -> Manifest:
    """Makes the data folder, and fills the database, from a snapshot: as a whole, or nothing is changed.

    Raises: StoreError: in use, not empty; SnapshotError: no snapshot, damaged, made by a newer Cosset.
    """
    assert EVERY_TABLE
    data = settings.data
    assert data is not None
    _check_free(data, replace=replace)
    reader = SnapshotReader(file, newest_schema=NEWEST_SCHEMA)
    fresh = data.with_name(f"{data.name}{_STAGING}{secrets.token_hex(4)}")
    fresh.mkdir(mode=0o700, parents=True)
    try:
        reader.extract(fresh)
        if settings.key_file is not None:
            _place_key(fresh / ROOT_KEY, settings.key_file)
        if settings.database is not None:
            import_postgresql(settings.database, fresh / DATABASE)
            (fresh / DATABASE).unlink()
        _put_in_place(fresh, data)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return reader.manifest


def _check_free(data: Path, *, replace: bool) -> None:
    if not data.exists():
        return
    for folder in (data, data / LOGS):
        _check_idle(folder)
    names = set(os.listdir(data)) - {"lock", "scratch"}
    if names and not replace:
        raise StoreError(f"The data folder {data} is not empty. Name another one, or give up what it holds: --replace")
    if names and DATABASE not in names and ROOT_KEY not in names:
        raise StoreError(f"{data} is not empty and no data folder of Cosset: choose a new or an empty one.")


def _check_idle(folder: Path) -> None:
    """Raises: StoreError, when a server has it."""
    if folder.is_dir():
        had_lock = (folder / "lock").exists()
        FolderLock(folder, patience_s=0.2).release()
        if not had_lock:
            (folder / "lock").unlink()  # else it would be root's, where root asked


def _place_key(made: Path, key_file: Path) -> None:
    """Where the settings want it, unless there is one already."""
    if made.exists():
        if not key_file.exists():
            key_file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made, key_file)
            key_file.chmod(0o600)
        made.unlink()


def _put_in_place(fresh: Path, data: Path) -> None:
    """By renaming: whatever is cut short, there is one whole folder."""
    old = data.with_name(f"{data.name}.old-{secrets.token_hex(4)}")
    if data.exists():
        data.rename(old)
    fresh.rename(data)
    sync_folder(data.parent)
    if old.exists():
        shutil.rmtree(old)


@contextmanager
def _staging(data: Path) -> Iterator[Path]:
    """A folder on the same disk, for links; removed in the end, and so are those that a killed `save` left."""
    for left in data.glob(f"{_STAGING}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = data / f"{_STAGING}{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pin(data: Path, pinned: Path) -> None:
    """Links to every file that the folder has now. One that goes meanwhile is not missed: nobody named it."""
    for place, folders, files in os.walk(data):
        within = Path(place).relative_to(data)
        at_top = within == Path()
        folders[:] = [name for name in folders if not _is_left_out(name, at_top=at_top)]
        (pinned / within).mkdir(exist_ok=True)
        for name in folders:
            if (data / within / name).is_symlink():
                _link(data / within / name, pinned / within / name)
        for name in files:
            if not _is_left_out(name, at_top=at_top):
                _link(data / within / name, pinned / within / name)


def _link(source: Path, target: Path) -> None:
    if target.is_symlink() or target.exists():
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except FileNotFoundError:
        return
    except OSError:  # a disk without hard links
        shutil.copy2(source, target, follow_symlinks=False)


def _is_left_out(name: str, *, at_top: bool) -> bool:
    if at_top:
        return name in _LEFT_OUT or name.startswith((DATABASE, _STAGING))
    return name == "unfinished"


def _add_tree(writer: SnapshotWriter, pinned: Path, *, with_root_key: bool) -> None:
    for place, folders, files in os.walk(pinned):
        within = Path(place).relative_to(pinned)
        folders.sort()
        if within != Path():
            writer.add(str(within), Path(place))
        for name in sorted(files + [each for each in folders if (Path(place) / each).is_symlink()]):
            path = Path(place) / name
            if within == Path() and name == ROOT_KEY and not with_root_key:
                continue
            if path.is_symlink() or path.is_file():
                writer.add(str(within / name), path)
