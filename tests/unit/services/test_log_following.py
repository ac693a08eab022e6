"""What subscription filters make of log events, with a function that a test holds in its hands."""

import asyncio
import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cosset.invocation.push import PushedEvent, PushRefusedError
from cosset.observe.causes import StepKind, key_of
from cosset.observe.ports import LogEvent, StreamKey
from cosset.services.logs.filter_book import SubscriptionFilter
from cosset.services.logs.following import MAX_BYTES, Following
from cosset.store.database import Store
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError
from support.clock import ManualClock

FUNCTION = "arn:aws:lambda:us-east-1:111111111111:function:f"
KEY = StreamKey("111111111111", "us-east-1", "g", "s")


class Functions:
    """Lets `principals` in. `state`: what stands in the way of calling it now."""

    def __init__(self, *principals: str) -> None:
        self.principals = principals
        self.state: ServiceError | None = None
        self.pushed: list[PushedEvent] = []

    async def allow(self, event: PushedEvent) -> None:
        if event.principal not in self.principals:
            raise PushRefusedError("no")

    async def check(self, event: PushedEvent) -> None:
        if self.state is not None:
            raise self.state
        await self.allow(event)

    def push_within(self, tx: Transaction, event: PushedEvent) -> None:
        self.pushed.append(event)


def wanting(pattern: str = "") -> SubscriptionFilter:
    return SubscriptionFilter("111111111111", "us-east-1", "g", "f", pattern, FUNCTION, "ByLogStream", 0)


def unpacked(event: PushedEvent) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(json.loads(event.payload)["awslogs"]["data"])))
    return shown


def follow(folder: Path, functions: Functions, pattern: str, *events: LogEvent) -> None:
    async def scenario() -> None:
        store = await Store.open(data=folder / "data", database=None, clock=ManualClock(), min_free_mb=0)
        try:
            await Following(store, functions).follow([(wanting(pattern), (KEY, events, 7))])
        finally:
            await store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("principal", ["logs.us-east-1.amazonaws.com", "logs.amazonaws.com"])
def test_what_matches_goes_with_its_number_and_its_trace(tmp_path: Path, principal: str) -> None:
    functions = Functions(principal)
    events = [LogEvent(1, "ERROR one", trace_id="Root=1;Lineage=00000000:3"), LogEvent(2, "well"), LogEvent(3, "ERROR")]
    follow(tmp_path, functions, "ERROR", *events)
    (pushed,) = functions.pushed
    step = key_of(pushed.id, StepKind.LOG_EVENTS)
    assert pushed.principal == principal
    assert pushed.trace_id == f"Root=1;Parent={step};Sampled=0;Lineage=00000000:3"
    assert pushed.source_arn == "arn:aws:logs:us-east-1:111111111111:log-group:g:*"
    shown = unpacked(pushed)["logEvents"]
    assert [(int(each["id"][:20]), int(each["id"][20:])) for each in shown] == [(1, 7), (3, 9)]


def test_logs_do_not_wait_for_a_function_that_is_not_ready(tmp_path: Path) -> None:
    functions = Functions("logs.amazonaws.com")
    functions.state = ServiceError("ResourceConflictException", "it is Pending", status=409)
    follow(tmp_path, functions, "", LogEvent(1, "x"))
    assert len(functions.pushed) == 1


def test_who_is_not_let_in_gets_nothing(tmp_path: Path) -> None:
    functions = Functions("sns.amazonaws.com")
    follow(tmp_path, functions, "", LogEvent(1, "x"))
    assert functions.pushed == []


def test_much_goes_in_parts_that_a_function_takes(tmp_path: Path) -> None:
    functions = Functions("logs.amazonaws.com")
    events = [LogEvent(number, "x" * (MAX_BYTES // 3)) for number in range(5)]
    follow(tmp_path, functions, "", *events)
    assert [len(unpacked(each)["logEvents"]) for each in functions.pushed] == [2, 2, 1]
    assert len({each.id for each in functions.pushed}) == 3
