"""Reading a function's log as a client."""

import boto3
import pytest
from botocore.stub import Stubber

from cosset.cli.failure import Failure
from cosset.cli.logs import OVERLAP_MS, find_group, read_events, read_since

NOW_MS = 1_800_000_000_000
GROUP = "/aws/lambda/f"


@pytest.fixture
def client():
    return boto3.client("logs", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")


def event(number):
    return {"eventId": str(number), "timestamp": number, "message": f"m{number}", "logStreamName": "s"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", NOW_MS - 30_000),
        ("10m", NOW_MS - 600_000),
        ("2h", NOW_MS - 7_200_000),
        ("1d", NOW_MS - 86_400_000),
        ("99999w", 0),
        ("2026-01-31T12:00:00+00:00", 1_769_860_800_000),
    ],
)
def test_since(text, expected):
    assert read_since(text, NOW_MS) == expected


def test_since_that_is_no_time():
    with pytest.raises(Failure, match="'soon' is no time"):
        read_since("soon", NOW_MS)


def test_every_page_is_read(client):
    with Stubber(client) as stub:
        asked = {"logGroupName": GROUP, "startTime": 5}
        stub.add_response("filter_log_events", {"events": [event(6)], "nextToken": "n"}, asked)
        stub.add_response("filter_log_events", {"events": [event(7)]}, asked | {"nextToken": "n"})
        assert [found["message"] for found in read_events(client, GROUP, 5)] == ["m6", "m7"]


def test_following_gives_each_event_once_and_late_ones_too(client):
    first, late, next_one = event(100_000), event(99_000), event(101_000)
    pauses = []

    def pause():
        pauses.append(None)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    with Stubber(client) as stub:
        stub.add_client_error("filter_log_events", "ResourceNotFoundException")
        stub.add_response("filter_log_events", {"events": [first]}, {"logGroupName": GROUP, "startTime": 1})
        again = {"logGroupName": GROUP, "startTime": 100_000 - OVERLAP_MS}
        stub.add_response("filter_log_events", {"events": [late, first, next_one]}, again)
        events = read_events(client, GROUP, 1, pause)
        assert [next(events)["timestamp"] for _ in range(3)] == [100_000, 99_000, 101_000]
        with pytest.raises(KeyboardInterrupt):
            next(events)


def test_a_group_that_is_not_there(client):
    with Stubber(client) as stub:
        stub.add_client_error("filter_log_events", "ResourceNotFoundException")
        with pytest.raises(Failure, match="there is no log group /aws/lambda/f"):
            list(read_events(client, GROUP, 1))


def test_the_group_is_the_functions_own_or_the_usual_one():
    client = boto3.client("lambda", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    arn = "arn:aws:lambda:us-east-1:123456789012:function:f:prod"
    with Stubber(client) as stub:
        answer = {"LoggingConfig": {"LogGroup": "mine"}}
        stub.add_response("get_function_configuration", answer, {"FunctionName": arn})
        stub.add_client_error("get_function_configuration", "ResourceNotFoundException")
        assert find_group(client, arn) == "mine"
        assert find_group(client, arn) == GROUP
