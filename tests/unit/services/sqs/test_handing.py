"""What is sent while somebody waits: handed over in the sender's own transaction, to one who waits, and never lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cosset.services.sqs.model import QueueKey
from cosset.store.pipeline import Pipeline
from cosset.store.queue import DurableQueue

from .conftest import Room, Test

Run = Callable[[Test], None]


async def shelf_of(room: Room, url: str) -> DurableQueue:
    key = QueueKey.of_arn(room.arn(url))
    assert key is not None
    return room.queues._shelves.of(await room.queues.book.get(key))


async def waits(room: Room, url: str, **more: Any) -> "asyncio.Task[list[str]]":
    """A receive that has found nothing and waits."""
    shelf = await shelf_of(room, url)
    before = len(shelf._watch._waiters)
    waiting = asyncio.ensure_future(room.bodies(url, WaitTimeSeconds=20, **more))
    while len(shelf._watch._waiters) == before:
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


def count_all(room: Room) -> list[str]:
    """Grows with everything that goes to the store."""
    seen: list[str] = []
    write, read = room.store.write, room.store.read

    async def written(work: Callable[..., Any], **options: Any) -> Any:
        seen.append("write")
        return await write(work, **options)

    async def looked(work: Callable[..., Any]) -> Any:
        seen.append("read")
        return await read(work)

    room.store.write, room.store.read = written, looked  # type: ignore[method-assign, assignment]
    return seen


def test_who_comes_back_for_more_does_not_look_where_nothing_was_sent(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q", VisibilityTimeout="30")
        waiting, shelf = await waits(room, url), await shelf_of(room, url)
        while not shelf.is_quiet:
            await asyncio.sleep(0.001)
        seen = count_all(room)
        for body in "abc":
            await room.send(url, body)
            assert await waiting == [body]
            waiting = await waits(room, url)
        assert seen == ["write"] * 3
        room.clock.advance(31)  # they were under the time-out: nobody sends, and still they come
        assert sorted(await waiting) == ["a", "b", "c"]

    run(test)


def test_what_was_sent_while_nobody_waited_is_found(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q")
        waiting = await waits(room, url)
        await asyncio.gather(*(room.send(url, body) for body in "ab"))
        found = await waiting
        while len(found) < 2:
            found += await room.bodies(url, WaitTimeSeconds=20)
        assert sorted(found) == ["a", "b"]

    run(test)


def test_of_a_batch_he_gets_as_many_as_he_asked_for(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q")
        waiting = await waits(room, url, count=2)
        entries: list[dict[str, Any]] = [{"Id": str(n), "MessageBody": f"body {n}"} for n in range(5)]
        entries[1]["DelaySeconds"] = 60
        entries[2]["MessageBody"] = "no text \x00"
        answer = await room.call("SendMessageBatch", QueueUrl=url, Entries=entries)
        assert [each["Id"] for each in answer["Successful"]] == ["0", "1", "3", "4"]
        assert len({each["MessageId"] for each in answer["Successful"]}) == 4
        assert await waiting == ["body 0", "body 3"]
        assert await room.depth(url) == (1, 2, 1)
        assert await room.bodies(url) == ["body 4"]

    run(test)


def test_messages_that_nobody_is_to_be_kept_from_are_received_as_ever(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q", VisibilityTimeout="0")
        waiting = await waits(room, url)
        await room.send(url, "a")
        assert await waiting == ["a"]
        (again,) = await room.receive(url)
        assert again["Attributes"]["ApproximateReceiveCount"] == "2"

    run(test)


def test_being_handed_over_counts_as_being_received(run: Run) -> None:
    async def test(room: Room) -> None:
        url, dead = await room.create("q"), await room.create("dead")
        await room.redrive(url, dead, max_receives=1)
        for body in "ab":
            waiting = await waits(room, url)
            await room.send(url, body)
            assert await waiting == [body]
        room.clock.advance(31)
        assert await room.receive(url) == []
        assert sorted(await room.bodies(dead)) == ["a", "b"]
        assert await room.depth(url) == (0, 0, 0)

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


@pytest.mark.parametrize("open_room", ["postgresql"], indirect=True)
def test_a_message_is_two_round_trips_each_way(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(room: Room) -> None:
        trips: list[str] = []
        part, leave = Pipeline._part, Pipeline.leave

        def counted(pipeline: Pipeline) -> None:
            trips.append("batch")
            part(pipeline)

        def left(pipeline: Pipeline) -> None:
            trips.append("core")
            leave(pipeline)

        url = await room.create("q")
        waiting, shelf = await waits(room, url), await shelf_of(room, url)
        while not shelf.is_quiet:
            await asyncio.sleep(0.001)
        monkeypatch.setattr(Pipeline, "_part", counted)
        monkeypatch.setattr(Pipeline, "leave", left)
        await room.send(url, "a")
        assert await waiting == ["a"]
        await waits(room, url)
        assert trips == ["batch"] * 2
        trips.clear()
        await room.send(url, "b")
        await room.send(url, "c")
        assert trips == ["batch"] * 4
        trips.clear()
        (message,) = await room.receive(url, 1)
        assert trips == ["batch"] * 2
        trips.clear()
        await room.delete(url, message)
        assert trips == ["batch"] * 2

    run(test)
