"""Standard queues whose messages have a MessageGroupId: who keeps the receivers busy comes after the others.

The rule and its numbers: SQS developer guide, "How Amazon SQS fair queues work".
"""

from collections.abc import Callable

from .conftest import Room, Test

Run = Callable[[Test], None]


async def send(room: Room, url: str, tenant: str | None, count: int) -> None:
    group = {} if tenant is None else {"MessageGroupId": tenant}
    for start in range(0, count, 10):
        numbers = range(start, min(count, start + 10))
        entries = [{"Id": str(n), "MessageBody": f"{tenant} {n}", **group} for n in numbers]
        await room.call("SendMessageBatch", QueueUrl=url, Entries=entries)


async def tenants(room: Room, url: str, count: int = 10) -> list[str]:
    return [body.split()[0] for body in await room.bodies(url, count)]


async def keep_busy(room: Room, url: str, tenant: str, count: int) -> None:
    """So many of its messages are in flight."""
    await send(room, url, tenant, count)
    for _ in range(0, count, 10):
        assert set(await tenants(room, url)) == {tenant}
    room.clock.advance(1.0)


def test_quiet_tenants_come_before_a_noisy_one(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q", VisibilityTimeout="300")
        await keep_busy(room, url, "noisy", 30)
        await send(room, url, "noisy", 40)
        room.clock.advance(0.1)
        await send(room, url, "b", 3)
        await send(room, url, "a", 2)
        found = await tenants(room, url)
        assert sorted(found[:5]) == ["a", "a", "b", "b", "b"]
        assert found[5:] == ["noisy"] * 5  # nobody waits for nothing
        assert await tenants(room, url) == ["noisy"] * 10

    run(test)


def test_nobody_is_noisy_with_fewer_than_thirty_or_a_tenth(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q", VisibilityTimeout="300")
        await keep_busy(room, url, "few", 29)
        await send(room, url, "few", 10)
        await send(room, url, "late", 1)
        assert await tenants(room, url) == ["few"] * 10
        assert await tenants(room, url) == ["late"]

        other = await room.create("other", VisibilityTimeout="300")
        for number in range(30):
            await keep_busy(room, other, f"tenant{number}", 10)
        await keep_busy(room, other, "thirty", 30)
        await send(room, other, "thirty", 10)
        await send(room, other, "late", 1)
        assert await tenants(room, other) == ["thirty"] * 10

    run(test)


def test_who_was_noisy_is_quiet_when_its_messages_are_done(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q", VisibilityTimeout="10")
        await keep_busy(room, url, "noisy", 40)
        await send(room, url, "other", 1)
        assert await tenants(room, url, 1) == ["other"]
        room.clock.advance(20)  # they come again: nothing is in flight
        assert set(await tenants(room, url)) <= {"noisy", "other"}
        assert (await room.depth(url))[1] == 10
        room.clock.advance(1)
        assert len(await tenants(room, url)) == 10

    run(test)


def test_messages_without_a_tenant_are_received_beside(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q", VisibilityTimeout="300")
        await keep_busy(room, url, "noisy", 30)
        await send(room, url, None, 2)
        await send(room, url, "noisy", 2)
        await send(room, url, "quiet", 1)
        found = await tenants(room, url)
        assert sorted(found[:3]) == ["None", "None", "quiet"]
        assert found[3:] == ["noisy", "noisy"]

    run(test)


def test_many_tenants_come_by_turns(run: Run) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q", VisibilityTimeout="300")
        await keep_busy(room, url, "noisy", 30)
        await send(room, url, "noisy", 100)
        room.clock.advance(0.1)
        names = [f"t{number:02}" for number in range(25)]
        for name in names:
            await send(room, url, name, 1)
        found: list[str] = []
        while "noisy" not in found:
            found += await tenants(room, url)
        assert sorted(found[:25]) == names

    run(test)


def test_no_message_of_a_tenant_waits_for_another_of_its_own(run: Run) -> None:
    """As those of a group of a FIFO queue do; also where they are moved, hidden and deleted."""

    async def test(room: Room) -> None:
        url, dead = await room.create("q"), await room.create("dead")
        await room.redrive(url, dead, max_receives=1)
        await send(room, url, "t", 4)
        (first,) = await room.receive(url, 1)
        assert first["Attributes"]["MessageGroupId"] == "t"
        second, third = await room.receive(url, 2)
        await room.delete(url, second)
        await room.hide(url, third, 0)
        assert await room.depth(url) == (2, 1, 0)
        assert await room.bodies(url) == ["t 3"]
        assert await room.bodies(dead) == ["t 2"]
        room.clock.advance(40)
        assert await room.bodies(url) == []
        assert sorted(await room.bodies(dead, VisibilityTimeout=0)) == ["t 0", "t 2", "t 3"]
        await room.call("StartMessageMoveTask", SourceArn=room.arn(dead))
        while await room.chores.run() is not None:
            room.clock.advance(1)
        found = await room.receive(url)
        assert sorted(each["Body"] for each in found) == ["t 0", "t 2", "t 3"]
        assert {each["Attributes"]["MessageGroupId"] for each in found} == {"t"}

    run(test)
