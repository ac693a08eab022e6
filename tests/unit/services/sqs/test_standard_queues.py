"""Standard queues: visibility, delay, retention, dead letters, purge and deletion, as AWS keeps time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cosset.wire.errors import ServiceError

from .conftest import OpenRoom, Room, Test

Run = Callable[[Test], None]


def test_a_message_is_invisible_until_its_timeout_and_gone_when_deleted(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q", VisibilityTimeout="5")
        await room.send(url, "a")
        (first,) = await room.receive(url)
        assert await room.receive(url) == []
        room.clock.advance(5)
        (second,) = await room.receive(url)
        assert second["MessageId"] == first["MessageId"]
        assert second["ReceiptHandle"] != first["ReceiptHandle"]
        assert [each["Attributes"]["ApproximateReceiveCount"] for each in (first, second)] == ["1", "2"]
        times = [each["Attributes"]["ApproximateFirstReceiveTimestamp"] for each in (first, second)]
        assert times[0] == times[1]
        await room.delete(url, second)
        room.clock.advance(60)
        assert await room.receive(url) == []

    run(test)


def test_an_old_handle_of_a_standard_queue_still_deletes_and_hides(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q", VisibilityTimeout="5")
        await room.send(url, "a")
        (old,) = await room.receive(url)
        room.clock.advance(6)
        await room.hide(url, old, 10)
        assert await room.receive(url) == []
        room.clock.advance(10)
        (new,) = await room.receive(url)
        await room.delete(url, old)
        await room.delete(url, new)  # gone already: no error
        assert await room.depth(url) == (0, 0, 0)
        code, sentence = await room.refusal(
            "ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=new["ReceiptHandle"], VisibilityTimeout=1
        )
        assert code == "InvalidParameterValueException"
        assert sentence.endswith("Reason: Message does not exist or is not available for visibility timeout change.")

    run(test)


def test_handles_that_are_forged_foreign_or_nonsense_are_no_handles(run: Run) -> None:
    async def test(room: Room) -> None:
        url, other = await room.create("q"), await room.create("other")
        await room.send(url, "a")
        (message,) = await room.receive(url)
        handle = message["ReceiptHandle"]
        forged = ("A" if handle[20] != "A" else "B").join((handle[:20], handle[21:]))
        for target, bad in ((other, handle), (url, forged), (url, "garbage"), (url, handle[:-8]), (url, "é" * 10)):
            for operation, more in (("DeleteMessage", {}), ("ChangeMessageVisibility", {"VisibilityTimeout": 0})):
                code, sentence = await room.refusal(operation, QueueUrl=target, ReceiptHandle=bad, **more)
                assert code == "ReceiptHandleIsInvalid"
                assert sentence == f'The input receipt handle "{bad}" is not a valid receipt handle.'
        assert await room.depth(url) == (0, 1, 0)

    run(test)


def test_delays_of_the_queue_and_of_the_message(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q", DelaySeconds="10")
        await room.send(url, "queue's")
        await room.send(url, "own", DelaySeconds=3)
        await room.send(url, "none", DelaySeconds=0)
        assert await room.depth(url) == (1, 0, 2)
        assert await room.bodies(url) == ["none"]
        room.clock.advance(3)
        assert await room.bodies(url) == ["own"]
        room.clock.advance(7)
        assert await room.bodies(url) == ["queue's"]

    run(test)


def test_messages_older_than_the_retention_are_never_given(run: Run) -> None:
    """Also when the retention is shortened after they were sent, and when many of them stand in front."""

    async def test(room: Room) -> None:
        url = await room.create("q", VisibilityTimeout="0")
        for start in range(0, 600, 10):
            entries = [{"Id": str(n), "MessageBody": f"old {start + n}"} for n in range(10)]
            await room.call("SendMessageBatch", QueueUrl=url, Entries=entries)
        room.clock.advance(100)
        await room.send(url, "new")
        await room.call("SetQueueAttributes", QueueUrl=url, Attributes={"MessageRetentionPeriod": "60"})
        assert await room.bodies(url, WaitTimeSeconds=5) == ["new"]
        assert await room.depth(url) == (1, 0, 0)

    run(test)


def test_a_message_that_was_received_too_often_goes_to_the_dead_letter_queue(run: Run) -> None:
    async def test(room: Room) -> None:
        url, dead = await room.create("q", VisibilityTimeout="1"), await room.create("dead")
        await room.redrive(url, dead, max_receives=2)
        sent = await room.send(url, "a", MessageAttributes={"n": {"DataType": "Number", "StringValue": "1"}})
        for _ in range(2):
            assert await room.bodies(url) == ["a"]
            room.clock.advance(1)
        assert await room.receive(url) == []
        (moved,) = await room.receive(dead, MessageAttributeNames=["All"])
        assert (moved["MessageId"], moved["Body"]) == (sent["MessageId"], "a")
        assert moved["MessageAttributes"] == {"n": {"DataType": "Number", "StringValue": "1"}}
        assert moved["Attributes"]["DeadLetterQueueSourceArn"] == room.arn(url)
        assert moved["Attributes"]["ApproximateReceiveCount"] == "3"
        assert await room.depth(url) == (0, 0, 0)

    run(test)


def test_a_message_stays_while_its_dead_letter_queue_is_gone(run: Run) -> None:
    async def test(room: Room) -> None:
        url, dead = await room.create("q", VisibilityTimeout="0"), await room.create("dead")
        await room.redrive(url, dead)
        await room.send(url, "a")
        await room.call("DeleteQueue", QueueUrl=dead)
        for _ in range(3):
            assert await room.bodies(url) == ["a"]

    run(test)


def test_a_waiting_receive_wakes_when_something_is_sent_and_ends_when_nothing_is(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q")
        waiting = asyncio.create_task(room.receive(url, WaitTimeSeconds=20))
        await wait_until_awaited(room, url)
        await room.send(url, "a")  # no time passes
        (message,) = await waiting
        assert message["Body"] == "a"
        await room.delete(url, message)
        waiting = asyncio.create_task(room.receive(url, WaitTimeSeconds=20))
        while not waiting.done():
            room.clock.advance(1)
            await asyncio.sleep(0.001)
        assert await waiting == []

    run(test)


def test_a_client_that_leaves_ends_its_poll_and_takes_nothing(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q")
        gone = asyncio.Event()
        waiting = asyncio.create_task(room.queues.receive(room.arn(url), wait_s=20, cancelled=gone))
        await wait_until_awaited(room, url)
        gone.set()
        assert await waiting == []
        await room.send(url, "a")
        gone_before = asyncio.Event()
        gone_before.set()
        assert await room.queues.receive(room.arn(url), cancelled=gone_before) == []
        assert await room.bodies(url) == ["a"]  # at once, not after the visibility timeout

    run(test)


def test_a_poll_goes_on_over_a_purge_and_ends_with_the_queue(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q")
        waiting = asyncio.create_task(room.receive(url, WaitTimeSeconds=20))
        await wait_until_awaited(room, url)
        await room.call("PurgeQueue", QueueUrl=url)
        await wait_until_awaited(room, url)
        await room.send(url, "a")
        assert len(await waiting) == 1
        ending = asyncio.create_task(room.refusal("ReceiveMessage", QueueUrl=url, WaitTimeSeconds=20))
        await wait_until_awaited(room, url)
        await room.call("DeleteQueue", QueueUrl=url)
        assert (await ending)[0] == "QueueDoesNotExist"

    run(test)


def test_a_purge_takes_everything_that_was_there_and_rests_for_a_minute(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q")
        await room.send(url, "waiting")
        await room.send(url, "in flight")
        (held,) = await room.receive(url, 1)
        await room.call("PurgeQueue", QueueUrl=url)
        await room.delete(url, held)  # as if it were there
        await room.send(url, "after")
        assert await room.bodies(url) == ["after"]
        assert await room.refusal("PurgeQueue", QueueUrl=url) == (
            "PurgeQueueInProgress",
            "Only one PurgeQueue operation on q is allowed every 60 seconds.",
        )
        room.clock.advance(60)
        await room.call("PurgeQueue", QueueUrl=url)
        assert await room.depth(url) == (0, 0, 0)

    run(test)


def test_what_was_purged_or_deleted_is_removed_in_time_also_by_another_node(open_room: OpenRoom) -> None:
    async def main() -> None:
        async with open_room() as room:
            url, other = await room.create("q"), await room.create("kept")
            for each in (url, other):
                for _ in range(60):
                    entries = [{"Id": str(n), "MessageBody": "x"} for n in range(10)]
                    await room.call("SendMessageBatch", QueueUrl=each, Entries=entries)
            await room.call("DeleteQueue", QueueUrl=url)
            assert await rows(room) == 1200
        async with open_room() as room:  # the node that deleted it did nothing more
            while await room.chores.run() is not None:
                pass
            assert await rows(room) == 600
            assert await room.depth(other) == (600, 0, 0)

    asyncio.run(main())


def test_what_nobody_reads_goes_when_it_is_too_old(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q", MessageRetentionPeriod="60")
        fifo = await room.create("q.fifo", MessageRetentionPeriod="60", ContentBasedDeduplication="true")
        for number in range(30):
            await room.send(url, "old")
            await room.send(fifo, f"old {number}", MessageGroupId=str(number % 2))
        (held,) = await room.receive(url, 1)
        room.clock.advance(50)
        await room.send(url, "new")
        await room.send(fifo, "new", MessageGroupId="0")
        room.clock.advance(10)
        await room.chores.sweep()
        assert await rows(room) == 3  # the one that was in flight, too: its time shows when it is received
        assert await room.bodies(url) == ["new"]
        assert await room.bodies(fifo) == ["new"]
        await room.delete(url, held)
        assert await rows(room) == 2

    run(test)


def test_a_deleted_queue_keeps_its_name_for_a_minute(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q")
        await room.send(url, "a")
        await room.call("DeleteQueue", QueueUrl=url)
        assert (await room.refusal("SendMessage", QueueUrl=url, MessageBody="x"))[0] == "QueueDoesNotExist"
        assert await room.refusal("CreateQueue", QueueName="q") == (
            "QueueDeletedRecently",
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
        )
        room.clock.advance(60)
        assert await room.create("q") == url
        assert await room.receive(url) == []

    run(test)


def test_what_another_node_changes_holds_here_at_once(open_room: OpenRoom) -> None:
    """Records are cached: a message is never judged by old ones, and never lost in a queue that is gone."""

    async def main() -> None:
        async with open_room() as room:
            other = Room(room.store, room.clock)
            other.queues.book._forget = lambda key: None  # type: ignore[method-assign] # it hears of nothing
            url = await room.create("q")
            await room.send(url, "a")
            await room.call("PurgeQueue", QueueUrl=url)
            await other.send(url, "b")
            await room.call("SetQueueAttributes", QueueUrl=url, Attributes={"MaximumMessageSize": "1024"})
            assert (await other.refusal("SendMessage", QueueUrl=url, MessageBody="x" * 2000))[1].endswith(
                "Message must be shorter than 1024 bytes."
            )
            assert await other.bodies(url) == ["b"]
            await room.call("DeleteQueue", QueueUrl=url)
            assert (await other.refusal("SendMessage", QueueUrl=url, MessageBody="c"))[0] == "QueueDoesNotExist"

    asyncio.run(main())


def test_no_more_than_the_limit_is_in_flight(run: Run) -> None:
    async def test(room: Room) -> None:
        room.queues._receiving._flights._max_standard = 15
        room.queues._receiving._flights._max_fifo = 5
        url, fifo = await room.create("q"), await room.create("q.fifo", ContentBasedDeduplication="true")
        for number in range(20):
            await room.send(url, str(number))
            await room.send(fifo, str(number), MessageGroupId=str(number))
        taken: list[dict[str, Any]] = []
        while len(taken) < 15:
            taken += await room.receive(url)
        assert len(taken) == 15
        assert (await room.refusal("ReceiveMessage", QueueUrl=url))[0] == "OverLimit"
        await room.delete(url, taken[0])
        assert len(await room.receive(url)) == 1
        given = 0
        while found := await room.receive(fifo):
            given += len(found)
        assert given == 5  # a FIFO queue says nothing

    run(test)


async def wait_until_awaited(room: Room, url: str) -> None:
    """Until a poll of this queue waits: bounded by the test's own timeout."""
    record = await room.queues.book.read((await room.queues.book.get(key_of(room, url))).key)
    assert record is not None
    while not room.queues._shelves.of(record).is_awaited:
        await asyncio.sleep(0.001)


def key_of(room: Room, url: str) -> Any:
    from cosset.services.sqs.model import QueueKey

    return QueueKey.of_arn(room.arn(url))


async def rows(room: Room) -> int:
    from sqlalchemy import func, select

    from cosset.store.queue_tables import messages

    return await room.store.read(lambda tx: tx.execute(select(func.count()).select_from(messages)).scalar_one())


def test_nobody_holds_a_message_for_more_than_twelve_hours(run: Run) -> None:
    """As reported of AWS: what was passed already counts, so the whole of it cannot be asked for again."""

    async def test(room: Room) -> None:
        url = await room.create("q")
        await room.send(url, "a")
        (held,) = await room.receive(url, VisibilityTimeout=43_200)

        def change(visibility_s: int) -> Any:
            params = {"ReceiptHandle": held["ReceiptHandle"], "VisibilityTimeout": visibility_s}
            return room.call("ChangeMessageVisibility", QueueUrl=url, **params)

        room.clock.advance(3600)
        with pytest.raises(ServiceError) as caught:
            await change(39_601)
        assert caught.value.message == (
            "Value 39601 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message "
            "is beyond the limit [43200 seconds]"
        )
        await change(39_600)
        await change(0)
        assert await room.bodies(url) == ["a"]

    run(test)
