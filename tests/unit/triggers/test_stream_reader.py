"""The same engine over a sharded log: checkpoints, retries, bisecting, lanes, windows, positions, destinations."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cosset.observe.causes import cause_in, key_of
from cosset.store.database import Store
from cosset.triggers.tables import checkpoints
from support.clock import ManualClock
from support.log_source import STREAM, StoreLogSource
from support.triggers import ACCOUNT, REGION, THROTTLED, UUID, Bench, Function, failures, mapping, trigger_bench

Test = Callable[[Bench, StoreLogSource], Awaitable[None]]
DESTINATION = f"arn:aws:sqs:{REGION}:{ACCOUNT}:failed"


def on_bench(folder: Path, test: Test, *, serve: bool = True) -> None:
    """With a stream of one shard, `shard-0`."""

    async def main() -> None:
        clock = ManualClock()
        store = await Store.open(data=folder, database=None, clock=clock, min_free_mb=1)
        try:
            async with trigger_bench(store, clock, serve=serve) as bench:
                source = StoreLogSource(store, clock)
                await source.open()
                bench.sources.serve("kinesis", source)
                await test(bench, source)
        finally:
            await store.close()

    asyncio.run(main())


def stream(**settings: Any) -> Any:
    given = {"starting_position": "TRIM_HORIZON", "parallelization": 1, "max_retries": -1, "max_record_age_s": -1}
    return mapping(STREAM, **{**given, **settings})


async def position(bench: Bench, shard: str = "shard-0") -> tuple[int, bool]:
    query = select(checkpoints.c.position, checkpoints.c.ended).where(checkpoints.c.shard == shard)
    row = await bench.store.read(lambda tx: tx.execute(query).first())
    assert row is not None
    return int(row.position), bool(row.ended)


async def reached(bench: Bench, seq: int, shard: str = "shard-0", step_s: float = 0.0) -> None:
    """Waits until the checkpoint is there."""
    await bench.until_found(select(checkpoints.c.position).where(checkpoints.c.shard == shard), str(seq), step_s)


def test_records_come_in_order_and_the_checkpoint_follows(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        await source.put("a", "b", "c")
        await bench.put(stream(batch_size=2))
        await reached(bench, 3)
        await source.put("d")
        await reached(bench, 4)
        assert bench.function.got == [["a", "b"], ["c"], ["d"]]
        await bench.shows("OK", step_s=0.01)
        reads = source.reads
        await bench.settle()
        assert source.reads == reads  # an idle reader asks nothing

    on_bench(tmp_path, test)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"starting_position": "TRIM_HORIZON"}, ["old", "later", "new"]),
        ({"starting_position": "LATEST"}, ["new"]),
        ({"starting_position": "AT_TIMESTAMP", "starting_timestamp": 1_763_700_005.0}, ["later", "new"]),
    ],
)
def test_reading_begins_where_the_mapping_says(tmp_path: Path, given: dict[str, Any], expected: list[str]) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        await source.put("old")
        bench.clock.advance(10)
        await source.put("later")
        bench.clock.advance(10)
        await bench.put(stream(batch_size=1, **given))
        await reached(bench, 2)
        await source.put("new")
        await reached(bench, 3)
        assert [each for (each,) in bench.function.got] == expected

    on_bench(tmp_path, test)


def test_another_process_goes_on_behind_the_checkpoint(tmp_path: Path) -> None:
    """LATEST is what it was when the mapping was made, not what it is after a restart."""

    async def test(bench: Bench, source: StoreLogSource) -> None:
        await source.put("old")
        await bench.put(stream(batch_size=1, starting_position="LATEST"))
        first = asyncio.ensure_future(bench.engine.serve())
        await reached(bench, 1)
        await source.put("a")
        await reached(bench, 2)
        first.cancel()  # as a kill would: nothing is tidied up
        await bench.engine.stop(0)
        await source.put("b")
        engine = bench.another_engine()
        second = asyncio.ensure_future(engine.serve())
        await reached(bench, 3)
        assert bench.function.got == [["a"], ["b"]]
        await engine.stop(1)
        second.cancel()

    on_bench(tmp_path, test, serve=False)


def test_what_was_under_way_when_it_was_killed_comes_again(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        hold = asyncio.Event()

        async def never(event: Any) -> None:
            await hold.wait()

        bench.function.answers = [None, never]
        await source.put("a", "b")
        await bench.put(stream(batch_size=1))
        serving = asyncio.ensure_future(bench.engine.serve())
        await bench.until(lambda: bench.function.under_way)
        await reached(bench, 1)
        serving.cancel()
        await bench.engine.stop(0)
        assert (await position(bench))[0] == 1
        again = Function()
        engine = bench.another_engine(again)
        second = asyncio.ensure_future(engine.serve())
        await reached(bench, 2)
        assert again.got == [["b"]]
        await engine.stop(1)
        second.cancel()

    on_bench(tmp_path, test, serve=False)


def test_a_failed_batch_is_retried_and_blocks_the_shard(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        bench.function.answers = [ValueError("no"), ValueError("no")]
        await source.put("a", "b", "c")
        await bench.put(stream(batch_size=2))
        await bench.until(lambda: len(bench.function.events) == 1)
        await bench.shows("PROBLEM: Function call failed")
        assert (await position(bench))[0] == 0
        await bench.until(lambda: len(bench.function.events) == 4, step_s=0.1)
        assert bench.function.got == [["a", "b"]] * 3 + [["c"]]
        await reached(bench, 3)

    on_bench(tmp_path, test)


def test_with_reports_the_first_that_failed_and_all_behind_it_are_retried(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        bench.function.answers = [failures("4", "2")]
        await source.put("a", "b", "c", "d")
        await bench.put(stream(batch_size=4))
        await reached(bench, 1)
        await bench.until(lambda: len(bench.function.events) == 2, step_s=0.1)
        assert bench.function.got == [["a", "b", "c", "d"], ["b", "c", "d"]]
        await reached(bench, 4)

    on_bench(tmp_path, test)


def test_a_batch_is_given_up_after_its_retries_and_the_shard_goes_on(tmp_path: Path) -> None:
    # recorded: test_kinesis_event_source_mapping_with_on_failure_destination_config
    async def test(bench: Bench, source: StoreLogSource) -> None:
        bench.function.answers = [ValueError("no")] * 3
        await source.put("a", "b", "c")
        arrived = "2025-11-21T04:40:00.000Z"
        await bench.put(stream(batch_size=2, max_retries=2, on_failure=DESTINATION, has_destinations=True))
        await bench.until(lambda: len(bench.function.events) == 4, step_s=0.1)
        await reached(bench, 3)
        assert bench.function.got == [["a", "b"]] * 3 + [["c"]]
        (delivery,) = await bench.owed()
        assert (delivery.target_arn, delivery.condition) == (DESTINATION, "RetryAttemptsExhausted")
        assert delivery.role == "arn:aws:iam::111111111111:role/r"
        body = json.loads(delivery.body)
        request_id = bench.function.invocations[2].request_id
        assert cause_in(delivery.trace_id) == (key_of(request_id),)
        assert body == {
            "requestContext": {
                "requestId": request_id,
                "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f",
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 3,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0",
            "timestamp": body["timestamp"],
            "KinesisBatchInfo": {
                "shardId": "shard-0",
                "startSequenceNumber": "1",
                "endSequenceNumber": "2",
                "approximateArrivalOfFirstRecord": arrived,
                "approximateArrivalOfLastRecord": arrived,
                "batchSize": 2,
                "streamArn": STREAM,
            },
        }

    on_bench(tmp_path, test)


def test_a_bucket_gets_the_records_too(tmp_path: Path) -> None:
    # recorded: test_kinesis_event_source_mapping_with_s3_on_failure_destination
    async def test(bench: Bench, source: StoreLogSource) -> None:
        bench.function.answers = [ValueError("no")]
        await source.put("a")
        await bench.put(stream(max_retries=0, on_failure="arn:aws:s3:::failed", has_destinations=True))
        await reached(bench, 1)
        (delivery,) = await bench.owed()
        assert json.loads(delivery.body)["payload"] == bench.function.events[0]
        assert delivery.attributes["Key"].startswith(f"aws/lambda/{UUID}/shard-0/2025/11/21/2025-11-21T04.40.00-")

    on_bench(tmp_path, test)


def test_a_failed_batch_is_split_until_the_poison_is_alone(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        async def chokes(event: dict[str, Any]) -> Any:
            return failures("") if any(each["data"] == "poison" for each in event["Records"]) else None

        bench.function.answers = [chokes] * 50
        await source.put("a", "b", "poison", "c", "d")
        await bench.put(stream(batch_size=5, bisect=True, max_retries=1, on_failure=DESTINATION, has_destinations=True))
        await bench.until(lambda: ["d"] in bench.function.got or ["c", "d"] in bench.function.got, step_s=0.1)
        await reached(bench, 5)
        done = [each for call in bench.function.got if "poison" not in call for each in call]
        assert done == ["a", "b", "c", "d"]
        assert bench.function.got.count(["poison"]) == 2
        (delivery,) = await bench.owed()
        info = json.loads(delivery.body)["KinesisBatchInfo"]
        assert (info["startSequenceNumber"], info["batchSize"]) == ("3", 1)

    on_bench(tmp_path, test)


def test_records_that_grew_too_old_are_given_up(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        await source.put("old")
        bench.clock.advance(61)
        await source.put("new")
        await bench.put(stream(max_record_age_s=60, on_failure=DESTINATION, has_destinations=True))
        await reached(bench, 2)
        assert bench.function.got == [["new"]]
        (delivery,) = await bench.owed()
        body = json.loads(delivery.body)
        assert body["requestContext"]["condition"] == "RecordAgeExceeded"
        assert body["KinesisBatchInfo"]["batchSize"] == 1
        assert "responseContext" not in body

    on_bench(tmp_path, test)


def test_throttling_is_no_failure(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        bench.function.answers = [THROTTLED] * 5
        await source.put("a")
        await bench.put(stream(max_retries=0))
        await bench.until(lambda: bench.function.events, step_s=0.1)
        await reached(bench, 1)
        assert bench.function.got == [["a"]]

    on_bench(tmp_path, test)


def test_what_no_filter_takes_is_passed(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        await source.put({"t": 1}, {"t": 2}, {"t": 1})
        await bench.put(stream(filters=('{"data":{"t":[2]}}',)))
        await reached(bench, 3)
        assert bench.function.got == [[{"t": 2}]]

    on_bench(tmp_path, test)


def test_lanes_run_side_by_side_and_keys_stay_in_order(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        hold = asyncio.Event()

        async def slow(event: Any) -> None:
            if not hold.is_set():
                await hold.wait()

        bench.function.answers = [slow] * 100
        for number in range(8):
            for key in "abcd":
                await source.put(f"{key}{number}", key=key)
        await bench.put(stream(batch_size=2, parallelization=4))
        await bench.until(lambda: bench.function.under_way >= 2)
        await bench.settle()
        assert (await position(bench))[0] == 0
        hold.set()
        await reached(bench, 32)
        done = [each for call in bench.function.got for each in call]
        for key in "abcd":
            assert [each for each in done if each[0] == key] == [f"{key}{number}" for number in range(8)]
        assert bench.function.most_under_way > 1

    on_bench(tmp_path, test)


def test_the_checkpoint_stays_behind_the_oldest_that_is_not_done(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        hold = asyncio.Event()

        async def slow(event: dict[str, Any]) -> None:
            if event["Records"][0]["partitionKey"] == "a":
                await hold.wait()

        bench.function.answers = [slow] * 20
        await source.put("a0", key="a")
        await source.put("d0", "d1", key="d")  # the other lane
        await bench.put(stream(batch_size=1, parallelization=2))
        await bench.until(lambda: len(bench.function.events) == 3)
        await bench.settle()
        assert (await position(bench))[0] == 0
        hold.set()
        await reached(bench, 3)

    on_bench(tmp_path, test)


def test_children_are_read_when_their_parent_has_ended(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        bench.function.answers = [ValueError("no")]
        await source.put("parent")
        await bench.put(stream(starting_position="TRIM_HORIZON"))
        await source.close()
        await source.open("shard-1", "shard-0")
        await source.put("child", shard="shard-1")
        await bench.until(lambda: len(bench.function.events) == 3, step_s=0.2)
        assert bench.function.got == [["parent"], ["parent"], ["child"]]
        assert await position(bench) == (1, True)

    on_bench(tmp_path, test)


def test_a_window_hands_its_state_on_and_ends(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        async def counts(event: dict[str, Any]) -> Any:
            return {"state": {"n": event["state"].get("n", 0) + len(event["Records"])}}

        bench.function.answers = [counts] * 20
        await source.put("a", "b", "c")
        await bench.put(stream(batch_size=2, tumbling_window_s=30))
        await bench.until(lambda: len(bench.function.events) == 2)
        first, second = bench.function.events
        assert (first["state"], second["state"]) == ({}, {"n": 2})
        assert first["window"] == {"start": "2025-11-21T04:40:00Z", "end": "2025-11-21T04:40:30Z"}
        assert (first["shardId"], first["eventSourceARN"]) == ("shard-0", STREAM)
        assert (first["isFinalInvokeForWindow"], first["isWindowTerminatedEarly"]) == (False, False)
        await bench.until(lambda: len(bench.function.events) == 3, step_s=0.5)
        final = bench.function.events[2]
        assert (final["Records"], final["state"], final["isFinalInvokeForWindow"]) == ([], {"n": 3}, True)
        await source.put("d")
        await bench.until(lambda: len(bench.function.events) == 4)
        assert bench.function.events[3]["state"] == {}
        await reached(bench, 4, step_s=0.01)

    on_bench(tmp_path, test)


def test_a_later_record_ends_a_window_and_a_restart_keeps_its_state(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        async def counts(event: dict[str, Any]) -> Any:
            return {"state": {"n": event["state"].get("n", 0) + len(event["Records"])}}

        bench.function.answers = [counts] * 20
        await source.put("a")
        await bench.put(stream(tumbling_window_s=30))
        serving = asyncio.ensure_future(bench.engine.serve())
        await reached(bench, 1)
        serving.cancel()
        await bench.engine.stop(0)
        bench.clock.advance(40)
        await source.put("b")
        engine = bench.another_engine()
        second = asyncio.ensure_future(engine.serve())
        await reached(bench, 2)
        kinds = [(each["state"], each["isFinalInvokeForWindow"]) for each in bench.function.events]
        assert kinds == [({}, False), ({"n": 1}, True), ({}, False)]
        await engine.stop(1)
        second.cancel()

    on_bench(tmp_path, test, serve=False)


def test_an_answer_without_a_state_fails_and_a_large_state_ends_its_window(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        bench.function.answers = [{}, {"state": {"x": "x" * 1_100_000}}, {"state": {}}]
        await source.put("a")
        await bench.put(stream(tumbling_window_s=30))
        await bench.until(lambda: len(bench.function.events) == 3, step_s=0.1)
        assert [len(each["Records"]) for each in bench.function.events] == [1, 1, 0]
        early = bench.function.events[2]
        assert (early["isFinalInvokeForWindow"], early["isWindowTerminatedEarly"]) == (True, True)

    on_bench(tmp_path, test)


def test_the_age_of_what_is_read_is_measured(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        await source.put("a")
        bench.clock.advance(7)
        await bench.put(stream())
        await reached(bench, 1)
        assert bench.counted["IteratorAge"] == 7000

    on_bench(tmp_path, test)


def test_a_mapping_that_is_disabled_while_it_retries_stops(tmp_path: Path) -> None:
    async def test(bench: Bench, source: StoreLogSource) -> None:
        bench.function.answers = [ValueError("no")] * 3
        await source.put("a")
        await bench.put(stream())
        await bench.until(lambda: bench.function.events)
        await bench.change(enabled=False)
        await bench.stopped()
        before = len(bench.function.events)
        for _ in range(20):
            bench.clock.advance(10)
            await bench.settle()
        assert len(bench.function.events) == before
        await bench.change(enabled=True)
        await reached(bench, 1, step_s=0.1)

    on_bench(tmp_path, test)
