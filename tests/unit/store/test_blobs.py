"""Blobs are whole or not there."""

import asyncio
import fcntl
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cosset.store.blobs import Blobs
from cosset.store.errors import DiskFullError


async def chunks(*parts: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if error is not None:
        raise error


def unfinished(folder: Path) -> list[Path]:
    return list((folder / "unfinished").iterdir())


def test_a_blob_is_kept_under_its_hash(tmp_path: Path) -> None:
    async def main() -> None:
        blobs = Blobs(tmp_path)
        digest, size = await blobs.put(b"wool")
        assert (digest, size) == (hashlib.sha256(b"wool").hexdigest(), 4)
        assert await blobs.get(digest) == b"wool"
        assert await Blobs(tmp_path).get(digest) == b"wool"
        assert await blobs.put(chunks(b"wo", b"", b"ol")) == (digest, 4)
        assert await blobs.put(b"") == (hashlib.sha256(b"").hexdigest(), 0)
        assert unfinished(tmp_path) == []

    asyncio.run(main())


def test_a_deleted_blob_is_gone(tmp_path: Path) -> None:
    async def main() -> None:
        blobs = Blobs(tmp_path)
        digest, _ = await blobs.put(b"wool")
        await blobs.delete(digest)
        await blobs.delete(digest)
        with pytest.raises(FileNotFoundError):
            await blobs.get(digest)

    asyncio.run(main())


def test_a_broken_upload_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        blobs = Blobs(tmp_path)
        with pytest.raises(ConnectionError):
            await blobs.put(chunks(b"half", error=ConnectionError()))

    asyncio.run(main())
    assert unfinished(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["unfinished"]


def test_what_a_crash_left_is_removed_and_what_lives_is_not(tmp_path: Path) -> None:
    Blobs(tmp_path)
    (tmp_path / "unfinished" / "dead").write_bytes(b"half")
    with (tmp_path / "unfinished" / "alive").open("wb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        Blobs(tmp_path)
        assert [path.name for path in unfinished(tmp_path)] == ["alive"]


def test_the_same_blob_from_many_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        blobs = Blobs(tmp_path)
        results = await asyncio.gather(*(blobs.put(b"wool" * 1000) for _ in range(16)))
        assert len(set(results)) == 1
        assert await blobs.get(results[0][0]) == b"wool" * 1000
        assert unfinished(tmp_path) == []

    asyncio.run(main())


@pytest.mark.parametrize("digest", ["", "../" * 20, "g" * 64, "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_a_digest_names_a_blob(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ValueError, match="digest"):
        Blobs(tmp_path).path(digest)


def test_below_the_mark_a_blob_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(DiskFullError):
            await Blobs(tmp_path, min_free_mb=1 << 40).put(b"wool")
        assert unfinished(tmp_path) == []

    asyncio.run(main())
