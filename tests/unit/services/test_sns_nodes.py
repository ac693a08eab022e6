"""Publishing by two nodes at once, and what subscribers' policies may hold: topics over real stores."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cosset.services.sns.deliveries import Deliveries
from cosset.services.sns.filter_policies import FilterPolicies, check_filter_policy
from cosset.services.sns.metering import TopicMeter
from cosset.services.sns.model import BODY_SCOPE, Subscription, SubscriptionKey, SubscriptionState, TopicKey
from cosset.services.sns.places import HTTP_QUEUE, QUEUE
from cosset.services.sns.publishing import Publishing
from cosset.services.sns.service import sns_service
from cosset.store.database import Store
from cosset.store.queue import DurableQueue
from cosset.wire.errors import ServiceError
from support.caller import ACCOUNT, Caller
from support.clock import ManualClock
from support.postgres import PostgresServer

TIMEOUT_S = 120
TARGET = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q.fifo"


class Node:
    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.queue = DurableQueue(store, QUEUE, clock)
        publishing = Publishing(
            store, Deliveries(self.queue, DurableQueue(store, HTTP_QUEUE, clock)), clock, TopicMeter(None)
        )
        self.call = Caller(sns_service(store, publishing.deliveries, publishing, clock))

    async def waiting(self) -> int:
        return await self.store.read(self.queue.count_all)


@asynccontextmanager
async def nodes(postgres: PostgresServer, folder: Path) -> AsyncIterator[list[Node]]:
    clock, database, key_file = ManualClock(), postgres.new_database(), folder / "root.key"
    stores = [
        await Store.open(data=folder / name, database=database, clock=clock, min_free_mb=1, key_file=key_file)
        for name in "ab"
    ]
    try:
        yield [Node(store, clock) for store in stores]
    finally:
        for store in stores:
            await store.close()


def test_two_nodes_take_one_deduplication_id_once_and_count_without_gaps(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), nodes(postgres, tmp_path) as (one, other):
            made = await one.call("CreateTopic", Name="t.fifo", Attributes={"FifoTopic": "true"})
            topic = made["TopicArn"]
            await one.call("Subscribe", TopicArn=topic, Protocol="sqs", Endpoint=TARGET)
            answers = await asyncio.gather(
                *(
                    (one, other)[number % 2].call(
                        "Publish",
                        TopicArn=topic,
                        Message=f"m{number}",
                        MessageGroupId=f"g{number % 3}",
                        MessageDeduplicationId=f"d{number // 4}",
                    )
                    for number in range(24)
                )
            )
            by_id = [{each["MessageId"] for each in answers[at : at + 4]} for at in range(0, 24, 4)]
            assert [len(ids) for ids in by_id] == [1] * 6
            numbers = sorted({int(each["SequenceNumber"]) for each in answers})
            assert numbers == list(range(numbers[0], numbers[0] + 6))
            assert await one.waiting() == await other.waiting() == 6

    asyncio.run(scenario())


def test_a_subscription_that_many_ask_for_at_once_is_one(postgres: PostgresServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), nodes(postgres, tmp_path) as (one, other):
            topic = (await one.call("CreateTopic", Name="t.fifo", Attributes={"FifoTopic": "true"}))["TopicArn"]
            asked = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": TARGET}
            answers = await asyncio.gather(*((one, other)[n % 2].call("Subscribe", **asked) for n in range(8)))
            assert len({each["SubscriptionArn"] for each in answers}) == 1

    asyncio.run(scenario())


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=6))
OPERATORS = st.sampled_from(
    ["prefix", "suffix", "equals-ignore-case", "anything-but", "exists", "numeric", "cidr", "wildcard", "$or", "", "é"]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(OPERATORS | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def refusal_of(policy: str) -> str:
    """Its code; empty when it is taken."""
    try:
        check_filter_policy(policy, BODY_SCOPE, "")
    except ServiceError as refused:
        return refused.code
    return ""


def subscription(policy: str) -> Subscription:
    return Subscription(
        SubscriptionKey(TopicKey(ACCOUNT, "us-east-1", "t"), "id"),
        ACCOUNT,
        "me",
        "sqs",
        TARGET,
        {"FilterPolicy": policy, "FilterPolicyScope": BODY_SCOPE},
        SubscriptionState.CONFIRMED,
        None,
        0,
        True,
        False,
    )


@settings(max_examples=300, deadline=None)
@given(policy=st.dictionaries(OPERATORS | st.text(max_size=3), VALUES, max_size=4), body=VALUES)
def test_a_filter_policy_is_refused_or_answers_for_every_message(policy: dict[str, Any], body: Any) -> None:
    """Never a third thing: what was accepted once can be asked for ever."""
    text = json.dumps(policy)
    if refusal := refusal_of(text):
        assert refusal == "InvalidParameter"
        return
    filters = FilterPolicies()
    for message in (json.dumps(body), json.dumps(policy), "no JSON", "{}"):
        assert filters.wants(subscription(text), message, {}) in (True, False)
