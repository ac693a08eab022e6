"""A disk that is full in the middle of an object: it is refused, and takes nothing of what is left."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cosset.services.s3.checksums import Digests
from cosset.services.s3.object_files import ObjectFiles, Span
from cosset.store.errors import DiskFullError
from support.small_disk import small_disk

PIECE = os.urandom(512 * 1024)


async def body(pieces: int) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield PIECE


def test_a_disk_that_is_full_in_the_middle_of_an_object_is_left_as_it_was(tmp_path: Path) -> None:
    async def main() -> None:
        with small_disk(tmp_path) as disk:
            files = ObjectFiles(disk.path / "objects")
            kept = await files.write(body(2), Digests())
            disk.fill(leave=3 << 20)
            with pytest.raises(DiskFullError):
                await files.write(body(16), Digests())
            found = [path.name for path in (disk.path / "objects").rglob("*") if path.is_file()]
            assert found == list(kept.names)
            again = await files.write(body(4), Digests())
            chunks = [chunk async for chunk in await files.read(again, Span(0, again.size))]
            assert b"".join(chunks) == PIECE * 4

    asyncio.run(main())
