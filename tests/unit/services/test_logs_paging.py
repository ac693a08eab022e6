"""Paging over random streams: forward, backward and filtered, every event comes exactly once and in order."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosset.services.logs.service import logs_service
from cosset.store.database import Store
from cosset.store.segments import SegmentStore
from support.caller import Caller
from support.clock import ManualClock
from support.log_followers import Unfollowed

# Batches of (stream, offsets in milliseconds): few values, so that times collide within and between streams.
BATCHES = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.lists(st.integers(-6, 0), min_size=1, max_size=6).map(sorted)),
    min_size=1,
    max_size=8,
)


async def pages(call: Caller, operation: str, items: str, token_name: str, **params: Any) -> list[list[str]]:
    """Messages page by page, until the token is missing or comes back unchanged."""
    found: list[list[str]] = []
    token: str | None = None
    while True:
        answer = await call(operation, **params, **({"nextToken": token} if token else {}))
        found.append([event["message"] for event in answer[items]])
        following = answer.get(token_name)
        if following is None or following == token:
            return found
        token = following


@dataclass
class Bench:
    """One store for all examples; each makes and deletes its group."""

    runner: asyncio.Runner
    call: Caller
    clock: ManualClock


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder, clock = tmp_path_factory.mktemp("paging"), ManualClock()
    with asyncio.Runner() as runner:
        opening = Store.open(data=folder / "data", database=None, clock=clock, min_free_mb=0)
        store = runner.run(opening)
        segments = runner.run(SegmentStore.open(folder / "logs", clock))
        yield Bench(runner, Caller(logs_service(store, segments, Unfollowed(), Unfollowed(), clock)), clock)
        runner.run(segments.close())
        runner.run(store.close())


@given(batches=BATCHES, limit=st.integers(1, 7))
@settings(max_examples=20, deadline=None)
def test_every_page_by_page_reading_gives_everything_once(
    bench: Bench, batches: list[tuple[str, list[int]]], limit: int
) -> None:
    bench.runner.run(check(bench.call, bench.clock, batches, limit))


async def check(call: Caller, clock: ManualClock, batches: list[tuple[str, list[int]]], limit: int) -> None:
    expected: list[tuple[int, int, str, str]] = []
    await call("CreateLogGroup", logGroupName="g")
    for stream in "abc":
        await call("CreateLogStream", logGroupName="g", logStreamName=stream)
    for stream, offsets in batches:
        events = []
        for offset in offsets:
            message = f"{stream}{len(expected)}"
            expected.append((offset, len(expected), stream, message))
            events.append({"timestamp": clock.now_ms() + offset, "message": message})
        await call("PutLogEvents", logGroupName="g", logStreamName=stream, logEvents=events)
    expected.sort()
    everything = [message for _, _, _, message in expected]
    filtered = await pages(call, "FilterLogEvents", "events", "nextToken", logGroupName="g", limit=limit)
    assert [message for page in filtered for message in page] == everything
    some = await pages(call, "FilterLogEvents", "events", "nextToken", logGroupName="g", limit=limit, filterPattern="b")
    assert [message for page in some for message in page] == [each for each in everything if each[0] == "b"]
    for stream in "abc":
        own = [message for _, _, name, message in expected if name == stream]
        params = {"logGroupName": "g", "logStreamName": stream, "limit": limit}
        forward = await pages(call, "GetLogEvents", "events", "nextForwardToken", startFromHead=True, **params)
        assert [message for page in forward for message in page] == own
        backward = await pages(call, "GetLogEvents", "events", "nextBackwardToken", **params)
        assert [message for page in reversed(backward) for message in page] == own
    await call("DeleteLogGroup", logGroupName="g")
