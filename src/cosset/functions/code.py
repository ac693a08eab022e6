"""Keeps deployment packages: the zip as a blob, its contents as a folder beside it, both named by their hash.

`keep` before the transaction that refers to the package, so that a row never names what is not there. What no row
names any more is collected later, when no environment can still be running from it. Read next: archive.py.
"""

import asyncio
import base64
import errno
import hashlib
import logging
import shutil
from pathlib import Path

from cosset.clock import Clock
from cosset.functions import archive, package_records
from cosset.functions.model import Code
from cosset.store.blobs import Blobs
from cosset.store.database import Store
from cosset.store.errors import DiskFullError

logger = logging.getLogger(__name__)

# Longer than any invocation and any idle environment: nothing runs from a folder that nobody wanted for so long.
GRACE_MS = 3_600_000
_UNPACKING_AT_ONCE = 2


class CodeStore:
    """Packages in `blobs`, unpacked under `folder`."""

    def __init__(self, store: Store, blobs: Blobs, folder: Path, clock: Clock) -> None:
        self._store = store
        self._blobs = blobs
        self._folder = folder
        self._clock = clock
        # Guards this node's files between being noted as wanted and being written, against `collect`.
        self._files = asyncio.Lock()
        self._unpacking = asyncio.Semaphore(_UNPACKING_AT_ONCE)

    async def start(self) -> None:
        """Removes what a crash left, and what nobody wants; nothing runs yet."""
        await asyncio.to_thread(self._prepare_folder)
        try:
            await self.collect()
        except DiskFullError as error:  # a full disk must not keep a node from starting: what is there still runs
            logger.warning("packages that no function holds are not collected yet: %s", error)

    async def check(self, package: bytes) -> Code:
        """What `keep` would answer, keeping nothing.

        Raises:
            ServiceError: the package is refused, in AWS's words.
        """
        await asyncio.to_thread(archive.measure, package)
        return await asyncio.to_thread(describe, package)

    async def keep(self, package: bytes) -> Code:
        """Makes the package durable, unpacked and ready to run. The same package twice is kept once.

        Raises:
            ServiceError: the package is refused, in AWS's words; what is left of it is collected later.
            DiskFullError: there is no room.
        """
        async with self._unpacking:
            unzipped_bytes = await asyncio.to_thread(archive.measure, package)
            code = await asyncio.to_thread(describe, package)
            async with self._files:
                now_ms = self._clock.now_ms()
                await self._store.write(
                    lambda tx: package_records.want_package(tx, code.digest, unzipped_bytes, now_ms)
                )
            # From here on `collect` leaves the files alone for an hour.
            await self._blobs.put(package)
            await asyncio.to_thread(self._unpack, package, code.digest)
        return code

    def folder(self, digest: str) -> Path:
        """Where the package is unpacked."""
        return self._folder / digest

    def zip_path(self, digest: str) -> Path:
        """The package as it was uploaded. Raises ValueError for what is no digest."""
        return self._blobs.path(digest)

    async def collect(self) -> int:
        """Deletes packages that nobody has wanted for an hour; how many they were."""
        async with self._files:
            before_ms = self._clock.now_ms() - GRACE_MS
            digests = await self._store.write(lambda tx: package_records.take_unwanted_packages(tx, before_ms))
            for digest in digests:
                await asyncio.to_thread(shutil.rmtree, self.folder(digest), ignore_errors=True)
                await self._blobs.delete(digest)
        if digests:
            logger.info("collected %d packages that no function holds", len(digests))
        return len(digests)

    def _unpack(self, package: bytes, digest: str) -> None:
        try:
            archive.unpack(package, self.folder(digest))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFullError(self._folder) from error
            raise

    def _prepare_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        archive.sweep(self._folder)


def describe(package: bytes) -> Code:
    digest = hashlib.sha256(package)
    return Code(digest.hexdigest(), base64.b64encode(digest.digest()).decode(), len(package))
