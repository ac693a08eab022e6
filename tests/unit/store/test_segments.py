"""Log events kept, read in both directions, scanned, expired and deleted."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosset.observe.ports import LogEvent, StreamKey
from cosset.store.errors import DiskFullError, StoreError
from cosset.store.log_rows import Position
from cosset.store.segment_files import DAY_MS, SegmentFiles
from cosset.store.segments import SegmentStore
from support.clock import ManualClock

NOW_MS = 1_763_700_000_000
GROUP = ("000000000000", "us-east-1", "/aws/lambda/f")


def key(stream: str, group: str = GROUP[2]) -> StreamKey:
    return StreamKey(GROUP[0], GROUP[1], group, stream)


def events(*times: int) -> list[LogEvent]:
    return [LogEvent(NOW_MS + time, f"at {time}") for time in times]


@asynccontextmanager
async def opened(folder: Path, clock: ManualClock | None = None, min_free_mb: int = 0) -> AsyncIterator[SegmentStore]:
    store = await SegmentStore.open(folder, clock or ManualClock(NOW_MS), min_free_mb=min_free_mb)
    try:
        yield store
    finally:
        await store.close()


async def messages(store: SegmentStore, stream: str, **arguments: object) -> list[str]:
    found = await store.read_stream(key(stream), **arguments)  # type: ignore[arg-type]
    assert found is not None
    return [event.message for event in found]


async def eventually_no_days(folder: Path) -> None:
    async with asyncio.timeout(60):
        while SegmentFiles(folder).days():
            await asyncio.sleep(0.01)


def test_events_are_there_after_reopening(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append([(key("s"), events(2, 1)), (key("t"), events(5))])
        async with opened(tmp_path) as store:
            assert await messages(store, "s") == ["at 1", "at 2"]
            await store.append([(key("s"), events(3))])
            assert await messages(store, "s") == ["at 1", "at 2", "at 3"]
            assert await store.read_stream(key("never")) is None

    asyncio.run(main())


def test_a_stream_is_paged_in_both_directions(tmp_path: Path) -> None:
    """Across days, and through a burst with one time."""
    times = [-3 * DAY_MS, -3 * DAY_MS, 0, 0, 0, 0, 1, DAY_MS]

    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append([(key("s"), [LogEvent(NOW_MS + time, str(n)) for n, time in enumerate(times)])])
            forward: list[str] = []
            position: Position | None = None
            while page := await store.read_stream(key("s"), position=position, limit=3):
                forward += [event.message for event in page]
                position = page[-1].position
            assert forward == [str(n) for n in range(8)]
            backward: list[str] = []
            position = None
            while page := await store.read_stream(key("s"), position=position, limit=3, backward=True):
                backward = [event.message for event in page] + backward
                position = page[0].position
            assert backward == forward
            assert await messages(store, "s", limit=2, backward=True) == ["6", "7"]
            # What arrives after a page was given is found from its end.
            await store.append([(key("s"), events(2 * DAY_MS))])
            last = Position(NOW_MS + DAY_MS, 8)
            assert await messages(store, "s", position=last) == [f"at {2 * DAY_MS}"]

    asyncio.run(main())


def test_a_page_has_a_limit_of_bytes_and_one_event_at_least(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append([(key("s"), [LogEvent(NOW_MS + n, "x" * 74) for n in range(5)])])
            assert len(await messages(store, "s", max_bytes=300)) == 3
            assert len(await messages(store, "s", max_bytes=299)) == 2
            assert len(await messages(store, "s", max_bytes=10)) == 1
            scan = await store.scan(*GROUP, max_bytes=250)
            assert (len(scan.events), scan.resume) == (2, scan.events[-1].position)

    asyncio.run(main())


def test_the_end_is_exclusive_and_the_start_is_not(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append([(key("s"), events(1, 2, 3))])
            assert await messages(store, "s", start_ms=NOW_MS + 1, end_ms=NOW_MS + 3) == ["at 1", "at 2"]

    asyncio.run(main())


def test_a_group_is_scanned_by_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append(
                [
                    (key("a1"), events(3, 1)),
                    (key("a2"), events(2, DAY_MS)),
                    (key("b"), events(0)),
                    (key("a1", "/other"), events(1)),
                ]
            )

            async def scan(**arguments: object) -> list[str]:
                found: list[str] = []
                position: Position | None = None
                while True:
                    page = await store.scan(*GROUP, position=position, limit=2, **arguments)  # type: ignore[arg-type]
                    found += [f"{event.stream} {event.timestamp_ms - NOW_MS}" for event in page.events]
                    position = page.resume
                    if position is None:
                        return found

            day = f"a2 {DAY_MS}"
            assert await scan() == ["b 0", "a1 1", "a2 2", "a1 3", day]
            assert await scan(prefix="a") == ["a1 1", "a2 2", "a1 3", day]
            assert await scan(streams=["a2", "b", "none"]) == ["b 0", "a2 2", day]
            assert await scan(streams=[f"no{n}" for n in range(200)] + ["b"]) == ["b 0"]
            assert await scan(start_ms=NOW_MS + 2, end_ms=NOW_MS + 4) == ["a2 2", "a1 3"]
            assert await scan(streams=[]) == []
            assert (await store.scan(*GROUP[:2], "/none")).events == ()

    asyncio.run(main())


def test_a_prefix_of_very_many_streams_is_scanned_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append([(key(f"{'ab'[n % 2]}{n}"), events(n)) for n in range(260)])
            page = await store.scan(*GROUP, prefix="a")
            assert [event.timestamp_ms - NOW_MS for event in page.events] == list(range(0, 260, 2))

    asyncio.run(main())


def test_a_stream_keeps_its_figures(tmp_path: Path) -> None:
    async def main() -> None:
        clock = ManualClock(NOW_MS)
        async with opened(tmp_path, clock) as store:
            assert await store.create_stream(key("s"))
            assert not await store.create_stream(key("s"))
            row = await store.get_stream(key("s"))
            assert row is not None
            assert (row.created_ms, row.first_event_ms, row.last_event_ms, row.stored_bytes) == (NOW_MS, None, None, 0)
            clock.advance(1)
            await store.append([(key("s"), [LogEvent(NOW_MS - 5, "é"), LogEvent(NOW_MS - 9, "")])])
            row = await store.get_stream(key("s"))
            assert row is not None
            assert (row.first_event_ms, row.last_event_ms) == (NOW_MS - 9, NOW_MS - 5)
            assert (row.last_ingested_ms, row.stored_bytes) == (NOW_MS + 1000, 2 + 2 * 26)
            assert await store.stored_bytes(*GROUP[:2], [GROUP[2], "/none"]) == {GROUP[2]: 54, "/none": 0}

    asyncio.run(main())


def test_ingestion_times_never_go_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append([(key("s"), [LogEvent(NOW_MS, "a", NOW_MS + 50), LogEvent(NOW_MS, "b", NOW_MS + 20)])])
            await store.append([(key("s"), [LogEvent(NOW_MS, "c")])])
            found = await store.read_stream(key("s"))
            assert found is not None
            assert [event.ingested_ms - NOW_MS for event in found] == [50, 50, 50]

    asyncio.run(main())


def test_streams_are_listed_by_name_and_by_last_event(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append([(key("b"), events(1)), (key("a"), events(9)), (key("c"), events(5))])
            await store.create_stream(key("empty"))
            await store.create_stream(key("elsewhere", "/other"))

            async def names(limit: int = 2, **arguments: object) -> list[str]:
                found: list[str] = []
                after = None
                while rows := await store.list_streams(*GROUP, after=after, limit=limit, **arguments):  # type: ignore[arg-type]
                    found += [row.name for row in rows]
                    after = rows[-1].cursor
                return found

            assert await names() == ["a", "b", "c", "empty"]
            assert await names(descending=True) == ["empty", "c", "b", "a"]
            assert await names(prefix="e") == ["empty"]
            assert await names(by_last_event=True) == ["empty", "b", "c", "a"]
            assert await names(by_last_event=True, descending=True) == ["a", "c", "b", "empty"]

    asyncio.run(main())


def test_a_deleted_stream_is_gone_at_once_and_its_space_later(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append([(key("s"), events(*range(6000))), (key("t"), events(1))])
            assert await store.delete_stream(key("s"))
            assert await store.read_stream(key("s")) is None
            assert [event.stream for event in (await store.scan(*GROUP, limit=20_000)).events] == ["t"]
            assert await store.stored_bytes(*GROUP[:2], [GROUP[2]]) == {GROUP[2]: 26 + 4}
            assert not await store.delete_stream(key("s"))
            await store.append([(key("s"), events(7))])
            assert await messages(store, "s") == ["at 7"]
            assert await store.delete_stream(key("s"))
            assert await store.delete_stream(key("t"))
            await eventually_no_days(tmp_path)

    asyncio.run(main())


def test_a_deleted_group_is_gone_and_may_come_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append([(key("s"), events(1, 2 * DAY_MS))])
            assert await store.delete_group(*GROUP)
            assert not await store.delete_group(*GROUP)
            assert await store.list_streams(*GROUP) == []
            await store.append([(key("s"), events(3))])
            assert await messages(store, "s") == ["at 3"]
            assert await store.delete_group(*GROUP)
            await eventually_no_days(tmp_path)

    asyncio.run(main())


def test_what_a_stop_left_to_sweep_is_swept_after_the_next_open(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append([(key("s"), events(*range(20_000)))])
            await store.delete_group(*GROUP)
        async with opened(tmp_path):
            await eventually_no_days(tmp_path)

    asyncio.run(main())


def test_old_events_expire_by_group(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append([(key("s"), events(-40 * DAY_MS, -2 * DAY_MS, -1, 0)), (key("t"), events(-1))])
            await store.append([(key("s", "/other"), events(-2 * DAY_MS))])
            assert await store.expire(*GROUP, NOW_MS) == 4
            assert await store.expire(*GROUP, NOW_MS) == 0
            assert await store.expire(*GROUP[:2], "/none", NOW_MS) == 0
            assert await messages(store, "s") == ["at 0"]
            assert await messages(store, "t") == []
            assert await store.stored_bytes(*GROUP[:2], [GROUP[2], "/other"]) == {GROUP[2]: 30, "/other": 26 + 13}
            assert len(SegmentFiles(tmp_path).days()) == 2

    asyncio.run(main())


def test_any_python_string_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            odd = ["", "\0", "\ud800", "🐑", "a\nb"]
            await store.append([(key("s"), [LogEvent(NOW_MS, message) for message in odd])])
            assert await messages(store, "s") == odd

    asyncio.run(main())


def test_an_impossible_time_is_refused_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            with pytest.raises(ValueError, match="time"):
                await store.append([(key("s"), [LogEvent(-1, "a")])])
            await store.append([(key("s"), events(0))])
            assert await messages(store, "s") == ["at 0"]

    asyncio.run(main())


def test_below_the_mark_appends_are_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append([(key("s"), events(-DAY_MS, 0))])
        async with opened(tmp_path, min_free_mb=1 << 40) as store:
            with pytest.raises(DiskFullError):
                await store.append([(key("s"), events(1))])
            assert await messages(store, "s") == [f"at {-DAY_MS}", "at 0"]
            assert await store.expire(*GROUP, NOW_MS) == 1
            assert await store.delete_group(*GROUP)

    asyncio.run(main())


def test_numbers_beyond_all_bounds_are_only_empty(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await store.append([(key("s"), events(0))])
            assert await messages(store, "s", start_ms=-(10**30), end_ms=10**30, limit=10**30) == ["at 0"]
            assert await messages(store, "s", position=Position(10**30, 10**30)) == []
            assert await messages(store, "s", position=Position(10**30, 10**30), backward=True) == ["at 0"]
            assert (await store.scan(*GROUP, start_ms=10**30)).events == []

    asyncio.run(main())


def test_a_name_that_cannot_be_kept_fails_its_owner_only(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            results = await asyncio.gather(
                *(store.append([(key("s"), events(n))]) for n in range(5)),
                store.create_stream(key("\ud800")),
                *(store.append([(key("s"), events(n))]) for n in range(5, 10)),
                return_exceptions=True,
            )
            assert [type(result) for result in results] == [list] * 5 + [UnicodeEncodeError] + [list] * 5
            assert await messages(store, "s") == [f"at {n}" for n in range(10)]

    asyncio.run(main())


class FailingCommit:
    """A connection whose next COMMIT fails, as on a disk that fills up between two files."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._failed = False

    def execute(self, sql: str, *parameters: object) -> object:
        if sql == "COMMIT" and not self._failed:
            self._failed = True
            raise sqlite3.OperationalError("database or disk is full")
        return self._connection.execute(sql, *parameters)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


def test_a_commit_that_fails_half_way_is_undone_when_it_is_tried_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            batch = [(key("s"), events(-DAY_MS, 0))]
            await store.append(batch)
            days = store._writer._days
            last = list(days)[-1]
            days[last] = FailingCommit(days[last])  # type: ignore[assignment]
            try:
                await store.append(batch)
            except sqlite3.OperationalError:
                await store.append(batch)  # unless the store, sharing the commit with its sweeper, has tried by itself
            assert days[last]._failed
            assert await messages(store, "s") == [f"at {-DAY_MS}"] * 2 + ["at 0"] * 2
            size = 2 * (26 + len(f"at {-DAY_MS}") + 26 + 4)
            assert await store.stored_bytes(*GROUP[:2], [GROUP[2]]) == {GROUP[2]: size}

    asyncio.run(main())


def test_two_processes_never_share_the_folder(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path):
            with pytest.raises(StoreError, match="in use"):
                await SegmentStore.open(tmp_path, ManualClock())

    asyncio.run(main())


@settings(max_examples=40, deadline=None)
@given(
    batches=st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-DAY_MS, DAY_MS)), max_size=8), max_size=6),
    page=st.integers(1, 5),
)
def test_every_reading_agrees_with_a_sorted_list(
    tmp_path_factory: pytest.TempPathFactory, batches: Sequence[Sequence[tuple[str, int]]], page: int
) -> None:
    expected = sorted(
        ((time, n, stream) for n, (stream, time) in enumerate(each for batch in batches for each in batch)),
    )

    async def main() -> None:
        async with opened(tmp_path_factory.mktemp("segments")) as store:
            n = 0
            for batch in batches:
                entries = []
                for stream, time in batch:
                    entries.append((key(stream), [LogEvent(NOW_MS + time, str(n))]))
                    n += 1
                await store.append(entries)
            for chosen in (None, ["a"], ["a", "c"]):
                found: list[str] = []
                position: Position | None = None
                while True:
                    scan = await store.scan(*GROUP, streams=chosen, limit=page, position=position)
                    found += [event.message for event in scan.events]
                    position = scan.resume
                    if position is None:
                        break
                wanted = [str(n) for _, n, stream in expected if chosen is None or stream in chosen]
                assert found == wanted

    asyncio.run(main())
