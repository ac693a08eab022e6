"""CloudWatch Logs through stock boto3."""

import time
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer


@pytest.fixture
def logs(server: CossetServer) -> Any:
    return server.client("logs")


@pytest.fixture
def group(logs: Any, request: pytest.FixtureRequest) -> Any:
    name = f"/tests/{request.node.name.partition('[')[0]}"
    logs.create_log_group(logGroupName=name)
    yield name
    logs.delete_log_group(logGroupName=name)


def put(logs: Any, group: str, stream: str, *messages: str) -> int:
    """Events a millisecond apart; the time of the first."""
    start_ms = int(time.time() * 1000) - 1000
    events = [{"timestamp": start_ms + number, "message": message} for number, message in enumerate(messages)]
    answer = logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    assert answer["nextSequenceToken"]
    assert "rejectedLogEventsInfo" not in answer
    return start_ms


def error_of(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str, int]:
    response = caught.value.response
    return response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_events_are_put_and_read_through_every_paginator(logs: Any, group: str) -> None:
    messages = [f"message {number} ✓" for number in range(25)]
    for stream in ("a", "b"):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        put(logs, group, stream, *messages)
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, PaginationConfig={"PageSize": 7})
    found = [event["message"] for page in pages for event in page["events"]]
    assert sorted(found) == sorted(messages * 2)
    streams = logs.get_paginator("describe_log_streams").paginate(logGroupName=group, PaginationConfig={"PageSize": 1})
    assert [stream["logStreamName"] for page in streams for stream in page["logStreams"]] == ["a", "b"]
    groups = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/tests/")
    assert group in [each["logGroupName"] for page in groups for each in page["logGroups"]]


def test_get_log_events_ends_on_the_same_token(logs: Any, group: str) -> None:
    logs.create_log_stream(logGroupName=group, logStreamName="a")
    put(logs, group, "a", *"xyz")
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = logs.get_log_events(logGroupName=group, logStreamName="a", limit=2, startFromHead=True, **token)
        found += [event["message"] for event in page["events"]]
        if token.get("nextToken") == page["nextForwardToken"]:
            break
        token = {"nextToken": page["nextForwardToken"]}
    assert found == ["x", "y", "z"]


def test_errors_are_awss(logs: Any, group: str) -> None:
    """Recorded: test_create_log_group_duplicate_error, test_resource_does_not_exist."""
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException) as exists:
        logs.create_log_group(logGroupName=group)
    assert error_of(exists)[1:] == ("The specified log group already exists", 400)
    with pytest.raises(logs.exceptions.ResourceNotFoundException) as missing:
        logs.get_log_events(logGroupName=f"{group}-none", logStreamName="a")
    assert error_of(missing)[1:] == ("The specified log group does not exist.", 400)
    with pytest.raises(logs.exceptions.ResourceNotFoundException) as missing:
        logs.get_log_events(logGroupName=group, logStreamName="none")
    assert error_of(missing)[1:] == ("The specified log stream does not exist.", 400)


def test_limits_are_awss(server: CossetServer, logs: Any, group: str) -> None:
    """Recorded: test_get_log_events_limit_validation."""
    logs.create_log_stream(logGroupName=group, logStreamName="a")
    unchecked = server.client("logs", config=Config(parameter_validation=False))
    with pytest.raises(ClientError) as caught:
        unchecked.get_log_events(logGroupName=group, logStreamName="a", limit=10001)
    assert error_of(caught) == (
        "InvalidParameterException",
        "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value "
        "less than or equal to 10000",
        400,
    )


def test_names_are_checked_in_awss_words(server: CossetServer) -> None:
    """Recorded: test_create_log_group_invalid_name_length."""
    unchecked = server.client("logs", config=Config(parameter_validation=False))
    too_long = "Invalid LogGroup or LogStream, both must have length less than or equal to 512."
    for call, names, sentence in (
        (unchecked.create_log_group, {"logGroupName": "x" * 513}, too_long),
        (unchecked.create_log_stream, {"logGroupName": "x", "logStreamName": "x" * 513}, too_long),
        (
            unchecked.create_log_stream,
            {"logGroupName": "a b", "logStreamName": "a:b"},
            r"2 validation errors detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: Member must "
            r"satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+; Value 'a:b' at 'logStreamName' failed to "
            r"satisfy constraint: Member must satisfy regular expression pattern: [^:*]*",
        ),
        (
            unchecked.describe_log_groups,
            {"logGroupNamePrefix": "*"},
            r"1 validation error detected: Value '*' at 'logGroupNamePrefix' failed to satisfy constraint: Member must "
            r"satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+",
        ),
    ):
        with pytest.raises(ClientError) as caught:
            call(**names)
        assert error_of(caught) == ("InvalidParameterException", sentence, 400)
    with pytest.raises(ClientError) as caught:
        unchecked.create_log_group()
    assert "Value null at 'logGroupName' failed to satisfy constraint: Member must not be null" in error_of(caught)[1]


def test_tags_and_retention(logs: Any, group: str) -> None:
    arn = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["arn"]
    logs.tag_resource(resourceArn=arn.removesuffix(":*"), tags={"team": "a"})
    assert logs.list_tags_log_group(logGroupName=group)["tags"] == {"team": "a"}
    logs.put_retention_policy(logGroupName=group, retentionInDays=7)
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["retentionInDays"] == 7


def test_an_operation_that_is_not_there_says_so(logs: Any) -> None:
    with pytest.raises(ClientError) as caught:
        logs.describe_query_definitions()
    assert "logs:DescribeQueryDefinitions" in error_of(caught)[1]
