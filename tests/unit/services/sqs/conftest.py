"""Queues over a real store of either engine, with time moved by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cosset.services.sqs.chores import Chores
from cosset.services.sqs.move_tasks import MoveTasks
from cosset.services.sqs.queues import Queues
from cosset.services.sqs.service import sqs_service
from cosset.store.database import Store
from cosset.wire.errors import ServiceError
from support.caller import ACCOUNT, Caller
from support.clock import ManualClock

TIMEOUT_S = 240


class Room:
    """A node's queues. `call` is the service, `queues` the domain."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.queues = Queues(store, clock)
        self.call = Caller(sqs_service(self.queues, MoveTasks(store, clock), clock))
        self.chores = Chores(store, clock)

    async def create(self, name: str, /, **attributes: str) -> str:
        """The queue's URL. A name that ends so makes a FIFO queue."""
        if name.endswith(".fifo"):
            attributes = {"FifoQueue": "true", **attributes}
        return str((await self.call("CreateQueue", QueueName=name, Attributes=attributes))["QueueUrl"])

    def arn(self, url: str) -> str:
        return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{url.rpartition('/')[2]}"

    async def redrive(self, source: str, target: str, max_receives: int = 1) -> None:
        policy = json.dumps({"deadLetterTargetArn": self.arn(target), "maxReceiveCount": max_receives})
        await self.call("SetQueueAttributes", QueueUrl=source, Attributes={"RedrivePolicy": policy})

    async def send(self, url: str, body: str, **more: Any) -> dict[str, Any]:
        return await self.call("SendMessage", QueueUrl=url, MessageBody=body, **more)

    async def receive(self, url: str, count: int = 10, **more: Any) -> list[dict[str, Any]]:
        found = await self.call(
            "ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=count, AttributeNames=["All"], **more
        )
        return list(found.get("Messages", []))

    async def bodies(self, url: str, count: int = 10, **more: Any) -> list[str]:
        return [message["Body"] for message in await self.receive(url, count, **more)]

    async def delete(self, url: str, message: dict[str, Any]) -> None:
        await self.call("DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    async def hide(self, url: str, message: dict[str, Any], seconds: int) -> None:
        handle = message["ReceiptHandle"]
        await self.call("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=seconds)

    async def depth(self, url: str) -> tuple[int, int, int]:
        """Visible, in flight, delayed."""
        depth = await self.queues.depth(self.arn(url))
        return depth.visible, depth.in_flight, depth.delayed

    async def refusal(self, operation: str, **params: Any) -> tuple[str, str]:
        with pytest.raises(ServiceError) as refused:
            await self.call(operation, **params)
        return refused.value.code, refused.value.message


Test = Callable[[Room], Awaitable[None]]
OpenRoom = Callable[[], Any]


@pytest.fixture(params=["sqlite", "postgresql"])
def open_room(request: pytest.FixtureRequest, tmp_path: Path) -> OpenRoom:
    """`async with open_room() as room`: the same data again at each call within a test."""
    database = None
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres").new_database()
    clock = ManualClock()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Room]:
        store = await Store.open(data=tmp_path / "data", database=database, clock=clock, min_free_mb=0)
        try:
            yield Room(store, clock)
        finally:
            await store.close()

    return opened


@pytest.fixture
def run(open_room: OpenRoom) -> Callable[[Test], None]:
    def run(test: Test) -> None:
        async def main() -> None:
            async with asyncio.timeout(TIMEOUT_S), open_room() as room:
                await test(room)

        asyncio.run(main())

    return run
