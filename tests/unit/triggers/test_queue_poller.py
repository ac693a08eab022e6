"""The engine over a queue: batches, filters, partial failures, throttling, order, scale, states."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosset.invocation.limits import SYNC_PAYLOAD_BYTES
from cosset.store.database import Store
from cosset.wire.errors import ServiceError
from support.clock import ManualClock
from support.triggers import (
    ACCOUNT,
    QUEUE,
    REGION,
    THROTTLED,
    UUID,
    Bench,
    MemoryQueue,
    failures,
    mapping,
    trigger_bench,
)

Test = Callable[[Bench, MemoryQueue], Awaitable[None]]


def on_bench(folder: Path, test: Test, *, visibility_s: int = 30) -> None:
    async def main() -> None:
        clock = ManualClock()
        store = await Store.open(data=folder, database=None, clock=clock, min_free_mb=1)
        try:
            async with trigger_bench(store, clock) as bench:
                queue = MemoryQueue(clock, visibility_s=visibility_s)
                bench.sources.serve("sqs", queue)
                await test(bench, queue)
        finally:
            await store.close()

    asyncio.run(main())


def test_messages_are_handed_over_and_deleted(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        await bench.put(mapping())
        queue.send("a", "b")
        await bench.until(lambda: not queue.left)
        queue.send("c")
        await bench.until(lambda: not queue.left)
        assert bench.function.got == [["a", "b"], ["c"]]
        call = bench.function.invocations[0]
        assert (call.function_name, call.qualifier, call.invoked_arn) == (
            "f",
            None,
            f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f",
        )
        assert bench.rights.asked[0][2:] == ("sqs:ReceiveMessage", QUEUE)

    on_bench(tmp_path, test)


def test_a_batch_is_full_or_its_window_is_over(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        await bench.put(mapping(batch_size=3, window_s=5))
        queue.send("a", "b")
        await bench.settle()
        bench.clock.advance(4)
        await bench.settle()
        assert bench.function.got == []
        bench.clock.advance(1)
        await bench.until(lambda: bench.function.got == [["a", "b"]], step_s=0.05)
        queue.send("c", "d", "e", "f")
        await bench.until(lambda: bench.function.got[1:] == [["c", "d", "e"]])

    on_bench(tmp_path, test)


def test_an_event_is_no_larger_than_an_invocation_may_be(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        large = "x" * 1_000_000
        await bench.put(mapping(batch_size=10))
        queue.send(*[large] * 8)
        await bench.until(lambda: not queue.left)
        assert [len(event["Records"]) for event in bench.function.events] in ([3, 3, 2], [6, 2], [5, 3], [4, 4])
        assert all(len(call.payload) <= SYNC_PAYLOAD_BYTES for call in bench.function.invocations)

    on_bench(tmp_path, test)


def test_a_window_ends_while_its_messages_are_hidden(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        await bench.put(mapping(batch_size=100, window_s=300))
        queue.send("a")
        await bench.until(lambda: not queue.left, step_s=0.5)
        assert queue.receives == {"m1": 1}

    on_bench(tmp_path, test, visibility_s=30)


def test_a_queue_that_does_not_answer_loses_nothing(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        await bench.put(mapping(batch_size=3, window_s=10))
        queue.send("a")
        await bench.until(lambda: queue.receives)
        receive, queue.receive = queue.receive, refuse  # type: ignore[method-assign]
        queue.send("b")
        bench.clock.advance(11)
        await bench.settle()
        queue.receive = receive  # type: ignore[method-assign]
        await bench.until(lambda: not queue.left, step_s=1)
        assert sorted(body for call in bench.function.got for body in call) == ["a", "b"]

    async def refuse(*args: Any, **given: Any) -> Any:
        raise ServiceError("RequestThrottled", "busy", status=403)

    on_bench(tmp_path, test, visibility_s=60)


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        # AWS's table of what a body and a pattern of it are: JSON, a plain text, or nothing.
        ({"body": {"a": [1]}}, [{"a": 1}]),
        ({"body": ["plain"]}, ["plain"]),
        ({"body": [{"prefix": "pl"}]}, ["plain"]),
        ({"body": {"a": [{"numeric": [">", 0]}]}, "messageId": [{"prefix": "m"}]}, [{"a": 1}]),
        ({"messageId": ["m2"]}, ["plain"]),
        ({"body": {"a": [{"exists": False}]}}, [{"b": 2}]),
    ],
    ids=json.dumps,
)
def test_what_no_filter_takes_is_deleted(tmp_path: Path, pattern: Any, taken: list[Any]) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        await bench.put(mapping(filters=(json.dumps(pattern),), metrics=("EventCount",)))
        queue.send({"a": 1}, "plain", {"b": 2})
        await bench.until(lambda: not queue.left)
        expected = [body if isinstance(body, str) else json.dumps(body) for body in taken]
        assert [body for call in bench.function.got for body in call] == expected
        assert (bench.counted["PolledEventCount"], bench.counted["FilteredOutEventCount"]) == (3, 2)

    on_bench(tmp_path, test)


def test_any_of_several_filters_takes(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        await bench.put(mapping(filters=('{"body":{"a":[1]}}', '{"body":["x"]}')))
        queue.send({"a": 1}, "x", "y")
        await bench.until(lambda: not queue.left)
        assert bench.function.got == [['{"a": 1}', "x"]]

    on_bench(tmp_path, test)


def test_what_failed_stays_hidden_and_comes_again(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        bench.function.answers = [failures("m2"), ValueError("no"), None]
        await bench.put(mapping())
        queue.send("a", "b", "c")
        await bench.until(lambda: queue.left == ["m2"])
        bench.clock.advance(29)
        await bench.settle()
        assert len(bench.function.events) == 1
        bench.clock.advance(1.1)
        await bench.until(lambda: len(bench.function.events) == 2, step_s=0.01)
        assert queue.left == ["m2"]
        await bench.until(lambda: not queue.left, step_s=1)
        assert bench.function.got == [["a", "b", "c"], ["b"], ["b"]]
        assert queue.receives["m2"] == 3

    on_bench(tmp_path, test)


ODD_ANSWERS: list[tuple[Any, bool]] = [
    (None, False),
    ("", False),
    ({}, False),
    ([], False),
    ({"batchItemFailures": []}, False),
    ({"batchItemFailures": None}, False),
    ({"other": 1}, False),
    ("text", True),
    ([1], True),
    (7, True),
    ({"batchItemFailures": "m1"}, True),
    ({"batchItemFailures": {}}, True),
    (failures(""), True),
    (failures(None), True),
    (failures("unknown"), True),
    (failures("m1", "unknown"), True),
    ({"batchItemFailures": [{"foo": "m1"}]}, True),
    ({"batchItemFailures": [{}]}, True),
    ({"batchItemFailures": ["m1"]}, True),
]


@pytest.mark.parametrize(("answer", "fails"), ODD_ANSWERS, ids=lambda each: json.dumps(each))
def test_an_answer_that_is_not_to_be_understood_fails_all(tmp_path: Path, answer: Any, fails: bool) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        bench.function.answers = [answer]
        await bench.put(mapping())
        queue.send("a", "b")
        await bench.until(lambda: bench.function.events and (fails or not queue.left))
        await bench.settle()
        assert queue.left == (["m1", "m2"] if fails else [])

    on_bench(tmp_path, test)


def test_an_answer_is_read_only_where_the_mapping_asks_for_reports(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        bench.function.answers = [failures("m1")]
        await bench.put(mapping(response_types=()))
        queue.send("a")
        await bench.until(lambda: not queue.left)

    on_bench(tmp_path, test)


def test_a_throttled_batch_is_tried_again_while_it_is_hidden(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        bench.function.answers = [THROTTLED] * 3
        await bench.put(mapping())
        queue.send("a")
        await bench.until(lambda: not queue.left, step_s=0.1)
        assert (bench.function.got, queue.receives) == ([["a"]], {"m1": 1})

    on_bench(tmp_path, test)


def test_a_batch_that_is_throttled_too_long_comes_again(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        bench.function.answers = [THROTTLED] * 8
        await bench.put(mapping())
        queue.send("a")
        await bench.until(lambda: not queue.left, step_s=0.2)
        assert queue.receives["m1"] > 1

    on_bench(tmp_path, test, visibility_s=4)


def test_no_more_batches_than_the_maximum_are_under_way(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        async def slow(event: Any) -> None:
            await bench.clock.sleep(1)

        bench.function.answers = [slow] * 20
        await bench.put(mapping(batch_size=1, max_concurrency=2))
        queue.send(*map(str, range(20)))
        await bench.until(lambda: not queue.left, step_s=0.1)
        assert bench.function.most_under_way == 2

    on_bench(tmp_path, test, visibility_s=3600)


def test_it_begins_with_five_and_grows_while_there_is_more_to_do(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        hold = asyncio.Event()

        async def slow(event: Any) -> None:
            await hold.wait()

        bench.function.answers = [slow] * 60
        await bench.put(mapping(batch_size=1))
        queue.send(*map(str, range(60)))
        await bench.settle()
        await bench.until(lambda: bench.function.under_way == 5)
        await bench.settle()
        assert bench.function.under_way == 5
        await bench.until(lambda: bench.function.under_way >= 20, step_s=0.05)
        hold.set()
        await bench.until(lambda: not queue.left, step_s=0.05)

    on_bench(tmp_path, test, visibility_s=3600)


@pytest.mark.parametrize(
    ("source", "given", "limit"),
    [
        (QUEUE, {}, 50),  # five batches may begin at once
        (QUEUE, {"max_concurrency": 2}, 20),
        (QUEUE, {"window_s": 5}, 10),
        (QUEUE, {"batch_size": 100, "window_s": 5}, 100),
        (f"{QUEUE}.fifo", {}, 10),  # what comes of a group must go into one batch
    ],
)
def test_one_receive_brings_what_there_is_room_for(
    tmp_path: Path, source: str, given: dict[str, Any], limit: int
) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        await bench.put(mapping(source, **given))
        await bench.until(lambda: queue.limits)
        assert queue.limits == [limit]
        queue.send(*map(str, range(30)))
        await bench.until(lambda: not queue.left, step_s=0.01)
        size = given.get("batch_size", 10)
        assert all(len(call) <= size for call in bench.function.got)

    on_bench(tmp_path, test)


def test_what_is_hidden_for_a_moment_only_is_not_received_ahead(tmp_path: Path) -> None:
    """It would come again untried, and count as received."""

    async def test(bench: Bench, queue: MemoryQueue) -> None:
        await bench.put(mapping())
        queue.send(*map(str, range(40)))
        await bench.until(lambda: not queue.left)
        assert set(queue.limits) == {10}
        assert set(queue.receives.values()) == {1}

    on_bench(tmp_path, test, visibility_s=1)


def test_a_failed_group_blocks_itself_alone(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        bench.function.answers = [failures("m1", "m2")]
        await bench.put(mapping(f"{QUEUE}.fifo"))
        queue.send("a1", "a2", group="a")
        queue.send("b1", group="b")
        await bench.until(lambda: queue.left == ["m1", "m2"])
        queue.send("a3", group="a")
        queue.send("b2", group="b")
        await bench.until(lambda: "m5" not in queue.left)
        assert bench.function.got == [["a1", "a2", "b1"], ["b2"]]
        await bench.until(lambda: not queue.left, step_s=1)
        assert [body for call in bench.function.got[2:] for body in call] == ["a1", "a2", "a3"]

    on_bench(tmp_path, test)


def test_a_disabled_mapping_ends_what_it_has_and_takes_no_more(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        hold = asyncio.Event()

        async def slow(event: Any) -> None:
            await hold.wait()

        bench.function.answers = [slow]
        await bench.put(mapping())
        queue.send("a")
        await bench.until(lambda: bench.function.under_way)
        await bench.change(enabled=False)
        await bench.stopped()
        queue.send("b")
        hold.set()
        await bench.until(lambda: queue.left == ["m2"])
        bench.clock.advance(60)
        await bench.settle()
        assert bench.function.got == [["a"]]
        await bench.change(enabled=True)
        await bench.until(lambda: not queue.left)

    on_bench(tmp_path, test)


def test_a_change_takes_effect_when_it_has_settled(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        first = mapping(batch_size=1)
        await bench.put(replace(first, settles_at_ms=bench.clock.now_ms() + 500))
        queue.send("a", "b")
        await bench.settle()
        assert not bench.function.events  # it shows Creating still
        await bench.until(lambda: not queue.left, step_s=0.05)
        assert bench.function.got == [["a"], ["b"]]
        await bench.change(settings=replace(first.settings, batch_size=2), settles_at_ms=bench.clock.now_ms() + 500)
        await bench.stopped()
        queue.send("c", "d")
        await bench.until(lambda: not queue.left, step_s=0.05)
        assert bench.function.got[2:] == [["c", "d"]]

    on_bench(tmp_path, test)


def test_a_deleted_mapping_takes_no_more(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        await bench.put(mapping())
        queue.send("a")
        await bench.until(lambda: not queue.left)
        await bench.change(transition="Deleting", settles_at_ms=bench.clock.now_ms() + 500)
        await bench.stopped()
        queue.send("b")
        bench.clock.advance(1)
        await bench.settle()
        assert queue.left == ["m2"]
        assert "m2" not in queue.receives

    on_bench(tmp_path, test)


def test_nothing_is_fetched_for_a_function_that_is_gone_or_may_not(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        bench.function.is_gone = True
        await bench.put(mapping())
        queue.send("a")
        await bench.shows("PROBLEM: Function not found")
        bench.rights.denied.add(("sqs:DeleteMessage", QUEUE))
        bench.function.is_gone = False
        forbidden = "PROBLEM: The provided execution role does not have permissions to call ReceiveMessage on SQS"
        await bench.shows(forbidden, step_s=0.1)
        assert queue.receives == {}
        bench.rights.denied.clear()
        await bench.until(lambda: not queue.left, step_s=0.1)
        await bench.shows("OK", step_s=0.1)

    on_bench(tmp_path, test)


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (ServiceError("ResourceNotFoundException", "gone", status=404), "PROBLEM: Function not found"),
        (ServiceError("RecursiveInvocationException", "a loop", status=400), "PROBLEM: a loop"),
    ],
)
def test_a_batch_that_does_not_reach_its_function_comes_again(tmp_path: Path, error: ServiceError, result: str) -> None:
    """The function is deleted, or a loop stopped, while the batch is under way."""

    async def test(bench: Bench, queue: MemoryQueue) -> None:
        bench.function.answers = [error]
        await bench.put(mapping())
        queue.send("a")
        await bench.shows(result)
        assert queue.left == ["m1"]
        await bench.until(lambda: not queue.left, step_s=0.5)
        assert queue.receives == {"m1": 2}

    on_bench(tmp_path, test)


def test_a_stop_ends_what_runs_and_gives_back_what_does_not(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        hold = asyncio.Event()

        async def slow(event: Any) -> None:
            await hold.wait()

        bench.function.answers = [slow]
        await bench.put(mapping(batch_size=2, window_s=60))
        queue.send("a", "b", "c")
        await bench.until(lambda: bench.function.under_way and "m3" in queue.receives)
        stopping = asyncio.ensure_future(bench.engine.stop(5))
        await bench.until(lambda: queue.given_back == ["m3"])
        assert not stopping.done()
        hold.set()
        await stopping
        assert queue.left == ["m3"]

    on_bench(tmp_path, test)


def test_a_loop_is_counted_by_the_message_that_has_gone_farthest(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        await bench.put(mapping())
        far = "Root=1-a;Parent=b;Sampled=0;Lineage=00000000:9"
        queue.send("a")
        queue.send("b", trace_id=far)
        queue.send("c", trace_id="Root=1-c;Parent=b;Sampled=0;Lineage=00000000:2")
        await bench.until(lambda: not queue.left)
        assert far in [call.trace_id for call in bench.function.invocations]

    on_bench(tmp_path, test)


def test_a_filter_that_no_one_can_read_stops_its_mapping_alone(tmp_path: Path) -> None:
    """An older Cosset checked less of them."""

    async def test(bench: Bench, queue: MemoryQueue) -> None:
        await bench.put(mapping(filters=('{"body":[{"unknown":1}]}',)))
        await bench.shows("PROBLEM: Unrecognized match type unknown")
        await bench.put(mapping(uuid=UUID.replace("1", "2")))
        queue.send("a")
        await bench.until(lambda: not queue.left)

    on_bench(tmp_path, test)


def test_several_mappings_work_side_by_side(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        other = UUID.replace("1", "2")
        await bench.put(mapping(), mapping(uuid=other, filters=('{"body":["never"]}',)))
        queue.send(*map(str, range(5)))
        await bench.until(lambda: not queue.left)

    on_bench(tmp_path, test)


def test_a_message_that_is_nested_without_end_stops_nothing(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        await bench.put(mapping(filters=('{"body":{"a":["x"]}}',)))
        queue.send('{"a":' + "[" * 900 + '"x"' + "]" * 900 + "}", '{"a":' * 5000, {"a": "x"})
        await bench.until(lambda: not queue.left)
        assert bench.function.got[0][-1] == '{"a": "x"}'

    on_bench(tmp_path, test)


def test_what_cannot_be_deleted_at_once_is_deleted_later(tmp_path: Path) -> None:
    async def test(bench: Bench, queue: MemoryQueue) -> None:
        delete, refusals = queue.delete, []

        async def refuse(arn: str, records: Any) -> None:
            refusals.append(arn)
            raise ServiceError("ServiceUnavailable", "the disk is full", status=503)

        queue.delete = refuse  # type: ignore[method-assign]
        await bench.put(mapping())
        queue.send("a")
        await bench.until(lambda: len(refusals) > 2, step_s=0.1)
        queue.delete = delete  # type: ignore[method-assign]
        await bench.until(lambda: not queue.left, step_s=0.1)
        assert (bench.function.got, queue.receives) == ([["a"]], {"m1": 1})

    on_bench(tmp_path, test)


def test_a_poison_batch_ends_no_engine(tmp_path: Path) -> None:
    """Even a fault of our own: the messages come again, and the others go on."""

    async def test(bench: Bench, queue: MemoryQueue) -> None:
        async def breaks(event: Any) -> None:
            raise RuntimeError("a bug")

        bench.function.answers = [breaks]
        await bench.put(mapping(batch_size=1))
        queue.send("a", "b")
        await bench.until(lambda: queue.left == ["m1"])
        await bench.until(lambda: not queue.left, step_s=1)

    on_bench(tmp_path, test)
