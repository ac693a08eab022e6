"""What is sent while somebody waits: handed over in the sender's own transaction, to one who waits, and never lost."""

import asyncio
from collections.abc import Callable
from typing import Any

from cosset.services.sqs.model import QueueKey
from cosset.store.queue import DurableQueue

from .conftest import Room, Test

Run = Callable[[Test], None]


async def waits(room: Room, url: str, **more: Any) -> "asyncio.Task[list[str]]":
    """A receive that has found nothing and waits."""
    key = QueueKey.of_arn(room.arn(url))
    assert key is not None
    shelf: DurableQueue = room.queues._shelves.of(await room.queues.book.get(key))
    before = len(shelf._waiters)
    waiting = asyncio.ensure_future(room.bodies(url, WaitTimeSeconds=20, **more))
    while len(shelf._waiters) == before:
        await asyncio.sleep(0.001)
    return waiting


def count_writes(room: Room) -> list[object]:
    """Grows by one with every write of the store."""
    seen: list[object] = []
    write = room.store.write

    async def counted(work: Callable[..., Any], **options: Any) -> Any:
        seen.append(work)
        return await write(work, **options)

    room.store.write = counted  # type: ignore[method-assign, assignment]
    return seen


def test_one_transaction_sends_and_receives(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q")
        waiting = await waits(room, url)
        writes = count_writes(room)
        await room.send(url, "a")
        assert await waiting == ["a"]
        assert len(writes) == 1
        assert await room.depth(url) == (0, 1, 0)
        room.clock.advance(31)
        assert await room.bodies(url) == ["a"]  # it was under the queue's time-out

    run(test)


def test_each_who_waits_gets_one(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q")
        waiting = [await waits(room, url, count=1) for _ in range(3)]
        await asyncio.gather(*(room.send(url, body) for body in "abc"))
        assert sorted(body for found in await asyncio.gather(*waiting) for body in found) == ["a", "b", "c"]
        assert await room.depth(url) == (0, 3, 0)

    run(test)


def test_a_sender_who_goes_away_loses_nothing(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q")
        waiting = await waits(room, url)
        write, begun = room.store.write, asyncio.Event()

        async def noted(work: Callable[..., Any], **options: Any) -> Any:
            begun.set()
            return await write(work, **options)

        room.store.write = noted  # type: ignore[method-assign, assignment]
        sending = asyncio.ensure_future(room.send(url, "a"))
        await begun.wait()
        sending.cancel()
        (gone,) = await asyncio.gather(sending, return_exceptions=True)
        assert isinstance(gone, asyncio.CancelledError)
        assert await waiting == ["a"]

    run(test)


def test_a_sender_who_fails_lets_who_waits_go_on(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q")
        waiting = await waits(room, url)
        write, failed = room.store.write, []

        async def fail(work: Callable[..., Any], **options: Any) -> Any:
            if not failed:
                failed.append(work)
                raise RuntimeError("the sender's")
            return await write(work, **options)

        room.store.write = fail  # type: ignore[method-assign, assignment]
        (outcome,) = await asyncio.gather(room.send(url, "a"), return_exceptions=True)
        assert isinstance(outcome, RuntimeError)
        await room.send(url, "b")
        assert await waiting == ["b"]

    run(test)


def test_a_message_that_is_delayed_is_nobodys_yet(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q")
        waiting = await waits(room, url)
        await room.send(url, "late", DelaySeconds=5)
        await room.send(url, "now")
        assert await waiting == ["now"]
        assert await room.depth(url) == (0, 1, 1)

    run(test)


def test_a_queue_that_changed_meanwhile_is_served_as_it_is_now(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q", VisibilityTimeout="5")
        waiting = await waits(room, url)
        await room.call("SetQueueAttributes", QueueUrl=url, Attributes={"VisibilityTimeout": "50"})
        await room.send(url, "a")
        assert await waiting == ["a"]
        room.clock.advance(20)
        assert await room.bodies(url) == []

    run(test)


def test_a_group_that_is_held_is_not_handed_over(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo", ContentBasedDeduplication="true")
        await room.send(url, "1", MessageGroupId="g")
        (first,) = await room.receive(url)
        waiting = await waits(room, url)
        await room.send(url, "2", MessageGroupId="g")
        await room.send(url, "other", MessageGroupId="h")
        assert await waiting == ["other"]
        await room.delete(url, first)
        assert await room.bodies(url) == ["2"]

    run(test)
