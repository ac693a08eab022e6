"""The files of objects: whole or not there, and nobody's are removed."""

import asyncio
import base64
import errno
import hashlib
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

import pytest

from cosset.services.s3 import drafts
from cosset.services.s3.checksums import Digests
from cosset.services.s3.object_files import INLINE_BYTES, ObjectFiles, Span, Stored
from cosset.store.errors import DiskFullError
from cosset.wire.message import BodyBrokenError
from cosset.wire.views import Chunk, Take, ViewedBody

DATA = os.urandom(2 * 1024 * 1024 + 12_345)
KEY = bytes(range(32))


async def pieces(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(files: ObjectFiles, stored: Stored, span: Span, key: bytes | None = None) -> bytes:
    return b"".join([chunk async for chunk in await files.read(stored, span, key)])


def on_disk(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("size", [0, 1, INLINE_BYTES, INLINE_BYTES + 1, 1 << 20, len(DATA)])
def test_what_was_written_is_read(tmp_path: Path, size: int, key: bytes | None) -> None:
    async def main() -> None:
        files, digests = ObjectFiles(tmp_path), Digests("SHA256")
        stored = await files.write(pieces(DATA[:size]), digests, key=key)
        assert stored.size == digests.size == size
        assert (stored.inline is not None) == (size <= INLINE_BYTES and key is None)
        for start, length in ((0, size), (size // 2, size - size // 2), (size // 3, size // 4)):
            assert await read(files, stored, Span(start, length), key) == DATA[start : start + length]
        if key is not None and size > 16:
            assert await read(files, stored, Span(0, size)) != DATA[:size]

    asyncio.run(main())


class Fast(ViewedBody):
    """Gives a piece, then pours `count` from one buffer as good as two, and so on. `good_for` as the door has it."""

    def __init__(self, data: bytes, size: int, count: int, good_for: int) -> None:
        self._left = [data[start : start + size] for start in range(0, len(data), size)][::-1]
        self._count = count
        self._good_for = good_for
        self._given: deque[bytearray] = deque()

    @property
    def good_for(self) -> int:
        return self._good_for

    @property
    def is_fast(self) -> bool:
        return bool(self._left)

    async def pour(self, take: Take) -> None:
        await asyncio.to_thread(self._pour, take)

    def _pour(self, take: Take) -> None:
        for _ in range(min(self._count, len(self._left))):
            take(self._next())

    async def next_view(self) -> Chunk | None:
        return self._next() if self._left else None

    def _next(self) -> memoryview:
        if len(self._given) == self._good_for:
            spoilt = self._given.popleft()
            spoilt[:] = bytes(len(spoilt))
        self._given.append(bytearray(self._left.pop()))
        return memoryview(self._given[-1])


@pytest.mark.parametrize("good_for", [2, 14])
@pytest.mark.parametrize(("size", "count"), [(10_000, 1), (100_000, 3), (100_000, 100), (1 << 20, 2)])
def test_what_is_poured_is_written_in_order(tmp_path: Path, size: int, count: int, good_for: int) -> None:
    async def main() -> None:
        files, digests = ObjectFiles(tmp_path), Digests("SHA256")
        stored = await files.write(Fast(DATA * 3, size, count, good_for), digests)
        assert await read(files, stored, Span(0, stored.size)) == DATA * 3
        assert digests.md5 == hashlib.md5(DATA * 3, usedforsecurity=False).hexdigest()
        assert digests.value("SHA256") == base64.b64encode(hashlib.sha256(DATA * 3).digest()).decode()

    asyncio.run(main())


def test_what_is_poured_onto_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, pieces: Sequence[bytes]) -> int:
        raise OSError(errno.ENOSPC, "full")

    async def main() -> None:
        monkeypatch.setattr(drafts.os, "writev", full)
        with pytest.raises(DiskFullError):
            await ObjectFiles(tmp_path).write(Fast(DATA * 3, 100_000, 50, 14), Digests())

    asyncio.run(main())
    assert on_disk(tmp_path) == []


def test_a_body_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield DATA
        yield DATA
        raise ValueError("gone")

    async def main() -> None:
        with pytest.raises(ValueError, match="gone"):
            await ObjectFiles(tmp_path).write(broken(), Digests())

    asyncio.run(main())
    assert on_disk(tmp_path) == []


def test_a_copy_outlives_its_source_and_shares_its_bytes(tmp_path: Path) -> None:
    async def main() -> None:
        files = ObjectFiles(tmp_path)
        source = await files.write(pieces(DATA), Digests())
        copy = await files.link(source)
        paths = [tmp_path / name[:2] / name for name in (*source.names, *copy.names)]
        assert paths[0].stat().st_ino == paths[1].stat().st_ino
        await files.remove(source.names)
        assert await read(files, copy, Span(0, len(DATA))) == DATA

    asyncio.run(main())


def test_a_body_under_way_is_whole_though_its_object_goes(tmp_path: Path) -> None:
    async def main() -> None:
        files = ObjectFiles(tmp_path)
        first = await files.write(pieces(DATA), Digests())
        second = await files.write(pieces(DATA[::-1]), Digests())
        stored = Stored(files=first.files + second.files)
        body = await files.read(stored, Span(0, stored.size))
        got = await anext(body)
        await files.remove(stored.names)
        got += b"".join([chunk async for chunk in body])
        assert got == DATA + DATA[::-1]
        with pytest.raises(FileNotFoundError):
            await files.read(stored, Span(0, 1))

    asyncio.run(main())


def test_a_file_that_is_too_short_breaks_the_body_off(tmp_path: Path) -> None:
    async def main() -> None:
        files = ObjectFiles(tmp_path)
        stored = await files.write(pieces(DATA), Digests())
        os.truncate(tmp_path / stored.names[0][:2] / stored.names[0], 1000)
        with pytest.raises(BodyBrokenError):
            await read(files, stored, Span(0, len(DATA)))

    asyncio.run(main())


def test_the_sweep_removes_what_nobody_names(tmp_path: Path) -> None:
    async def main() -> None:
        files = ObjectFiles(tmp_path)
        kept = await files.write(pieces(DATA), Digests())
        orphan = await files.write(pieces(DATA), Digests())

        async def are_named(names: Sequence[str]) -> Collection[str]:
            return set(names) & set(kept.names)

        assert await files.sweep(are_named, 0) == 0  # all of them are younger
        assert await files.sweep(are_named, 2**40) == 1
        assert on_disk(tmp_path) == list(kept.names)
        assert orphan.names[0] not in on_disk(tmp_path)

    asyncio.run(main())


def test_what_was_replaced_goes_behind_the_callers_back(tmp_path: Path) -> None:
    async def main() -> None:
        files = ObjectFiles(tmp_path)
        stored = [await files.write(DATA[:5000], Digests()) for _ in range(40)]
        for each in stored:
            await files.remove_soon(each.names)
        await files.remove_soon(stored[0].names)  # not there is no error

    asyncio.run(main())  # which ends its threads
    assert on_disk(tmp_path) == []


def test_who_is_cancelled_leaves_nothing_behind(tmp_path: Path) -> None:
    """Whatever the threads were at."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield DATA

    async def main() -> None:
        for turns in (1, 3, 10):
            writing = asyncio.create_task(ObjectFiles(tmp_path).write(endless(), Digests()))
            for _ in range(turns):
                await asyncio.sleep(0.001)
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            assert on_disk(tmp_path) == []

    asyncio.run(main())


def test_a_disk_that_is_slow_to_begin_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have as much to do as it takes at once: the rest is written to memory, and counted, meanwhile."""
    came, waited = threading.Event(), []

    def begin(*_: int) -> None:
        waited.append(came.wait(60))

    monkeypatch.setattr(drafts, "start_writing_back", begin)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield DATA
        came.set()

    async def main() -> None:
        files, digests = ObjectFiles(tmp_path), Digests()
        stored = await files.write(body(), digests)
        assert await read(files, stored, Span(0, stored.size)) == DATA * 4

    asyncio.run(main())
    assert waited
    assert all(waited)


def test_a_name_that_cannot_be_kept_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ObjectFiles(tmp_path)

    def full(folder: Path) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(drafts, "sync_folder", full)
    for body in (pieces(DATA), DATA):
        with pytest.raises(DiskFullError):
            asyncio.run(files.write(body, Digests()))
        assert on_disk(tmp_path) == []
