"""CloudWatch Logs: groups, streams, events, retention and tags over a real store. Recorded scenarios are in `logs`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from cosset.observe.log_buffer import LogBuffer
from cosset.observe.ports import LogEvent, StreamKey
from cosset.services.logs.group_book import LogGroupBook, find_group
from cosset.services.logs.retention import LogRetention
from cosset.services.logs.service import logs_service
from cosset.store.database import Store
from cosset.store.segments import SegmentStore
from cosset.wire.errors import ServiceError
from support.caller import ACCOUNT, Caller
from support.clock import ManualClock
from support.log_followers import Unfollowed

DAY_S = 24 * 3600
GROUP = "/aws/lambda/greet"
ARN = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{GROUP}"


@dataclass
class Bench:
    store: Store
    segments: SegmentStore
    clock: ManualClock
    call: Caller

    async def refused(self, operation: str, **params: Any) -> ServiceError:
        with pytest.raises(ServiceError) as caught:
            await self.call(operation, **params)
        return caught.value

    async def put(self, stream: str, *events: tuple[int, str]) -> dict[str, Any]:
        """Events as (milliseconds from now, message)."""
        shown = [{"timestamp": self.clock.now_ms() + offset, "message": message} for offset, message in events]
        return await self.call("PutLogEvents", logGroupName=GROUP, logStreamName=stream, logEvents=shown)

    async def group_with(self, *streams: str) -> None:
        await self.call("CreateLogGroup", logGroupName=GROUP)
        for stream in streams:
            await self.call("CreateLogStream", logGroupName=GROUP, logStreamName=stream)


@asynccontextmanager
async def bench_in(folder: Path) -> AsyncIterator[Bench]:
    clock = ManualClock()
    store = await Store.open(data=folder / "data", database=None, clock=clock, min_free_mb=0)
    segments = await SegmentStore.open(folder / "logs", clock)
    try:
        yield Bench(store, segments, clock, Caller(logs_service(store, segments, Unfollowed(), Unfollowed(), clock)))
    finally:
        await segments.close()
        await store.close()


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[Bench], Awaitable[None]]], None]:
    def run_scenario(scenario: Callable[[Bench], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with bench_in(tmp_path) as bench:
                await scenario(bench)

        asyncio.run(whole())

    return run_scenario


Run = Callable[[Callable[[Bench], Awaitable[None]]], None]


def test_a_group_is_made_shown_and_deleted(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.call("CreateLogGroup", logGroupName=GROUP)
        error = await bench.refused("CreateLogGroup", logGroupName=GROUP)
        assert (error.code, error.message) == (
            "ResourceAlreadyExistsException",
            "The specified log group already exists",
        )
        shown = await bench.call("DescribeLogGroups", logGroupNamePrefix="/aws/")
        assert shown == {
            "logGroups": [
                {
                    "logGroupName": GROUP,
                    "creationTime": bench.clock.now_ms(),
                    "metricFilterCount": 0,
                    "arn": f"{ARN}:*",
                    "logGroupArn": ARN,
                    "logGroupClass": "STANDARD",
                    "storedBytes": 0,
                    "deletionProtectionEnabled": False,
                }
            ]
        }
        await bench.call("DeleteLogGroup", logGroupName=GROUP)
        assert (await bench.call("DescribeLogGroups"))["logGroups"] == []
        error = await bench.refused("DeleteLogGroup", logGroupName=GROUP)
        assert (error.code, error.message) == (
            "ResourceNotFoundException",
            "The specified log group does not exist.",
        )

    run(scenario)


def test_groups_are_listed_in_pages_and_by_pattern(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        for number in range(5):
            await bench.call("CreateLogGroup", logGroupName=f"g-{number}")
        first = await bench.call("DescribeLogGroups", limit=2)
        second = await bench.call("DescribeLogGroups", limit=2, nextToken=first["nextToken"])
        third = await bench.call("DescribeLogGroups", limit=2, nextToken=second["nextToken"])
        pages = [[group["logGroupName"] for group in each["logGroups"]] for each in (first, second, third)]
        assert pages == [["g-0", "g-1"], ["g-2", "g-3"], ["g-4"]]
        assert "nextToken" not in third
        found = (await bench.call("DescribeLogGroups", logGroupNamePattern="-3"))["logGroups"]
        assert [group["logGroupName"] for group in found] == ["g-3"]
        assert "storedBytes" not in found[0]
        # The search is case-sensitive.
        assert (await bench.call("DescribeLogGroups", logGroupNamePattern="G-3"))["logGroups"] == []
        error = await bench.refused("DescribeLogGroups", logGroupNamePattern="a", logGroupNamePrefix="b")
        assert error.code == "InvalidParameterException"
        for token in ("x", "!!", "e30", ""):
            assert (await bench.refused("DescribeLogGroups", nextToken=token)).code == "InvalidParameterException"

    run(scenario)


def test_names_that_aws_keeps_for_itself(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        for name in ("aws/mine", "AWS/mine"):
            refusal = await bench.refused("CreateLogGroup", logGroupName=name)
            assert (refusal.code, refusal.message) == (
                "InvalidParameterException",
                "Log groups starting with AWS/ are reserved for AWS.",
            )
        await bench.call("CreateLogGroup", logGroupName="/aws/mine")

    run(scenario)


def test_the_groups_of_other_accounts_are_not_there(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        for asked in ({"includeLinkedAccounts": True}, {"accountIdentifiers": ["111111111111"]}):
            assert (await bench.refused("DescribeLogGroups", **asked)).code == "NotImplementedException"

    run(scenario)


def test_a_protected_group_stays(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.call("CreateLogGroup", logGroupName=GROUP, deletionProtectionEnabled=True)
        await bench.call("CreateLogStream", logGroupName=GROUP, logStreamName="a")
        await bench.put("a", (0, "kept"))
        assert (await bench.refused("DeleteLogGroup", logGroupName=GROUP)).code == "ValidationException"
        assert len((await bench.call("GetLogEvents", logGroupName=GROUP, logStreamName="a"))["events"]) == 1
        await bench.call("PutLogGroupDeletionProtection", logGroupIdentifier=ARN, deletionProtectionEnabled=False)
        await bench.call("DeleteLogGroup", logGroupName=GROUP)

    run(scenario)


def test_streams(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.group_with("b", "a", "[$LATEST]c")
        error = await bench.refused("CreateLogStream", logGroupName=GROUP, logStreamName="a")
        assert error.message == "The specified log stream already exists"
        error = await bench.refused("CreateLogStream", logGroupName="none", logStreamName="a")
        assert error.message == "The specified log group does not exist."
        by_name = await bench.call("DescribeLogStreams", logGroupName=GROUP)
        assert [stream["logStreamName"] for stream in by_name["logStreams"]] == ["[$LATEST]c", "a", "b"]
        # Recorded: test_describe_log_streams_with_log_group_identifier.
        assert by_name["logStreams"][1] == {
            "logStreamName": "a",
            "creationTime": bench.clock.now_ms(),
            "arn": f"{ARN}:log-stream:a",
            "storedBytes": 0,
        }
        assert await bench.call("DescribeLogStreams", logGroupIdentifier=ARN) == by_name
        assert await bench.call("DescribeLogStreams", logGroupIdentifier=f"{ARN}:*") == by_name
        assert await bench.call("DescribeLogStreams", logGroupIdentifier=GROUP) == by_name
        error = await bench.refused("DescribeLogStreams", logGroupIdentifier=ARN, logGroupName=GROUP)
        assert (error.code, error.message) == (
            "ValidationException",
            "LogGroup name and LogGroup ARN are mutually exclusive parameters.",
        )
        await bench.call("DeleteLogStream", logGroupName=GROUP, logStreamName="a")
        error = await bench.refused("DeleteLogStream", logGroupName=GROUP, logStreamName="a")
        assert error.message == "The specified log stream does not exist."

    run(scenario)


def test_streams_by_last_event_in_pages(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.group_with("a", "b", "c")
        await bench.put("b", (-10, "older"))
        await bench.put("a", (0, "newer"))
        names: list[str] = []
        token: dict[str, str] = {}
        while True:
            shown = await bench.call(
                "DescribeLogStreams",
                logGroupName=GROUP,
                orderBy="LastEventTime",
                descending=True,
                limit=1,
                **token,
            )
            names += [stream["logStreamName"] for stream in shown["logStreams"]]
            if "nextToken" not in shown:
                break
            token = {"nextToken": shown["nextToken"]}
        assert names == ["a", "b", "c"]
        error = await bench.refused(
            "DescribeLogStreams", logGroupName=GROUP, orderBy="LastEventTime", logStreamNamePrefix="a"
        )
        assert error.message == "Cannot order by LastEventTime with a logStreamNamePrefix."
        newest = (await bench.call("DescribeLogStreams", logGroupName=GROUP, logStreamNamePrefix="a"))["logStreams"][0]
        assert newest["firstEventTimestamp"] == newest["lastEventTimestamp"] == bench.clock.now_ms()
        assert newest["uploadSequenceToken"]

    run(scenario)


def test_put_refuses_what_aws_refuses(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.group_with("a")
        for wrong, sentence in (
            (
                [(0, "b"), (-1, "a")],
                "Log events in a single PutLogEvents request must be in chronological order.",
            ),
            (
                [(-DAY_S * 1000 - 1, "a"), (0, "b")],
                "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
            ),
            ([(0, "x" * 1_048_551)], "Upload too large: 1048577 bytes exceeds limit of 1048576"),
        ):
            with pytest.raises(ServiceError) as caught:
                await bench.put("a", *wrong)
            assert (caught.value.code, caught.value.message) == ("InvalidParameterException", sentence)
        for group, stream, sentence in (
            ("none", "a", "The specified log group does not exist."),
            (GROUP, "none", "The specified log stream does not exist."),
        ):
            error = await bench.refused(
                "PutLogEvents",
                logGroupName=group,
                logStreamName=stream,
                logEvents=[{"timestamp": bench.clock.now_ms(), "message": "m"}],
            )
            assert (error.code, error.message) == ("ResourceNotFoundException", sentence)

    run(scenario)


def test_put_says_which_events_it_left_out(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.group_with("a")
        # Recorded: test_put_log_events_too_old.
        answer = await bench.put("a", (-15 * DAY_S * 1000, "old"))
        assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
        assert answer["nextSequenceToken"]
        hour_ms = 3600 * 1000
        answer = await bench.put("a", (0, "now"), (2 * hour_ms + 1, "new"), (3 * hour_ms, "newer"))
        assert answer["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
        await bench.call("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=1)
        answer = await bench.put("a", (-DAY_S * 1000 - 5, "expired"), (-5, "kept"))
        assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
        events = (await bench.call("GetLogEvents", logGroupName=GROUP, logStreamName="a"))["events"]
        assert [event["message"] for event in events] == ["kept", "now"]

    run(scenario)


def test_get_pages_forward_and_ends_on_the_same_token(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.group_with("a")
        await bench.put("a", *((number, f"m{number}") for number in range(5)))

        async def get(**params: Any) -> tuple[list[str], str, str]:
            answer = await bench.call("GetLogEvents", logGroupName=GROUP, logStreamName="a", **params)
            messages = [event["message"] for event in answer["events"]]
            return messages, answer["nextForwardToken"], answer["nextBackwardToken"]

        messages, forward, back = await get(startFromHead=True, limit=2)
        assert messages == ["m0", "m1"]
        assert forward.startswith("f/")
        assert back.startswith("b/")
        messages, forward, _ = await get(startFromHead=True, limit=2, nextToken=forward)
        assert messages == ["m2", "m3"]
        messages, forward, _ = await get(startFromHead=True, limit=2, nextToken=forward)
        assert messages == ["m4"]
        messages, again, back = await get(startFromHead=True, limit=2, nextToken=forward)
        assert (messages, again) == ([], forward)
        messages, _, _ = await get(limit=2, nextToken=back)
        assert messages == ["m3", "m4"]
        # What comes later is found from the token of the end: this is how `aws logs tail` follows.
        await bench.put("a", (10, "later"))
        messages, _, _ = await get(nextToken=forward)
        assert messages == ["later"]

    run(scenario)


def test_get_without_start_from_head_gives_the_tail(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.group_with("a")
        await bench.put("a", *((number, f"m{number}") for number in range(5)))
        tail = await bench.call("GetLogEvents", logGroupName=GROUP, logStreamName="a", limit=2)
        assert [event["message"] for event in tail["events"]] == ["m3", "m4"]
        before = await bench.call(
            "GetLogEvents", logGroupName=GROUP, logStreamName="a", limit=9, nextToken=tail["nextBackwardToken"]
        )
        assert [event["message"] for event in before["events"]] == ["m0", "m1", "m2"]
        head = await bench.call(
            "GetLogEvents", logGroupName=GROUP, logStreamName="a", nextToken=before["nextBackwardToken"]
        )
        assert head["events"] == []
        assert head["nextBackwardToken"] == before["nextBackwardToken"]
        forth = await bench.call(
            "GetLogEvents", logGroupName=GROUP, logStreamName="a", limit=1, nextToken=head["nextForwardToken"]
        )
        assert [event["message"] for event in forth["events"]] == ["m0"]

    run(scenario)


def test_get_from_an_empty_stream_and_between_times(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.group_with("a")
        empty = await bench.call("GetLogEvents", logGroupName=GROUP, logStreamName="a")
        assert empty["events"] == []
        await bench.put("a", (0, "m0"), (1, "m1"), (2, "m2"))
        follow = await bench.call(
            "GetLogEvents", logGroupName=GROUP, logStreamName="a", nextToken=empty["nextForwardToken"]
        )
        assert len(follow["events"]) == 3
        now_ms = bench.clock.now_ms()
        part = await bench.call(
            "GetLogEvents", logGroupName=GROUP, logStreamName="a", startTime=now_ms + 1, endTime=now_ms + 2
        )
        assert [event["message"] for event in part["events"]] == ["m1"]
        for token in ("x", "f/1/s", "f/" + "9" * 56 + "/s"):
            error = await bench.refused("GetLogEvents", logGroupName=GROUP, logStreamName="a", nextToken=token)
            assert error.code == "InvalidParameterException"
        enormous = await bench.call(
            "GetLogEvents", logGroupName=GROUP, logStreamName="a", startTime=2**70, endTime=2**80
        )
        assert enormous["events"] == []

    run(scenario)


def test_filter_merges_streams_by_time(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.group_with("a", "b", "c")
        await bench.put("a", (0, "ERROR one"), (20, "fine"))
        await bench.put("b", (10, "ERROR two"))
        await bench.put("c", (30, "ERROR three"))

        async def messages(**params: Any) -> list[str]:
            answer = await bench.call("FilterLogEvents", logGroupName=GROUP, **params)
            assert answer["searchedLogStreams"] == []
            assert "nextToken" not in answer
            return [event["message"] for event in answer["events"]]

        assert await messages() == ["ERROR one", "ERROR two", "fine", "ERROR three"]
        assert await messages(filterPattern="ERROR") == ["ERROR one", "ERROR two", "ERROR three"]
        assert await messages(filterPattern="ERROR", logStreamNames=["a", "b"]) == ["ERROR one", "ERROR two"]
        assert await messages(logStreamNamePrefix="c") == ["ERROR three"]
        now_ms = bench.clock.now_ms()
        # The end is part of the range here, and not in GetLogEvents.
        assert await messages(startTime=now_ms + 10, endTime=now_ms + 20) == ["ERROR two", "fine"]
        error = await bench.refused("FilterLogEvents", logGroupName=GROUP, logStreamNames=["a", "none"])
        assert error.message == "The specified log stream does not exist."
        error = await bench.refused("FilterLogEvents", logGroupName=GROUP, filterPattern="[a, b = %x%]")
        assert error.code == "NotImplementedException"
        error = await bench.refused("FilterLogEvents", logGroupName=GROUP, startFromHead=False)
        assert error.code == "NotImplementedException"
        error = await bench.refused("FilterLogEvents", logGroupName=GROUP, filterPattern="{ $.a = ")
        assert error.code == "InvalidParameterException"

    run(scenario)


def test_filter_pages_lose_and_repeat_nothing(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.group_with("a", "b")
        # The same time in both streams: the order is that of arrival.
        await bench.put("a", *((number // 2, f"a{number} x") for number in range(20)))
        await bench.put("b", *((number // 2, f"b{number}") for number in range(20)))
        found: list[str] = []
        ids: set[str] = set()
        token: dict[str, str] = {}
        while True:
            answer = await bench.call("FilterLogEvents", logGroupName=GROUP, limit=3, filterPattern="x", **token)
            assert len(answer["events"]) <= 3
            found += [event["message"] for event in answer["events"]]
            ids |= {event["eventId"] for event in answer["events"]}
            if "nextToken" not in answer:
                break
            token = {"nextToken": answer["nextToken"]}
        assert found == [f"a{number} x" for number in range(20)]
        assert len(ids) == 20

    run(scenario)


def test_retention_hides_at_once_and_removes(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.group_with("a")
        await bench.put("a", (0, "old"))
        error = await bench.refused("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=2)
        assert error.code == "InvalidParameterException"
        assert "at 'retentionInDays' failed to satisfy constraint" in error.message
        await bench.call("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=1)
        shown = (await bench.call("DescribeLogGroups"))["logGroups"][0]
        assert shown["retentionInDays"] == 1
        assert shown["storedBytes"] == len("old") + 26
        bench.clock.advance(DAY_S - 1)
        await bench.put("a", (0, "young"))
        bench.clock.advance(2)
        events = (await bench.call("GetLogEvents", logGroupName=GROUP, logStreamName="a"))["events"]
        assert [event["message"] for event in events] == ["young"]
        events = (await bench.call("FilterLogEvents", logGroupName=GROUP))["events"]
        assert [event["message"] for event in events] == ["young"]
        retention = LogRetention(bench.store, bench.segments, bench.clock)
        assert await retention.sweep() == 1
        await bench.call("DeleteRetentionPolicy", logGroupName=GROUP)
        assert "retentionInDays" not in (await bench.call("DescribeLogGroups"))["logGroups"][0]
        events = (await bench.call("FilterLogEvents", logGroupName=GROUP))["events"]
        assert [event["message"] for event in events] == ["young"]

    run(scenario)


def test_the_retention_task_sweeps_every_hour(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.group_with("a")
        await bench.call("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=1)
        await bench.put("a", (0, "old"))
        retention = LogRetention(bench.store, bench.segments, bench.clock)
        retention.start()
        key = StreamKey(ACCOUNT, "us-east-1", GROUP, "a")
        while await bench.segments.read_stream(key):
            bench.clock.advance(3600)
            await asyncio.sleep(0)
        await retention.close()

    run(scenario)


def test_tags_in_both_generations(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.call("CreateLogGroup", logGroupName=GROUP, tags={"env": "testing"})
        await bench.call("TagLogGroup", logGroupName=GROUP, tags={"a": "1"})
        await bench.call("TagResource", resourceArn=ARN, tags={"b": "2", "a": "3"})
        expected = {"tags": {"env": "testing", "a": "3", "b": "2"}}
        assert await bench.call("ListTagsLogGroup", logGroupName=GROUP) == expected
        assert await bench.call("ListTagsForResource", resourceArn=f"{ARN}:*") == expected
        await bench.call("UntagLogGroup", logGroupName=GROUP, tags=["a", "none"])
        await bench.call("UntagResource", resourceArn=ARN, tagKeys=["env"])
        assert await bench.call("ListTagsForResource", resourceArn=ARN) == {"tags": {"b": "2"}}
        error = await bench.refused("TagResource", resourceArn=ARN, tags={str(each): "" for each in range(50)})
        assert error.code == "TooManyTagsException"
        for wrong in (GROUP, "arn:aws:logs:us-east-1:111111111111:destination:x", "arn:x"):
            error = await bench.refused("ListTagsForResource", resourceArn=wrong)
            assert error.code == "InvalidParameterException"
        error = await bench.refused("ListTagsForResource", resourceArn=f"{ARN}x")
        assert error.code == "ResourceNotFoundException"

    run(scenario)


def test_accounts_and_regions_are_apart(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.group_with("a")
        elsewhere = Caller(
            logs_service(bench.store, bench.segments, Unfollowed(), Unfollowed(), bench.clock), region="eu-west-1"
        )
        assert (await elsewhere("DescribeLogGroups"))["logGroups"] == []
        await elsewhere("CreateLogGroup", logGroupName=GROUP)
        assert (await elsewhere("DescribeLogStreams", logGroupName=GROUP))["logStreams"] == []

    run(scenario)


def test_requirements_name_what_aws_names() -> None:
    call = Caller(logs_service(None, None, None, None, None))  # type: ignore[arg-type]
    prefix = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:"
    assert call.requires("DescribeLogGroups") == [("logs:DescribeLogGroups", f"{prefix}:log-stream:")]
    assert call.requires("CreateLogGroup", logGroupName="g") == [("logs:CreateLogGroup", f"{prefix}g:log-stream:")]
    assert call.requires("GetLogEvents", logGroupName="g", logStreamName="s") == [
        ("logs:GetLogEvents", f"{prefix}g:log-stream:s")
    ]
    other = "arn:aws:logs:eu-west-1:222222222222:log-group:g"
    assert call.requires("FilterLogEvents", logGroupIdentifier=other) == [
        ("logs:FilterLogEvents", f"{other}:log-stream:")
    ]


def test_what_functions_print_makes_its_group(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        book = LogGroupBook(bench.store, bench.clock)
        buffer = LogBuffer(bench.segments, book, bench.clock)
        buffer.start()
        key = StreamKey(ACCOUNT, "us-east-1", GROUP, "2025/11/21/[$LATEST]abc")
        buffer.write(key, [LogEvent(bench.clock.now_ms(), "START\n")])
        await buffer.flush()
        events = (await bench.call("FilterLogEvents", logGroupName=GROUP))["events"]
        assert [event["message"] for event in events] == ["START\n"]
        # A group that is deleted under a running function is there again when the function writes.
        await bench.call("DeleteLogGroup", logGroupName=GROUP)
        buffer.write(key, [LogEvent(bench.clock.now_ms(), "again")])
        await buffer.flush()
        events = (await bench.call("FilterLogEvents", logGroupName=GROUP))["events"]
        assert [event["message"] for event in events] == ["again"]
        await buffer.close()

    run(scenario)


def test_groups_that_are_new_are_made_together_and_those_that_are_there_stay(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.call("CreateLogGroup", logGroupName="/there", tags={"a": "b"})
        wanted = [(ACCOUNT, "us-east-1", f"/new/{number}") for number in range(20)]
        wanted += [(ACCOUNT, "us-east-1", "/there"), (ACCOUNT, "eu-west-1", "/there")]
        book = LogGroupBook(bench.store, bench.clock)
        await asyncio.gather(book.ensure_groups(wanted), book.ensure_groups(wanted[5:]))
        await book.ensure_groups(set(wanted))
        groups = await bench.store.read(lambda tx: [find_group(tx, *key) for key in wanted])
        assert [(group.region, group.name) for group in groups if group is not None] == [key[1:] for key in wanted]
        assert {group.region: dict(group.tags) for group in groups if group is not None and group.name == "/there"} == {
            "us-east-1": {"a": "b"},
            "eu-west-1": {},
        }

    run(scenario)


def test_every_operation_is_awss_and_needs_something() -> None:
    service = logs_service(None, None, None, None, None)  # type: ignore[arg-type]
    model = botocore.session.get_session().get_service_model("logs")
    assert set(service.operations) <= set(model.operation_names)
    call = Caller(service)
    for name in service.operations:
        needed = call.requires(name, logGroupName="g", logStreamName="s", resourceArn=ARN)
        assert [action for action, _ in needed] == [f"logs:{name}"]
