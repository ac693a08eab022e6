"""Code, layers, objects: bytes kept under the hash of their content, each in a file that is whole or not there.

It counts no references: whoever deletes knows that no row names the blob any more.
"""

import asyncio
import fcntl
import hashlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

from cosset.store.disk import DiskWatch, sync_folder
from cosset.store.errors import DiskFullError

_DIGEST = re.compile(r"[0-9a-f]{64}")
_OUT_OF_SPACE = (28, 122)  # ENOSPC, EDQUOT


class Blobs:
    """Blobs in `folder`. What an interrupted `put` left is removed when the folder is opened."""

    def __init__(self, folder: Path, *, min_free_mb: int = 0) -> None:
        self._folder = folder
        self._unfinished = folder / "unfinished"
        self._unfinished.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._watch = DiskWatch(folder, min_free_mb)
        self._remove_leftovers()

    async def put(self, data: bytes | AsyncIterator[bytes]) -> tuple[str, int]:
        """The hex SHA-256 and the size, once the blob outlasts a power loss. Holds one chunk in memory at a time.

        Raises DiskFullError. What raises, or is cancelled, leaves nothing behind.
        """
        draft = await asyncio.to_thread(_Draft, self._unfinished, self._watch)
        try:
            if isinstance(data, bytes):
                await asyncio.to_thread(draft.write, data)
            else:
                async for chunk in data:
                    await asyncio.to_thread(draft.write, chunk)
            await asyncio.to_thread(draft.keep, self)
        finally:
            draft.close()
        return draft.digest, draft.size

    async def get(self, digest: str) -> bytes:
        """The whole blob. Raises FileNotFoundError. For large blobs, open `path(digest)` instead."""
        return await asyncio.to_thread(self.path(digest).read_bytes)

    def path(self, digest: str) -> Path:
        """Where the blob is, or would be. Never write there."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"not a digest: {digest!r}")
        return self._folder / digest[:2] / digest

    async def delete(self, digest: str) -> None:
        """Forgets the blob. One that is not there is no error."""
        await asyncio.to_thread(self.path(digest).unlink, missing_ok=True)

    def _remove_leftovers(self) -> None:
        # Several nodes may share the folder: what a living process writes is locked by it.
        for path in self._unfinished.iterdir():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
            except BlockingIOError:
                pass
            finally:
                os.close(descriptor)


class _Draft:
    """A blob being written. Blocks: used on threads, by one caller at a time."""

    def __init__(self, folder: Path, watch: DiskWatch) -> None:
        self._watch = watch
        self._path = folder / uuid4().hex
        self._file = self._path.open("xb", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        self._watch.check(len(chunk))
        try:
            view = memoryview(chunk)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise self._explained(error) from error
        self._hash.update(chunk)
        self.size += len(chunk)

    def keep(self, blobs: Blobs) -> None:
        target = blobs.path(self.digest)
        try:
            os.fsync(self._file.fileno())
            target.parent.mkdir(exist_ok=True, mode=0o700)
            sync_folder(target.parent.parent)  # also when another put made it: that one may not be here yet
            self._path.rename(target)
            sync_folder(target.parent)
        except OSError as error:
            raise self._explained(error) from error

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()

    def _explained(self, error: OSError) -> Exception:
        return DiskFullError(self._path.parent) if error.errno in _OUT_OF_SPACE else error
