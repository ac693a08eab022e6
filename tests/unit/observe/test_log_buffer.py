"""The log buffer: order, batches, bounds, and a store that fails."""

import asyncio
from collections.abc import Collection, Sequence

import pytest

from cosset.observe.log_buffer import BufferLimits, LogBuffer, LogsNotDurableError
from cosset.observe.ports import LogEvent, StreamKey
from support.clock import ManualClock

ONE = StreamKey("111111111111", "us-east-1", "/aws/lambda/one", "a")
TWO = StreamKey("111111111111", "us-east-1", "/aws/lambda/two", "b")


class Sink:
    """Keeps batches; fails as often as it is told to; holds back while `gate` is closed."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[StreamKey, list[LogEvent]]]] = []
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, batch: Sequence[tuple[StreamKey, Sequence[LogEvent]]]) -> list[int]:
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        self.batches.append([(key, list(events)) for key, events in batch])
        return [len(self.batches)] * len(batch)

    def messages(self, stream: StreamKey) -> list[str]:
        return [event.message for batch in self.batches for key, events in batch if key == stream for event in events]


class Follower:
    """Hears of what is kept; fails as often as it is told to."""

    def __init__(self) -> None:
        self.heard: list[tuple[list[str], list[int]]] = []
        self.failures = 0

    async def follow(self, batch: Sequence[tuple[StreamKey, Sequence[LogEvent]]], firsts: Sequence[int]) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        self.heard.append(([event.message for _, events in batch for event in events], list(firsts)))


class Groups:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    async def ensure_groups(self, groups: Collection[tuple[str, str, str]]) -> None:
        self.asked.extend(sorted(groups))


class Bench:
    def __init__(self, **limits: float) -> None:
        self.clock = ManualClock()
        self.sink = Sink()
        self.groups = Groups()
        self.buffer = LogBuffer(self.sink, self.groups, self.clock, BufferLimits(**limits))  # type: ignore[arg-type]
        self.buffer.start()

    def write(self, key: StreamKey, *messages: str) -> None:
        self.buffer.write(key, [LogEvent(self.clock.now_ms(), message) for message in messages])


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_events_go_out_after_the_interval_in_one_batch() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.write(ONE, "1", "2")
        bench.write(TWO, "x")
        bench.write(ONE, "3")
        await settle()
        assert bench.sink.batches == []
        bench.clock.advance(0.2)
        await settle()
        assert len(bench.sink.batches) == 1
        assert bench.sink.messages(ONE) == ["1", "2", "3"]
        assert bench.sink.messages(TWO) == ["x"]
        assert sorted(bench.groups.asked) == [
            (ONE.account, ONE.region, ONE.group),
            (TWO.account, TWO.region, TWO.group),
        ]
        await bench.buffer.close()

    asyncio.run(scenario())


def test_a_full_batch_does_not_wait() -> None:
    async def scenario() -> None:
        bench = Bench(batch_events=3)
        bench.write(ONE, "1", "2", "3")
        await settle()
        assert bench.sink.messages(ONE) == ["1", "2", "3"]
        await bench.buffer.close()

    asyncio.run(scenario())


def test_flush_waits_for_what_was_written_before_it() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.buffer.flush()
        bench.sink.gate.clear()
        bench.write(ONE, "1")
        flush = asyncio.create_task(bench.buffer.flush())
        await settle()
        bench.write(ONE, "2")
        second = asyncio.create_task(bench.buffer.flush())
        await settle()
        assert not flush.done()
        bench.sink.gate.set()
        await flush
        assert "1" in bench.sink.messages(ONE)
        await second
        assert bench.sink.messages(ONE) == ["1", "2"]
        await bench.buffer.close()

    asyncio.run(scenario())


def test_a_failing_store_is_tried_again_and_nothing_is_lost() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.sink.failures = 2
        bench.write(ONE, "1")
        flush = asyncio.create_task(bench.buffer.flush())
        await settle()
        bench.write(ONE, "2")
        assert bench.sink.batches == []
        for _ in range(4):
            bench.clock.advance(1)
            await settle()
        await flush
        assert bench.sink.messages(ONE) == ["1", "2"]
        await bench.buffer.close()

    asyncio.run(scenario())


def test_flush_gives_up_at_its_limit_and_the_events_stay() -> None:
    async def scenario() -> None:
        bench = Bench(flush_s=30)
        bench.sink.failures = 8
        bench.write(ONE, "1")
        flush = asyncio.create_task(bench.buffer.flush())
        await settle()
        bench.clock.advance(30)
        with pytest.raises(LogsNotDurableError):
            await flush
        for _ in range(20):
            bench.clock.advance(5)
            await settle()
        assert bench.sink.messages(ONE) == ["1"]
        await bench.buffer.close()

    asyncio.run(scenario())


def test_at_the_bound_the_loudest_loses_its_oldest_and_the_log_says_so() -> None:
    async def scenario() -> None:
        bench = Bench(max_events=5)
        bench.write(TWO, "quiet")
        bench.write(ONE, *(str(number) for number in range(10)))
        await bench.buffer.flush()
        assert bench.sink.messages(TWO) == ["quiet"]
        said, *kept = bench.sink.messages(ONE)
        assert "6 log events were dropped" in said
        assert kept == ["6", "7", "8", "9"]
        await bench.buffer.close()

    asyncio.run(scenario())


def test_the_bound_holds_while_the_store_hangs() -> None:
    async def scenario() -> None:
        bench = Bench(max_events=4)
        bench.sink.gate.clear()
        bench.write(ONE, "a", "b", "c", "d")
        flush = asyncio.create_task(bench.buffer.flush())
        await settle()
        bench.write(ONE, "e", "f")
        bench.sink.gate.set()
        await flush
        await bench.buffer.flush()
        assert bench.sink.messages(ONE)[:4] == ["a", "b", "c", "d"]
        assert "2 log events were dropped" in bench.sink.messages(ONE)[4]
        await bench.buffer.close()

    asyncio.run(scenario())


def test_bytes_are_bounded_too() -> None:
    async def scenario() -> None:
        bench = Bench(max_bytes=1000)
        bench.write(ONE, "x" * 5000)
        await bench.buffer.flush()
        assert [len(message) < 100 for message in bench.sink.messages(ONE)] == [True]
        await bench.buffer.close()

    asyncio.run(scenario())


def test_close_drains() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.write(ONE, "1")
        await settle()
        bench.write(TWO, "2")
        await bench.buffer.close()
        assert bench.sink.messages(ONE) == ["1"]
        assert bench.sink.messages(TWO) == ["2"]

    asyncio.run(scenario())


def test_close_does_not_hang_on_a_store_that_fails_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.sink.failures = 1_000_000
        bench.write(ONE, "1")
        flush = asyncio.create_task(bench.buffer.flush())
        await settle()
        await bench.buffer.close()
        with pytest.raises(LogsNotDurableError):
            await flush
        bench.write(ONE, "late")

    asyncio.run(scenario())
    assert "1 log events could not be written and are lost" in caplog.text
    assert "came after the log buffer was closed" in caplog.text


def test_an_absurd_time_does_not_hold_up_the_rest() -> None:
    async def scenario() -> None:
        bench = Bench()
        now_ms = bench.clock.now_ms()
        bench.buffer.write(ONE, [LogEvent(-1, "a"), LogEvent(2**63, "b"), LogEvent(now_ms - 5, "c")])
        await bench.buffer.flush()
        times = [event.timestamp_ms for batch in bench.sink.batches for _, events in batch for event in events]
        assert times == [now_ms, now_ms, now_ms - 5]
        await bench.buffer.close()

    asyncio.run(scenario())


def test_ingestion_time_never_goes_back() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.write(ONE, "1")
        await bench.buffer.flush()
        bench.clock.advance(-5)
        bench.write(ONE, "2")
        await bench.buffer.flush()
        times = [event.ingested_ms for batch in bench.sink.batches for _, events in batch for event in events]
        assert times == sorted(times)
        await bench.buffer.close()

    asyncio.run(scenario())


def test_a_large_backlog_goes_out_in_pieces_and_in_order() -> None:
    async def scenario() -> None:
        bench = Bench()
        for number in range(9_000):
            bench.write(ONE if number % 3 else TWO, str(number))
        bench.sink.failures = 1
        flush = asyncio.create_task(bench.buffer.flush())
        await settle()
        bench.clock.advance(1)
        await flush
        assert bench.sink.messages(ONE) == [str(number) for number in range(9_000) if number % 3]
        assert bench.sink.messages(TWO) == [str(number) for number in range(9_000) if not number % 3]
        assert max(sum(len(events) for _, events in batch) for batch in bench.sink.batches) <= 2_000
        await bench.buffer.close()

    asyncio.run(scenario())


def test_a_follower_that_fails_is_told_again_and_nothing_is_kept_twice() -> None:
    async def scenario() -> None:
        bench, follower = Bench(), Follower()
        bench.buffer.follow(follower)
        follower.failures = 2
        bench.write(ONE, "1", "2")
        flush = asyncio.create_task(bench.buffer.flush())
        await settle()
        assert bench.sink.messages(ONE) == ["1", "2"]
        assert not flush.done()
        for _ in range(4):
            bench.clock.advance(1)
            await settle()
        await flush
        assert bench.sink.messages(ONE) == ["1", "2"]
        assert follower.heard == [(["1", "2"], [1])]
        await bench.buffer.close()

    asyncio.run(scenario())
