"""The contract of the durable queue, on both engines, with time moved by hand."""

import asyncio

from cosset.store.database import Store
from cosset.store.queue import DEDUPLICATION_MS, DurableQueue, Message
from support.clock import ManualClock
from support.stores import OpenStore

LEASE_MS = 10_000


async def send(store: Store, queue: DurableQueue, body: bytes, **arguments: object) -> str:
    return await store.write(lambda tx: queue.send(tx, body, **arguments))  # type: ignore[arg-type]


async def receive(queue: DurableQueue, limit: int = 10) -> list[Message]:
    return await queue.receive(limit=limit, lease_ms=LEASE_MS)


def bodies(messages: list[Message]) -> list[bytes]:
    return [message.body for message in messages]


def test_messages_come_in_order_until_deleted(open_store: OpenStore) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue = DurableQueue(store, "q", clock)
            sent = [await send(store, queue, body) for body in (b"a", b"b", b"c")]
            first = await receive(queue, 2)
            assert [message.id for message in first] == sent[:2]
            assert [message.attempts for message in first] == [1, 1]
            assert bodies(await receive(queue)) == [b"c"]
            assert await receive(queue) == []
            for message in first:
                assert await store.write(lambda tx, message=message: queue.delete(tx, message))
            clock.advance(LEASE_MS / 1000)
            (last,) = await receive(queue)
            assert (last.body, last.attempts) == (b"c", 2)
            assert await queue.count() == 1

    asyncio.run(main())


def test_a_lease_that_was_taken_over_is_lost(open_store: OpenStore) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue = DurableQueue(store, "q", clock)
            await send(store, queue, b"a")
            (old,) = await receive(queue)
            clock.advance(LEASE_MS / 1000)
            (new,) = await receive(queue)
            assert not await store.write(lambda tx: queue.delete(tx, old))
            assert not await store.write(lambda tx: queue.release(tx, old))
            assert not await store.write(lambda tx: queue.extend(tx, old, 1))
            assert await store.write(lambda tx: queue.delete(tx, new))
            assert not await store.write(lambda tx: queue.delete(tx, new))

    asyncio.run(main())


def test_a_group_gives_one_at_a_time_in_order(open_store: OpenStore) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue = DurableQueue(store, "q", clock)
            for body, group in ((b"a1", "a"), (b"a2", "a"), (b"b1", "b"), (b"x", None)):
                await send(store, queue, body, group=group)
            first, other, free = await receive(queue)
            assert bodies([first, other, free]) == [b"a1", b"b1", b"x"]
            assert await receive(queue) == []
            assert await store.write(lambda tx: queue.release(tx, first, delay_ms=500, body=b"a1 again"))
            assert await receive(queue) == []  # the group waits for its first
            clock.advance(0.5)
            (first,) = await receive(queue)
            assert (first.body, first.attempts) == (b"a1 again", 2)
            assert await store.write(lambda tx: queue.delete(tx, first))
            assert bodies(await receive(queue)) == [b"a2"]

    asyncio.run(main())


def test_a_delay_hides_and_an_extension_keeps(open_store: OpenStore) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue = DurableQueue(store, "q", clock)
            await send(store, queue, b"a", delay_ms=1000)
            assert await receive(queue) == []
            clock.advance(1)
            (message,) = await receive(queue)
            assert await store.write(lambda tx: queue.extend(tx, message, 3 * LEASE_MS))
            clock.advance(2 * LEASE_MS / 1000)
            assert await receive(queue) == []
            clock.advance(LEASE_MS / 1000)
            assert bodies(await receive(queue)) == [b"a"]

    asyncio.run(main())


def test_a_deduplication_id_sends_once_in_five_minutes(open_store: OpenStore) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue, other = DurableQueue(store, "q", clock), DurableQueue(store, "other", clock)
            first = await send(store, queue, b"a", deduplication_id="d")
            (message,) = await receive(queue)
            await store.write(lambda tx: queue.delete(tx, message))
            assert await send(store, queue, b"again", deduplication_id="d") == first
            assert await send(store, other, b"elsewhere", deduplication_id="d") != first
            assert await queue.count() == 0
            clock.advance(DEDUPLICATION_MS / 1000)
            assert await send(store, queue, b"later", deduplication_id="d") != first
            assert bodies(await receive(queue)) == [b"later"]

    asyncio.run(main())


def test_an_expired_message_comes_at_once(open_store: OpenStore) -> None:
    """Nothing is dropped in silence: whoever receives it ends it where AWS says."""

    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue = DurableQueue(store, "q", clock)
            expires = clock.now_ms() + 2000
            await send(store, queue, b"a", delay_ms=60_000, expires_at_ms=expires)
            clock.advance(1)
            assert await receive(queue) == []
            clock.advance(1)
            (message,) = await receive(queue)
            assert message.expires_at_ms == expires

    asyncio.run(main())


def test_what_was_not_committed_was_not_sent(open_store: OpenStore) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue = DurableQueue(store, "q", clock)

            def fail(tx: object) -> None:
                queue.send(tx, b"a", deduplication_id="d")  # type: ignore[arg-type]
                raise LookupError

            await asyncio.gather(store.write(fail), return_exceptions=True)
            assert await queue.count() == 0
            await send(store, queue, b"b", deduplication_id="d")
            assert bodies(await receive(queue)) == [b"b"]

    asyncio.run(main())


def test_waiting_ends_with_a_send(open_store: OpenStore) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue, same = DurableQueue(store, "q", clock), DurableQueue(store, "q", clock)
            waiting = asyncio.create_task(queue.wait(60))
            await send(store, DurableQueue(store, "other", clock), b"not mine")
            assert not waiting.done()
            await send(store, same, b"a")
            async with asyncio.timeout(60):
                assert await waiting

    asyncio.run(main())


def test_waiting_ends_when_a_message_is_due(open_store: OpenStore) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue = DurableQueue(store, "q", clock)
            await send(store, queue, b"a")
            await receive(queue)
            waiting = asyncio.create_task(queue.wait(60))
            await store.read(lambda tx: None)
            async with asyncio.timeout(60):
                while not waiting.done():
                    await asyncio.sleep(0.01)
                    clock.advance(1)
            assert bodies(await receive(queue)) == [b"a"]

    asyncio.run(main())


def test_waiting_ends_at_once_when_something_is_due_and_else_at_the_timeout(open_store: OpenStore) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue = DurableQueue(store, "q", clock)
            waiting = asyncio.create_task(queue.wait(3))
            started = clock.now_ms()
            async with asyncio.timeout(60):
                while not waiting.done():
                    await asyncio.sleep(0.01)
                    clock.advance(1)
            assert clock.now_ms() - started >= 3000
            assert not await waiting
            await send(store, queue, b"a")
            async with asyncio.timeout(60):
                assert await queue.wait(60)

    asyncio.run(main())


def test_many_receivers_share_without_overlap(open_store: OpenStore) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue = DurableQueue(store, "q", clock)
            await store.write(lambda tx: [queue.send(tx, b"%d" % n, group=f"g{n % 5}") for n in range(40)])
            seen: list[tuple[str | None, int]] = []

            async def work() -> None:
                mine = DurableQueue(store, "q", clock)
                while await mine.count():
                    for message in await receive(mine, 3):
                        seen.append((message.group, int(message.body)))
                        assert await store.write(lambda tx, message=message: mine.delete(tx, message))

            async with asyncio.timeout(60):
                await asyncio.gather(*(work() for _ in range(6)))
            assert sorted(n for _, n in seen) == list(range(40))
            for group in {group for group, _ in seen}:
                numbers = [n for g, n in seen if g == group]
                assert numbers == sorted(numbers)

    asyncio.run(main())


def test_recovering_ends_leases_only_where_nobody_shares(open_store: OpenStore) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue = DurableQueue(store, "q", clock)
            await send(store, queue, b"a")
            (before,) = await receive(queue)
        async with open_store(clock) as store:
            queue = DurableQueue(store, "q", clock)
            assert await queue.recover() == (0 if store.shared else 1)
            if store.shared:
                clock.advance(LEASE_MS / 1000)
            (after,) = await receive(queue)
            assert (after.id, after.attempts) == (before.id, 2)
            assert not await store.write(lambda tx: queue.delete(tx, before))

    asyncio.run(main())
