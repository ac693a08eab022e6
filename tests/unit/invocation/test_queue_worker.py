"""The worker of a durable queue outlives a store that refuses for a while."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from cosset.invocation.queue_worker import QueueWorker
from cosset.store.database import Store
from cosset.store.errors import DiskFullError
from cosset.store.queue import DurableQueue, Message
from support.clock import ManualClock


class RefusedTwice:
    """Calls through from the third time on."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.refusals = 0

    async def __call__(self, *arguments: Any, **named: Any) -> Any:
        if self.refusals < 2:
            self.refusals += 1
            raise DiskFullError("data")
        return await self.call(*arguments, **named)


@pytest.mark.parametrize("refused", ["recover", "receive", "wait"])
def test_it_waits_until_the_store_answers(tmp_path: Path, refused: str) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        store = await Store.open(data=tmp_path, database=None, clock=clock, min_free_mb=0)
        queue = DurableQueue(store, "events", clock)
        refusing = RefusedTwice(getattr(queue, refused))
        setattr(queue, refused, refusing)
        handled: list[bytes] = []
        done = asyncio.Event()

        async def handle(message: Message) -> None:
            handled.append(message.body)
            await store.write(lambda tx: queue.delete(tx, message))
            done.set()

        worker = QueueWorker(store, queue, handle, clock, noun="event", width=4)
        serving = asyncio.create_task(worker.serve())
        while refusing.refusals < 2:
            await asyncio.sleep(0.001)
            clock.advance(1)
        await store.write(lambda tx: queue.send(tx, b"here"))
        while not done.is_set():
            await asyncio.sleep(0.001)
            clock.advance(1)
        assert handled == [b"here"]
        await worker.stop(1)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await store.close()

    asyncio.run(scenario())
