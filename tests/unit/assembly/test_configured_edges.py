"""What is set up to trigger what, read from the rows of every room, on both databases."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from cosset.assembly.configured_edges import ConfiguredEdgesOf
from cosset.assembly.tables import EVERY_TABLE
from cosset.services.cloudwatch.tables import alarms
from cosset.services.logs.tables import log_subscription_filters
from cosset.services.sns.tables import sns_subscriptions
from cosset.services.sqs.tables import queues
from cosset.store.database import Store
from cosset.store.transaction import Transaction
from support.clock import ManualClock

TOPIC, QUEUE, DEAD = "arn:aws:sns:r:1:t", "arn:aws:sqs:r:1:q", "arn:aws:sqs:r:1:dead"
ALARM, ALL = "arn:aws:cloudwatch:r:1:alarm:a", "arn:aws:cloudwatch:r:1:alarm:all"
FUNCTION = "arn:aws:lambda:r:1:function:f"
REDRIVE = json.dumps({"deadLetterTargetArn": DEAD})


def put_all(tx: Transaction) -> None:
    subscription = {"topic": "t", "id": "i", "owner": "1", "principal": "p", "protocol": "sqs", "endpoint": QUEUE}
    subscription |= {"state": "confirmed", "token_until_ms": 0, "authenticated": True}
    put(tx, sns_subscriptions, **subscription, authenticates_unsubscribe=False, attributes={"RedrivePolicy": REDRIVE})
    times = dict.fromkeys(("created_ms", "modified_ms", "purged_ms"), 0)
    for name, policy in (("q", {"RedrivePolicy": REDRIVE}), ("dead", {})):
        put(tx, queues, name=name, uid=name, revision=1, secret=b"s", attributes=json.dumps(policy), tags="{}", **times)
    times = dict.fromkeys(("configured_ms", "updated_ms", "changed_ms"), 0)
    watching = {
        "Namespace": "AWS/SQS",
        "Dimensions": [{"Name": "QueueName", "Value": "q"}],
        "AlarmActions": [TOPIC],
        "OKActions": [f"{FUNCTION}:live"],
    }
    for name, settings in (("a", watching), ("all", {"AlarmRule": "ALARM(a)"})):
        put(
            tx,
            alarms,
            name=name,
            is_composite="AlarmRule" in settings,
            settings=settings,
            state="OK",
            reason="",
            **times,
        )
    put(
        tx,
        log_subscription_filters,
        log_group="g",
        name="n",
        pattern="",
        destination_arn=f"{FUNCTION}:live",
        distribution="ByLogStream",
        created_ms=0,
    )


def put(tx: Transaction, table: Any, **values: object) -> None:
    for account in ("1", "2"):
        tx.execute(insert(table).values(account=account, region="r", **values))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_room_is_read(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> None:
    url = request.getfixturevalue("postgres").new_database() if database == "postgresql" else None

    async def read() -> set[tuple[str, str, str]]:
        assert EVERY_TABLE
        clock = ManualClock()
        store = await Store.open(data=tmp_path, database=url, clock=clock, min_free_mb=0)
        try:
            await store.write(put_all)
            found = await ConfiguredEdgesOf(store, clock).of("1", "r")
            assert await ConfiguredEdgesOf(store, clock).of("3", "r") == []
            return {(place.source, place.target, means) for place, means in found}
        finally:
            await store.close()

    assert asyncio.run(read()) == {
        (TOPIC, QUEUE, "subscription"),
        (TOPIC, DEAD, "dead-letter queue of a subscription"),
        (QUEUE, DEAD, "dead-letter queue"),
        (QUEUE, ALARM, "metric"),
        (ALARM, TOPIC, "alarm action"),
        (ALARM, FUNCTION, "alarm action"),
        (ALARM, ALL, "alarm rule"),
        ("arn:aws:logs:r:1:log-group:g:*", FUNCTION, "subscription filter n"),
    }
