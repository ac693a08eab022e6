"""The contract of the durable log, on both engines, with time moved by hand."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cosset.store.database import Store
from cosset.store.log import DurableLog, LogRecord, LogShard, NoSuchShardError, ShardClosedError
from support.clock import ManualClock
from support.stores import OpenStore

Test = Callable[[Store, DurableLog, ManualClock], Awaitable[None]]


def on_log(open_store: OpenStore, test: Test) -> None:
    """With one shard, `s`."""

    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            log = DurableLog(store, "l", clock)
            await store.write(lambda tx: log.open_shard(tx, "s"))
            await test(store, log, clock)

    asyncio.run(main())


async def append(store: Store, log: DurableLog, *bodies: bytes, shard: str = "s") -> list[int]:
    return await store.write(lambda tx: log.append(tx, shard, [("k", body) for body in bodies]))


def bodies(records: list[LogRecord]) -> list[bytes]:
    return [record.body for record in records]


def test_records_are_read_in_their_order_as_often_as_one_likes(open_store: OpenStore) -> None:
    async def test(store: Store, log: DurableLog, clock: ManualClock) -> None:
        assert await append(store, log, b"a", b"b") == [1, 2]
        assert await append(store, log, b"c") == [3]
        assert await append(store, log) == []
        for _ in range(2):
            found, is_end = await log.read("s", after=0, limit=2)
            assert (bodies(found), is_end) == ([b"a", b"b"], False)
            found, is_end = await log.read("s", after=2, limit=10)
            assert [(each.seq, each.partition_key, each.arrived_ms) for each in found] == [(3, "k", clock.now_ms())]
        assert (await log.read("s", after=3, limit=10)) == ([], False)

    on_log(open_store, test)


def test_writers_side_by_side_leave_no_gap(open_store: OpenStore) -> None:
    async def test(store: Store, log: DurableLog, clock: ManualClock) -> None:
        taken = await asyncio.gather(*(append(store, log, b"x", b"y") for _ in range(20)))
        assert sorted(seq for seqs in taken for seq in seqs) == list(range(1, 41))
        found, _ = await log.read("s", after=0, limit=100)
        assert [record.seq for record in found] == list(range(1, 41))

    on_log(open_store, test)


def test_what_a_failed_transaction_appended_was_never_there(open_store: OpenStore) -> None:
    async def test(store: Store, log: DurableLog, clock: ManualClock) -> None:
        def fails(tx: object) -> None:
            log.append(tx, "s", [("k", b"never")])  # type: ignore[arg-type]
            raise LookupError

        with pytest.raises(LookupError):
            await store.write(fails)
        assert await append(store, log, b"a") == [1]

    on_log(open_store, test)


def test_a_closed_shard_ends_and_has_children(open_store: OpenStore) -> None:
    async def test(store: Store, log: DurableLog, clock: ManualClock) -> None:
        await append(store, log, b"a")
        await store.write(lambda tx: log.close_shard(tx, "s"))
        await store.write(lambda tx: log.open_shard(tx, "t", ["s"]))
        with pytest.raises(ShardClosedError):
            await append(store, log, b"b")
        assert await log.shards() == [LogShard("s", (), True), LogShard("t", ("s",), False)]
        found, is_end = await log.read("s", after=0, limit=1)
        assert (bodies(found), is_end) == ([b"a"], True)
        assert await log.read("s", after=1, limit=1) == ([], True)
        assert await log.read("t", after=0, limit=1) == ([], False)

    on_log(open_store, test)


def test_reading_begins_where_one_asks(open_store: OpenStore) -> None:
    async def test(store: Store, log: DurableLog, clock: ManualClock) -> None:
        assert (await log.begin("s"), await log.end("s"), await log.at("s", clock.now_ms())) == (0, 0, 0)
        await append(store, log, b"a")
        clock.advance(10)
        middle_ms = clock.now_ms()
        await append(store, log, b"b")
        clock.advance(10)
        assert (await log.begin("s"), await log.end("s")) == (0, 2)
        assert await log.at("s", middle_ms) == 1
        assert await log.at("s", middle_ms - 1) == 1
        assert await log.at("s", clock.now_ms()) == 2
        assert await store.write(lambda tx: log.trim(tx, middle_ms)) == 1
        assert await log.begin("s") == 1
        assert bodies((await log.read("s", after=0, limit=10))[0]) == [b"b"]
        assert await store.write(lambda tx: log.trim(tx, clock.now_ms())) == 1
        assert (await log.begin("s"), await append(store, log, b"c")) == (2, [3])

    on_log(open_store, test)


def test_a_read_answers_no_more_than_it_may(open_store: OpenStore) -> None:
    async def test(store: Store, log: DurableLog, clock: ManualClock) -> None:
        large = bytes(4 * 1024 * 1024)
        for _ in range(4):
            await append(store, log, large)
        found, _ = await log.read("s", after=0, limit=10)
        assert [record.seq for record in found] == [1, 2]
        found, _ = await log.read("s", after=2, limit=10)
        assert [record.seq for record in found] == [3, 4]

    on_log(open_store, test)


def test_a_reader_that_waits_hears_of_what_comes(open_store: OpenStore) -> None:
    async def test(store: Store, log: DurableLog, clock: ManualClock) -> None:
        waiting = asyncio.ensure_future(log.wait("s", after=0, timeout_s=60))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await append(store, log, b"a")
        assert await asyncio.wait_for(waiting, 60)
        assert await log.wait("s", after=0, timeout_s=60)  # it is there already
        waiting = asyncio.ensure_future(log.wait("s", after=1, timeout_s=60))
        while not waiting.done():  # it looks before it begins to wait
            await asyncio.sleep(0.01)
            clock.advance(60)
        assert not await waiting
        await store.write(lambda tx: log.close_shard(tx, "s"))
        assert await log.wait("s", after=1, timeout_s=60)

    on_log(open_store, test)


def test_a_shard_that_is_not_there(open_store: OpenStore) -> None:
    async def test(store: Store, log: DurableLog, clock: ManualClock) -> None:
        for ask in (
            lambda: append(store, log, b"a", shard="none"),
            lambda: log.read("none", after=0, limit=1),
            lambda: log.begin("none"),
            lambda: log.end("none"),
            lambda: log.wait("none", after=0, timeout_s=1),
        ):
            with pytest.raises(NoSuchShardError):
                await ask()
        await append(store, log, b"a")
        await store.write(log.delete)
        assert await log.shards() == []
        with pytest.raises(NoSuchShardError):
            await log.read("s", after=0, limit=1)

    on_log(open_store, test)
