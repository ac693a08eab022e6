"""FIFO queues: order within a group, several of a group at once, deduplication, expiry of handles."""

from collections.abc import Callable
from typing import Any

from .conftest import Room, Test

Run = Callable[[Test], None]


async def fill(room: Room, url: str, *messages: str) -> None:
    """Each `a1` is a message `a1` of group `a`."""
    for body in messages:
        await room.send(url, body, MessageGroupId=body[0])


def test_a_batch_of_one_group_holds_it_until_the_last_is_settled(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo", ContentBasedDeduplication="true", VisibilityTimeout="30")
        await fill(room, url, "a1", "a2", "a3", "a4", "b1")
        held = await room.receive(url, 3)
        assert [message["Body"] for message in held] == ["a1", "a2", "a3"]
        assert await room.bodies(url) == ["b1"]
        await room.delete(url, held[0])
        await room.delete(url, held[2])
        assert await room.bodies(url) == []
        await room.hide(url, held[1], 0)
        assert await room.bodies(url) == ["a2", "a4"]

    run(test)


def test_a_group_comes_again_in_order_when_its_holder_is_gone(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo", ContentBasedDeduplication="true", VisibilityTimeout="30")
        await fill(room, url, "a1", "a2", "a3")
        held = await room.receive(url, 2)
        await room.hide(url, held[0], 5)
        room.clock.advance(5)
        assert await room.bodies(url) == []  # a1 is visible, but a2 is in flight
        room.clock.advance(25)
        assert await room.bodies(url) == ["a1", "a2", "a3"]

    run(test)


def test_groups_do_not_wait_for_each_other(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo", ContentBasedDeduplication="true")
        await fill(room, url, "a1", "b1", "a2", "c1", "b2")
        assert await room.bodies(url, 1) == ["a1"]
        assert await room.bodies(url, 1) == ["b1"]
        assert await room.bodies(url) == ["c1"]
        assert await room.depth(url) == (2, 3, 0)

    run(test)


def test_sequence_numbers_ascend_also_after_everything_was_deleted(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo", ContentBasedDeduplication="true")
        numbers = []
        for number in range(5):
            sent = await room.send(url, str(number), MessageGroupId="g")
            (message,) = await room.receive(url)
            assert message["Attributes"]["SequenceNumber"] == sent["SequenceNumber"]
            await room.delete(url, message)
            numbers.append(sent["SequenceNumber"])
        assert numbers == sorted(numbers)
        assert len(set(numbers)) == 5
        assert {len(number) for number in numbers} == {20}

    run(test)


def test_a_deduplication_id_counts_for_five_minutes_from_the_first(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo")

        async def send(body: str, group: str = "g") -> dict[str, Any]:
            return await room.send(url, body, MessageGroupId=group, MessageDeduplicationId="d")

        first = await send("first")
        (message,) = await room.receive(url)
        await room.delete(url, message)
        room.clock.advance(200)
        for group in ("g", "other"):
            again = await send("again", group)
            assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
        room.clock.advance(99.999)
        await send("still again")
        assert await room.depth(url) == (0, 0, 0)
        room.clock.advance(0.001)
        later = await send("later")
        assert later["MessageId"] != first["MessageId"]
        assert await room.bodies(url) == ["later"]

    run(test)


def test_deduplication_by_content_and_by_group(run: Run) -> None:
    async def test(room: Room) -> None:
        by_content = await room.create("content.fifo", ContentBasedDeduplication="true")
        await room.send(by_content, "same", MessageGroupId="a")
        await room.send(by_content, "same", MessageGroupId="b")
        await room.send(by_content, "same", MessageGroupId="b", MessageDeduplicationId="own")
        assert await room.depth(by_content) == (2, 0, 0)
        by_group = await room.create(
            "group.fifo", DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId"
        )
        for group in "aab":
            await room.send(by_group, group, MessageGroupId=group, MessageDeduplicationId="d")
        assert await room.bodies(by_group) == ["a", "b"]

    run(test)


def test_a_handle_of_a_fifo_queue_ends_with_its_visibility(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo", ContentBasedDeduplication="true", VisibilityTimeout="5")
        await fill(room, url, "a1")
        (old,) = await room.receive(url)
        room.clock.advance(5)
        for operation, more in (("DeleteMessage", {}), ("ChangeMessageVisibility", {"VisibilityTimeout": 9})):
            code, sentence = await room.refusal(operation, QueueUrl=url, ReceiptHandle=old["ReceiptHandle"], **more)
            assert code == "InvalidParameterValueException"
            assert sentence.endswith("for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.")
        (new,) = await room.receive(url)
        assert (await room.refusal("DeleteMessage", QueueUrl=url, ReceiptHandle=old["ReceiptHandle"]))[0] == code
        await room.delete(url, new)
        await room.delete(url, new)
        assert await room.depth(url) == (0, 0, 0)

    run(test)


def test_a_delay_of_the_queue_keeps_the_order(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo", ContentBasedDeduplication="true", DelaySeconds="10")
        await fill(room, url, "a1")
        room.clock.advance(4)
        await fill(room, url, "a2", "b1")
        assert await room.depth(url) == (0, 0, 3)
        room.clock.advance(6)
        assert await room.bodies(url) == ["a1"]
        room.clock.advance(4)
        assert await room.bodies(url) == ["b1"]

    run(test)


def test_dead_letters_of_a_fifo_queue_keep_their_order_and_group(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo", ContentBasedDeduplication="true", VisibilityTimeout="1")
        dead = await room.create("dead.fifo", ContentBasedDeduplication="true")
        await room.redrive(url, dead)
        await fill(room, url, "a1", "a2", "a3", "b1")
        assert await room.bodies(url, 2) == ["a1", "a2"]
        room.clock.advance(1)
        assert sorted(await room.bodies(url)) == ["a3", "b1"]
        found = await room.receive(dead)
        assert [message["Body"] for message in found] == ["a1", "a2"]
        assert {message["Attributes"]["MessageGroupId"] for message in found} == {"a"}

    run(test)


def test_expired_messages_free_their_group(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo", ContentBasedDeduplication="true", MessageRetentionPeriod="60")
        await fill(room, url, "a1", "a2")
        room.clock.advance(50)
        await fill(room, url, "a3")
        room.clock.advance(10)
        assert await room.bodies(url) == ["a3"]
        assert await room.depth(url) == (0, 1, 0)

    run(test)


def test_an_attempt_that_is_made_again_gets_the_same_messages(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo", ContentBasedDeduplication="true", VisibilityTimeout="30")
        await fill(room, url, "a1", "a2", "b1")
        first = await room.receive(url, 2, ReceiveRequestAttemptId="one")
        assert [message["Body"] for message in first] == ["a1", "a2"]
        room.clock.advance(20)
        assert await room.receive(url, 2, ReceiveRequestAttemptId="one") == first
        room.clock.advance(20)  # its visibility began anew
        assert await room.bodies(url) == ["b1"]
        await room.delete(url, first[0])
        code, sentence = await room.refusal("ReceiveMessage", QueueUrl=url, ReceiveRequestAttemptId="one")
        assert code == "InvalidParameterValueException"
        assert sentence == (
            "Value one for parameter ReceiveRequestAttemptId is invalid. Reason: The receiveRequestAttemptId is not "
            "valid anymore since the receive call is not retryable."
        )
        await room.hide(url, first[1], 0)
        (second,) = await room.receive(url, ReceiveRequestAttemptId="two")
        assert second["Body"] == "a2"
        await room.hide(url, second, 0)
        assert await room.bodies(url, ReceiveRequestAttemptId="two") == ["a2"]
        code, _ = await room.refusal("ReceiveMessage", QueueUrl=url, ReceiveRequestAttemptId="two words")
        assert code == "InvalidParameterValueException"

    run(test)
