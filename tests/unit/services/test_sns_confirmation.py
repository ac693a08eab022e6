"""Tokens that confirm a subscription: whose they are, how long, and what those that are none come to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.sns.deliveries import Deliveries
from cosset.services.sns.metering import TopicMeter
from cosset.services.sns.model import unpack
from cosset.services.sns.places import HTTP_QUEUE, QUEUE
from cosset.services.sns.publishing import Publishing
from cosset.services.sns.service import sns_service
from cosset.store.database import Store
from cosset.store.queue import DurableQueue
from cosset.wire.errors import ServiceError
from support.caller import ADMINISTRATOR, Caller
from support.clock import ManualClock

DAY_S = 24 * 3600
NOBODY = Principal(PrincipalKind.ANONYMOUS, "", "anonymous", "anonymous")
OTHER = Principal(PrincipalKind.USER, "2" * 12, f"arn:aws:iam::{'2' * 12}:user/other", "AIDAOTHER")


class Node:
    """SNS over a store, whose HTTP deliveries are read instead of made."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.clock = clock
        self._queue = DurableQueue(store, HTTP_QUEUE, clock)
        self._store = store
        publishing = Publishing(
            store, Deliveries(DurableQueue(store, QUEUE, clock), self._queue), clock, TopicMeter(None)
        )
        self._service = sns_service(store, publishing.deliveries, publishing, clock)
        self.owner = self.caller(ADMINISTRATOR)
        self.nobody = self.caller(NOBODY)

    def caller(self, principal: Principal, region: str = "us-east-1") -> Caller:
        return Caller(self._service, principal, region)

    async def subscribed(self, name: str, endpoint: str = "https://example.com/") -> tuple[str, str]:
        """A topic and the token that went to its subscriber."""
        topic = (await self.owner("CreateTopic", Name=name))["TopicArn"]
        await self.owner("Subscribe", TopicArn=topic, Protocol="https", Endpoint=endpoint)
        return topic, await self.sent_token()

    async def sent_token(self) -> str:
        (message,) = await self._queue.receive(limit=10, lease_ms=1000)
        await self._store.write(lambda tx: self._queue.delete(tx, message))
        token = unpack(message.body)[1].token
        assert token is not None
        return token

    async def states(self, topic: str) -> list[str]:
        listed = await self.owner("ListSubscriptionsByTopic", TopicArn=topic)
        return [each["SubscriptionArn"] for each in listed["Subscriptions"]]


@asynccontextmanager
async def node(folder: Path) -> AsyncIterator[Node]:
    clock = ManualClock()
    store = await Store.open(data=folder, database=None, clock=clock, min_free_mb=1)
    try:
        yield Node(store, clock)
    finally:
        await store.close()


async def refused(caller: Caller, operation: str, **params: Any) -> str:
    with pytest.raises(ServiceError) as caught:
        await caller(operation, **params)
    return str(caught.value)


def test_a_token_that_is_forged_confirms_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node(tmp_path) as sns:
            topic, token = await sns.subscribed("mine")
            forged = ["", "x", token[:-1], token + "0", token.upper(), token[::-1], "%", f"{token[:-1]}_", "0" * 256]
            for each in forged:
                for caller in (sns.nobody, sns.owner):
                    assert "Token" in await refused(caller, "ConfirmSubscription", TopicArn=topic, Token=each)
            assert await sns.states(topic) == ["PendingConfirmation"]

    asyncio.run(scenario())


def test_a_token_is_good_for_its_own_topic(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node(tmp_path) as sns:
            topic, token = await sns.subscribed("mine")
            other = (await sns.owner("CreateTopic", Name="other"))["TopicArn"]
            assert "Token" in await refused(sns.nobody, "ConfirmSubscription", TopicArn=other, Token=token)
            for wrong in (f"{topic}x", topic.replace("us-east-1", "us-west-1"), topic.replace("1" * 12, "2" * 12)):
                assert "Topic" in await refused(sns.nobody, "ConfirmSubscription", TopicArn=wrong, Token=token)
            elsewhere = sns.caller(ADMINISTRATOR, "eu-west-1")
            for_there = {"TopicArn": topic, "Token": token}
            with pytest.raises(ServiceError):
                await elsewhere("ConfirmSubscription", **for_there)
            assert await sns.states(topic) == ["PendingConfirmation"]

    asyncio.run(scenario())


def test_a_token_is_good_for_three_days_and_then_for_what_it_confirmed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node(tmp_path) as sns:
            late, late_token = await sns.subscribed("late")
            timely, timely_token = await sns.subscribed("timely")
            confirmed = await sns.nobody("ConfirmSubscription", TopicArn=timely, Token=timely_token)
            sns.clock.advance(3 * DAY_S)
            assert "Token" in await refused(sns.nobody, "ConfirmSubscription", TopicArn=late, Token=late_token)
            assert await sns.nobody("ConfirmSubscription", TopicArn=timely, Token=timely_token) == confirmed

    asyncio.run(scenario())


def test_who_confirmed_with_a_signature_may_ask_for_one_when_it_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node(tmp_path) as sns:
            topic, token = await sns.subscribed("guarded")
            asked = {"TopicArn": topic, "Token": token, "AuthenticateOnUnsubscribe": "true"}
            arn = (await sns.owner("ConfirmSubscription", **asked))["SubscriptionArn"]
            for caller in (sns.nobody, sns.caller(OTHER)):
                await refused(caller, "Unsubscribe", SubscriptionArn=arn)
            assert await sns.states(topic) == [arn]
            await sns.owner("Unsubscribe", SubscriptionArn=arn)
            assert await sns.states(topic) == []

    asyncio.run(scenario())


def test_the_last_message_brings_back_what_was_ended_for_three_days(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node(tmp_path) as sns:
            topic, token = await sns.subscribed("ended")
            arn = (await sns.nobody("ConfirmSubscription", TopicArn=topic, Token=token))["SubscriptionArn"]
            await sns.nobody("Unsubscribe", SubscriptionArn=arn)
            again = await sns.sent_token()
            assert again != token
            assert "Token" in await refused(sns.nobody, "ConfirmSubscription", TopicArn=topic, Token=token)
            assert (await sns.nobody("ConfirmSubscription", TopicArn=topic, Token=again))["SubscriptionArn"] == arn
            await sns.nobody("Unsubscribe", SubscriptionArn=arn)
            last = await sns.sent_token()
            sns.clock.advance(3 * DAY_S)
            assert "Token" in await refused(sns.nobody, "ConfirmSubscription", TopicArn=topic, Token=last)
            assert await sns.states(topic) == []

    asyncio.run(scenario())
