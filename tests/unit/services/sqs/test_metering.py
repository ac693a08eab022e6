"""How deep queues are, as CloudWatch is told."""

import asyncio
from pathlib import Path

from cosset.observe.metrics import MetricKey
from cosset.services.sqs.chores import Chores
from cosset.services.sqs.model import NewMessage, QueueKey
from cosset.services.sqs.queues import Queues
from cosset.store.database import Store
from support.clock import ManualClock


class Writer:
    def __init__(self) -> None:
        self.seen: dict[str, float] = {}

    def record(self, key: MetricKey, unit: str, value: float) -> None:
        assert (key.namespace, key.dimensions, unit) == ("AWS/SQS", (("QueueName", "q"),), "Count")
        self.seen[key.name] = value


def test_depths_are_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        store = await Store.open(data=tmp_path / "data", database=None, clock=clock, min_free_mb=0)
        queues, key = Queues(store, clock), QueueKey("111111111111", "us-east-1", "q")
        await queues.book.create(key, {}, {})
        messages = [NewMessage(body="a"), NewMessage(body="b"), NewMessage(body="c", delay_s=60)]
        await queues.send_batch(key.arn, messages, sender_id="me")
        await queues.receive(key.arn, max_messages=1)
        writer = Writer()
        await Chores(store, clock).measure(writer)
        assert writer.seen == {
            "ApproximateNumberOfMessagesVisible": 1,
            "ApproximateNumberOfMessagesNotVisible": 1,
            "ApproximateNumberOfMessagesDelayed": 1,
        }
        await store.close()

    asyncio.run(scenario())
