"""The journal: what is kept, in what order, and what goes first when there is too much or it is too old."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cosset.store.errors import DiskFullError
from cosset.store.journal import PARTS, Journal, JournalBounds
from support.clock import ManualClock


@contextmanager
def journal(folder: Path, clock: ManualClock, max_bytes: int = 8_000, max_age_s: int = 800) -> Iterator[Journal]:
    made = Journal(folder / "lines", JournalBounds(max_bytes, max_age_s), clock)
    with closing(made):
        yield made


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "lines").iterdir())


def test_lines_come_back_in_order_also_over_a_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = ManualClock(1_000)
        with journal(tmp_path, clock) as first:
            await first.append([b"a", b"b"])
        with journal(tmp_path, clock) as second:  # in the same millisecond
            await second.append([b"c"])
            assert list(second.lines()) == [b"a", b"b", b"c"]
        assert len(list((tmp_path / "lines").iterdir())) == 2

    asyncio.run(scenario())


def test_size_is_bounded_and_the_oldest_goes_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        with journal(tmp_path, ManualClock(1_000)) as kept:
            for number in range(1_000):
                await kept.append([f"{number:099d}".encode()])
        assert size_of(tmp_path) <= 8_000
        lines = [int(line) for line in kept.lines()]
        assert lines == list(range(1_000 - len(lines), 1_000))
        assert len(lines) * 100 >= 8_000 - 2 * 8_000 // PARTS

    asyncio.run(scenario())


def test_what_is_too_old_goes_though_nothing_is_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = ManualClock(1_000_000)
        with journal(tmp_path, clock) as kept:
            await kept.append([b"old"])
            clock.advance(500)
            await kept.append([b"young"])
            await kept.prune()
            assert list(kept.lines()) == [b"old", b"young"]
            clock.advance(301)
            await kept.prune()
            assert list(kept.lines()) == [b"young"]
            clock.advance(500)
            await kept.prune()
            assert list(kept.lines()) == []
            await kept.append([b"new"])
            assert list(kept.lines()) == [b"new"]

    asyncio.run(scenario())


def test_a_clock_that_is_set_back_changes_no_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        with journal(tmp_path, ManualClock(9_000)) as first:
            await first.append([b"a"])
        with journal(tmp_path, ManualClock(5_000)) as second:
            await second.append([b"b"])
            assert list(second.lines()) == [b"a", b"b"]

    asyncio.run(scenario())


def test_a_full_disk_takes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        kept = Journal(tmp_path, JournalBounds(8_000, 800), ManualClock(0), min_free_mb=2**40)
        with pytest.raises(DiskFullError):
            await kept.append([b"a"])
        assert list(kept.lines()) == []

    asyncio.run(scenario())
