"""What is sent while somebody on this node waits is his from the start, on both engines."""

import asyncio

import pytest

from cosset.store.queue import Draft, DurableQueue, Message
from support.clock import ManualClock
from support.stores import OpenStore

LEASE_MS = 10_000


class Waiting:
    """Takes up to `places` messages."""

    lease_ms = LEASE_MS

    def __init__(self, places: int = 100) -> None:
        self.places = places
        self.taken: list[Message] = []

    def has_place(self) -> bool:
        self.places -= 1
        return self.places >= 0

    def take(self, message: Message) -> None:
        self.taken.append(message)


def test_it_is_leased_to_who_waits_and_comes_again_when_its_lease_ends(open_store: OpenStore) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue, taker = DurableQueue(store, "q", clock), Waiting()
            with queue.handing_to(taker):
                sent = await store.write(lambda tx: queue.put_many(tx, [Draft(body=b"a"), Draft(body=b"b")]))
                assert [(each.id, each.body, each.attempts) for each in taker.taken] == [
                    (sent[0], b"a", 1),
                    (sent[1], b"b", 1),
                ]
            assert await queue.receive(limit=10, lease_ms=LEASE_MS) == []
            first, second = taker.taken
            assert await store.write(lambda tx: queue.delete(tx, first))
            clock.advance(LEASE_MS / 1000)
            (again,) = await queue.receive(limit=10, lease_ms=LEASE_MS)
            assert (again.id, again.attempts, again.first_received_at_ms) == (
                second.id,
                2,
                second.first_received_at_ms,
            )
            assert not await store.write(lambda tx: queue.delete(tx, second))

    asyncio.run(main())


def test_what_cannot_be_received_at_once_is_not_handed_over(open_store: OpenStore) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            queue, taker = DurableQueue(store, "q", clock), Waiting(places=1)
            with queue.handing_to(taker):
                await store.write(lambda tx: queue.send(tx, b"delayed", delay_ms=1000))
                await store.write(lambda tx: queue.send(tx, b"grouped", group="g"))
                for _ in range(2):
                    await store.write(lambda tx: queue.send(tx, b"once", deduplication_id="d"))
                await store.write(lambda tx: queue.send(tx, b"too many"))
            await store.write(lambda tx: queue.send(tx, b"nobody waits"))
            assert [each.body for each in taker.taken] == [b"once"]
            left = await queue.receive(limit=10, lease_ms=LEASE_MS)
            assert [each.body for each in left] == [b"grouped", b"too many", b"nobody waits"]

    asyncio.run(main())


def test_nothing_is_handed_over_that_is_not_committed(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store() as store:
            queue, taker = DurableQueue(store, "q", ManualClock()), Waiting()

            def fails(tx: object) -> None:
                queue.send(tx, b"never")  # type: ignore[arg-type]
                raise LookupError

            with queue.handing_to(taker):
                with pytest.raises(LookupError):
                    await store.write(fails)
                await store.write(lambda tx: queue.send(tx, b"sent"))
            assert [each.body for each in taker.taken] == [b"sent"]
            assert await queue.count() == 1

    asyncio.run(main())


def test_who_waits_beside_it_gets_it_when_its_lease_ends(open_store: OpenStore) -> None:
    """Nobody announces what was sent under a lease; and who waits may have the queue from elsewhere on the node."""

    async def main() -> None:
        clock = ManualClock()
        async with open_store(clock) as store, asyncio.timeout(60):
            queue, other = DurableQueue(store, "q", clock), DurableQueue(store, "q", clock)
            waiting = asyncio.create_task(other.wait(60))
            while not other.is_quiet:
                await asyncio.sleep(0.001)
            sent = await store.write(lambda tx: queue.put_for(tx, Draft(body=b"a"), LEASE_MS))
            assert other.is_quiet
            while not waiting.done():
                clock.advance(1)
                await asyncio.sleep(0.001)
            assert waiting.result()
            (again,) = await other.receive(limit=10, lease_ms=LEASE_MS)
            assert (again.id, again.attempts, sent.attempts) == (sent.id, 2, 1)

    asyncio.run(main())
