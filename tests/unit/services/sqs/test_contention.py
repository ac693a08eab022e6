"""Many receivers of one queue at once, on both engines: nobody gets what another holds, and no group gets stuck."""

import asyncio
import random
from collections.abc import Callable

from .conftest import Room, Test

GROUPS, EACH = "abcde", 30


def test_receivers_share_groups_without_losing_order(run: Callable[[Test], None]) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo", ContentBasedDeduplication="true", VisibilityTimeout="600")
        order = random.Random(7)
        done: dict[str, list[int]] = {group: [] for group in GROUPS}

        async def send(group: str) -> None:
            for number in range(EACH):
                await room.send(url, f"{group}{number}", MessageGroupId=group)

        async def work() -> None:
            while sum(map(len, done.values())) < len(GROUPS) * EACH:
                found = await room.receive(url, order.randint(1, 10))
                if not found:
                    await asyncio.sleep(0.001)
                for at, message in enumerate(found):
                    if order.random() < 0.2:  # gives the rest back, the last first
                        for other in reversed(found[at:]):
                            await room.hide(url, other, 0)
                        break
                    done[message["Body"][0]].append(int(message["Body"][1:]))
                    await room.delete(url, message)

        await asyncio.gather(*map(send, GROUPS), *(work() for _ in range(6)))
        assert done == {group: list(range(EACH)) for group in GROUPS}
        assert await room.depth(url) == (0, 0, 0)

    run(test)


def test_a_standard_queue_gives_each_message_to_one(run: Callable[[Test], None]) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q")
        seen: list[str] = []

        async def send(number: int) -> None:
            entries = [{"Id": str(n), "MessageBody": f"{number}-{n}"} for n in range(10)]
            await room.call("SendMessageBatch", QueueUrl=url, Entries=entries)

        async def work() -> None:
            while len(seen) < 200:
                for message in await room.receive(url, WaitTimeSeconds=0):
                    seen.append(message["Body"])
                    await room.delete(url, message)
                await asyncio.sleep(0)

        await asyncio.gather(*map(send, range(20)), *(work() for _ in range(6)))
        assert len(seen) == len(set(seen)) == 200

    run(test)


def test_one_deduplication_id_sent_at_once_is_one_message(run: Callable[[Test], None]) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo")
        sent = await asyncio.gather(
            *(room.send(url, str(n), MessageGroupId=f"g{n % 3}", MessageDeduplicationId="d") for n in range(12))
        )
        assert len({each["MessageId"] for each in sent}) == 1
        assert await room.depth(url) == (1, 0, 0)

    run(test)


def test_batches_with_the_same_deduplication_ids_in_any_order(run: Callable[[Test], None]) -> None:
    async def test(room: Room) -> None:
        url = await room.create("q.fifo")
        order = random.Random(3)

        async def send() -> None:
            entries = [
                {"Id": str(n), "MessageBody": str(n), "MessageGroupId": f"g{n % 4}", "MessageDeduplicationId": str(n)}
                for n in range(10)
            ]
            order.shuffle(entries)
            answer = await room.call("SendMessageBatch", QueueUrl=url, Entries=entries)
            assert len(answer["Successful"]) == 10

        await asyncio.gather(*(send() for _ in range(8)))
        assert await room.depth(url) == (10, 0, 0)

    run(test)
