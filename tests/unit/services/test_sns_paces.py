"""Delivery policies: how fast messages go to an endpoint, and what a policy may say."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cosset.observe.causes import Unrecorded
from cosset.services.sns.deliveries import Deliveries, DeliveryWorker
from cosset.services.sns.delivery_policy import check_delivery_policy
from cosset.services.sns.metering import TopicMeter
from cosset.services.sns.model import Published, pack, unpack
from cosset.services.sns.paces import Paces, is_marked, marked
from cosset.services.sns.places import HTTP_QUEUE, QUEUE
from cosset.services.sns.publishing import Publishing
from cosset.services.sns.service import sns_service
from cosset.store.database import Store
from cosset.store.queue import DurableQueue
from cosset.wire.errors import ServiceError
from support.caller import ADMINISTRATOR, Caller
from support.clock import ManualClock

RETRY = {"minDelayTarget": 1, "maxDelayTarget": 2, "numRetries": 3}


class Endpoint:
    """Implements HttpPoster: keeps what it is sent, unless it fails."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.fails = False

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        if self.fails:
            raise ServiceError("EndpointFailure", "it answered 500", status=500)
        self.taken.append(body.decode())


def test_every_message_has_a_turn_of_its_own() -> None:
    clock = ManualClock()
    paces = Paces(clock)
    assert [paces.delay_ms("a", 4) for _ in range(4)] == [0, 250, 500, 750]
    assert paces.delay_ms("b", 4) == 0
    clock.advance(10)
    assert [paces.delay_ms("a", 2) for _ in range(2)] == [0, 500]


def test_an_endpoint_gets_no_more_a_second_than_its_policy_says(tmp_path: Path) -> None:
    async def run() -> None:
        clock = ManualClock()
        store = await Store.open(data=tmp_path, database=None, clock=clock, min_free_mb=1)
        queue, other, meter = (
            DurableQueue(store, HTTP_QUEUE, clock),
            DurableQueue(store, QUEUE, clock),
            TopicMeter(None),
        )
        publishing = Publishing(store, Deliveries(other, queue), clock, meter)
        call = Caller(sns_service(store, publishing.deliveries, publishing, clock), ADMINISTRATOR)
        nobody: Any = None
        endpoint = Endpoint()
        worker = DeliveryWorker(store, queue, nobody, nobody, nobody, endpoint, clock, meter=meter, causes=Unrecorded())

        async def deliver() -> list[str]:
            for message in await queue.receive(limit=10, lease_ms=60_000):
                await worker.handle(message)
            taken, endpoint.taken = endpoint.taken, []
            return taken

        topic = (await call("CreateTopic", Name="t"))["TopicArn"]
        policy = json.dumps({"healthyRetryPolicy": RETRY, "throttlePolicy": {"maxReceivesPerSecond": 1}})
        attributes = {"DeliveryPolicy": policy, "RawMessageDelivery": "true"}
        await call("Subscribe", TopicArn=topic, Protocol="https", Endpoint="https://x.example/", Attributes=attributes)
        (asked,) = await queue.receive(limit=1, lease_ms=60_000)
        await store.write(lambda tx: queue.delete(tx, asked))
        await call("ConfirmSubscription", TopicArn=topic, Token=unpack(asked.body)[1].token)
        for text in ("one", "two", "three"):
            await call("Publish", TopicArn=topic, Message=text)
        assert await deliver() == ["one"]
        clock.advance(1)
        assert await deliver() == ["two"]
        clock.advance(1)
        endpoint.fails = True
        # Its wait was no attempt: there are three retries left, and then it is given up.
        for seconds in (1, 1.5, 2):
            assert await deliver() == []
            clock.advance(seconds)
        endpoint.fails = False
        assert await deliver() == ["three"]
        await store.close()

    asyncio.run(run())


def test_a_message_keeps_its_mark() -> None:
    message = Published(id="1", topic_arn="t", text="x", sent_ms=1, url="u")
    body = pack("arn:aws:sns:us-east-1:000000000000:t:i", message.head())
    assert (is_marked(body), is_marked(marked(body))) == (False, True)
    assert unpack(marked(body)) == unpack(body)


@pytest.mark.parametrize(
    ("place", "given", "what"),
    [
        ("healthyRetryPolicy", RETRY | {"minDelayTarget": 0}, ".minDelayTarget must be greater than or equal to 1"),
        ("healthyRetryPolicy", {"numRetries": 1}, ".minDelayTarget must be specified"),
        ("healthyRetryPolicy", RETRY | {"numRetries": 101}, ".numRetries must be less than or equal to 100"),
        (
            "healthyRetryPolicy",
            RETRY | {"minDelayTarget": 3},
            ".maxDelayTarget must be greater than or equal to minDelayTarget",
        ),
        ("throttlePolicy", {"maxReceivesPerSecond": 0}, ".maxReceivesPerSecond must be greater than or equal to 1"),
        ("throttlePolicy", {}, ".maxReceivesPerSecond must be specified"),
        ("throttlePolicy", [], " must be an object"),
        ("http.defaultHealthyRetryPolicy", RETRY | {"numRetries": "1"}, ".numRetries must be a number"),
        ("http.defaultThrottlePolicy", {}, ".maxReceivesPerSecond must be specified"),
    ],
)
def test_what_a_delivery_policy_may_not_say(place: str, given: Any, what: str) -> None:
    """The first sentence was reported of AWS."""
    policy = given
    for name in reversed(place.split(".")):
        policy = {name: policy}
    with pytest.raises(ServiceError) as caught:
        check_delivery_policy(json.dumps(policy))
    assert caught.value.message == f"Invalid parameter: DeliveryPolicy: {place}{what}"
