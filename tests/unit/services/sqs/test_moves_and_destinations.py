"""Move tasks step by step, and queues as destinations of asynchronous invocations."""

from collections.abc import Callable
from typing import Any

import pytest

from cosset.invocation.destinations import Delivery, DeliveryRefusedError
from cosset.services.sqs.chores import Chores
from cosset.services.sqs.destination import QueueDestination
from support.caller import ACCOUNT

from .conftest import Room, Test

Run = Callable[[Test], None]
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"


async def bury(room: Room, url: str, dead: str, count: int) -> None:
    """Sends messages and receives them until they are dead letters."""
    await room.redrive(url, dead)
    for number in range(count):
        await room.send(url, str(number))
    for _ in range(2):
        while await room.receive(url, VisibilityTimeout=1):
            pass
        room.clock.advance(1)
    assert (await room.depth(dead))[0] == count


async def task_of(room: Room, dead: str) -> dict[str, Any]:
    return dict((await room.call("ListMessageMoveTasks", SourceArn=room.arn(dead)))["Results"][0])


def test_messages_go_back_where_they_came_from_as_new_ones(run: Run) -> None:
    async def test(room: Room) -> None:
        first, second, dead = await room.create("first"), await room.create("second"), await room.create("dead")
        await bury(room, first, dead, 3)
        (before,) = await room.receive(dead, 1, VisibilityTimeout=0)
        await room.call("StartMessageMoveTask", SourceArn=room.arn(dead))
        while await room.chores.run() is not None:
            pass
        assert await room.depth(dead) == (0, 0, 0)
        found = await room.receive(first)
        assert sorted(message["Body"] for message in found) == ["0", "1", "2"]
        assert before["MessageId"] not in {message["MessageId"] for message in found}
        assert {message["Attributes"]["ApproximateReceiveCount"] for message in found} == {"1"}
        assert all("DeadLetterQueueSourceArn" not in message["Attributes"] for message in found)
        assert await room.depth(second) == (0, 0, 0)
        task = await task_of(room, dead)
        assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 3)
        assert "TaskHandle" not in task

    run(test)


def test_a_task_keeps_to_its_rate_and_can_be_cancelled(run: Run) -> None:
    async def test(room: Room) -> None:
        url, dead, target = await room.create("q"), await room.create("dead"), await room.create("target")
        await bury(room, url, dead, 10)
        handle = (
            await room.call(
                "StartMessageMoveTask",
                SourceArn=room.arn(dead),
                DestinationArn=room.arn(target),
                MaxNumberOfMessagesPerSecond=3,
            )
        )["TaskHandle"]
        for moved in (3, 6):
            for _ in range(3):
                assert await room.chores.run() == room.clock.now_ms() + 1000
            assert await room.depth(target) == (moved, 0, 0)
            room.clock.advance(1)
        assert (await task_of(room, dead))["TaskHandle"] == handle
        assert await room.call("CancelMessageMoveTask", TaskHandle=handle) == {"ApproximateNumberOfMessagesMoved": 6}
        assert await room.chores.run() is None
        assert (await task_of(room, dead))["Status"] == "CANCELLED"
        assert (await room.refusal("CancelMessageMoveTask", TaskHandle=handle))[0] == "InvalidParameterValueException"
        assert (await room.refusal("CancelMessageMoveTask", TaskHandle="nonsense"))[
            0
        ] == "InvalidParameterValueException"
        assert await room.depth(dead) == (4, 0, 0)

    run(test)


def test_one_node_at_a_time_is_at_a_task_and_another_takes_it_over(run: Run) -> None:
    async def test(room: Room) -> None:
        url, dead, target = await room.create("q"), await room.create("dead"), await room.create("target")
        await bury(room, url, dead, 4)
        arns = {"SourceArn": room.arn(dead), "DestinationArn": room.arn(target)}
        await room.call("StartMessageMoveTask", **arns, MaxNumberOfMessagesPerSecond=1)
        other = Chores(room.store, room.clock)
        await room.chores.run()
        room.clock.advance(1)
        await other.run()
        assert await room.depth(target) == (1, 0, 0)
        room.clock.advance(10)  # the first is dead, it seems
        await other.run()
        assert await room.depth(target) == (2, 0, 0)

    run(test)


def test_a_task_whose_destination_goes_fails_by_name(run: Run) -> None:
    async def test(room: Room) -> None:
        url, dead, target = await room.create("q"), await room.create("dead"), await room.create("target")
        await bury(room, url, dead, 2)
        arns = {"SourceArn": room.arn(dead), "DestinationArn": room.arn(target)}
        await room.call("StartMessageMoveTask", **arns, MaxNumberOfMessagesPerSecond=1)
        await room.chores.run()
        await room.call("DeleteQueue", QueueUrl=target)
        room.clock.advance(1)
        while await room.chores.run() is not None:
            pass
        task = await task_of(room, dead)
        assert (task["Status"], task["FailureReason"]) == ("FAILED", "AWS.SimpleQueueService.NonExistentQueue")
        assert await room.depth(dead) == (1, 0, 0)

    run(test)


def record(target: str, body: bytes, **attributes: str) -> Delivery:
    return Delivery(
        id="one",
        target_arn=target,
        source_arn=f"{FUNCTION}:$LATEST",
        condition="Success",
        role=f"arn:aws:iam::{ACCOUNT}:role/path/runs",
        trace_id="Root=1-2-3",
        sent_ms=0,
        body=body,
        attributes=attributes,
    )


def test_records_and_dead_letters_become_messages(run: Run) -> None:
    async def test(room: Room) -> None:
        url, destination = await room.create("q"), QueueDestination(room.queues)
        assert await destination.accepts(room.arn(url), source_arn=FUNCTION)
        await destination.deliver(record(room.arn(url), b'{"version":"1.0"}'))
        await destination.deliver(
            record(room.arn(url), b'{"n":1}', RequestID="r", ErrorCode="200", ErrorMessage="it failed")
        )
        success, dead = await room.receive(url, MessageAttributeNames=["All"])
        assert (success["Body"], success["Attributes"]["SenderId"]) == ('{"version":"1.0"}', "runs:f")
        assert "MessageAttributes" not in success
        assert dead["Body"] == '{"n":1}'
        assert {
            name: (value["DataType"], value["StringValue"]) for name, value in dead["MessageAttributes"].items()
        } == {
            "RequestID": ("String", "r"),
            "ErrorCode": ("Number", "200"),
            "ErrorMessage": ("String", "it failed"),
        }

    run(test)


def test_queues_that_are_no_destinations(run: Run) -> None:
    async def test(room: Room) -> None:
        fifo, url, destination = await room.create("q.fifo"), await room.create("q"), QueueDestination(room.queues)
        for arn in (room.arn(fifo), room.arn(url) + "-none", room.arn(url).replace("east", "west"), "nonsense"):
            assert not await destination.accepts(arn, source_arn=FUNCTION)
        for arn, body in ((room.arn(url) + "-none", b"a"), (room.arn(url), b"x" * 1_048_577), (room.arn(url), b"")):
            with pytest.raises(DeliveryRefusedError):
                await destination.deliver(record(arn, body))

    run(test)
