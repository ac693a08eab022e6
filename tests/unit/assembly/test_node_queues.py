"""Whoever sends on a node, by whichever way, hands over to the trigger that waits there."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from cosset.assembly.ground import Ground, open_ground
from cosset.assembly.invocation import Outward
from cosset.assembly.queues import make_sqs, serve_queues
from cosset.assembly.topics import QueuesForTopics
from cosset.assembly.triggers import Triggers
from cosset.clock import SystemClock
from cosset.identity.ports import Authorizer
from cosset.invocation.destinations import Delivery, Destinations
from cosset.services.sns.ports import ForQueue
from cosset.settings import Settings
from cosset.triggers.sources import QueueSource
from support.caller import ACCOUNT, Caller

ARN = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"
Send = Callable[[Ground, str], Awaitable[Any]]


async def by_the_service(ground: Ground, url: str) -> None:
    await Caller(make_sqs(ground, SystemClock()))("SendMessage", QueueUrl=url, MessageBody="a")


async def as_a_destination(ground: Ground, _url: str) -> None:
    outward = Outward(Destinations(), cast(Any, None))
    serve_queues(ground, outward, SystemClock())
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
    delivery = Delivery(
        id="d", target_arn=ARN, source_arn=function, condition="", role="r", trace_id="", sent_ms=0, body=b"a"
    )
    destination = outward.destinations.find(ARN)
    assert destination is not None
    await destination.deliver(delivery)


async def by_a_topic(ground: Ground, _url: str) -> None:
    queues = QueuesForTopics(ground, cast(Authorizer, None), SystemClock())
    queues._authorize = _let_in  # type: ignore[method-assign]
    await queues.send(ForQueue(id="m", queue_arn=ARN, body="a", source_arn="arn:aws:sns:us-east-1:1:t"))


async def _let_in(_message: ForQueue) -> None:
    return None


@pytest.mark.parametrize("send", [by_the_service, as_a_destination, by_a_topic])
def test_what_is_sent_on_the_node_is_handed_to_its_trigger(
    tmp_path: Path, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), AsyncExitStack() as stack:
            clock = SystemClock()
            ground = await open_ground(stack, Settings(data=tmp_path, min_free_mb=0), tmp_path, clock)
            service = Caller(make_sqs(ground, clock))
            url = (await service("CreateQueue", QueueName="q"))["QueueUrl"]
            nothing = cast(Any, None)
            source = Triggers(ground, nothing, nothing, nothing, clock).sources.find("sqs")
            assert isinstance(source, QueueSource)
            waiting = asyncio.ensure_future(source.receive(ARN, limit=10, wait_s=20, cancelled=asyncio.Event()))
            while not ground.queues.there._handing._waiting:
                await asyncio.sleep(0.001)
            looked: list[object] = []
            monkeypatch.setattr(ground.queues.there, "_receive_once", looked.append)
            await send(ground, url)
            (record,) = await waiting
            assert record.content == "a"
            assert not looked
            depth = await ground.queues.there.depth(ARN)
            assert (depth.visible, depth.in_flight) == (0, 1)

    asyncio.run(main())
