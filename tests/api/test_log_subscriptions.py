"""Subscription filters of log groups: functions that get what is logged. Stock boto3 on a live server."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.queues import make_queue, receive
from support.role import make_role
from support.zip import make_zip

GROUP = "/shop/orders"
CODE = """
import base64, gzip, json


def handler(event, context):
    return json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))


def talks(event, context):
    print("order 17 taken")


def listens_to_itself(event, context):
    print("round and round")
"""


@pytest.fixture(scope="module")
def role(server: CossetServer) -> str:
    return make_role(server, "reads-logs", "sqs:SendMessage", "logs:*")


@pytest.fixture(scope="module")
def queue(server: CossetServer) -> Iterator[str]:
    """Where what the subscriber got is seen."""
    sqs = server.client("sqs")
    url, _ = make_queue(sqs, "seen-in-logs", "arn:aws:sns:us-east-1:000000000000:none")
    yield url
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture(scope="module")
def subscriber(server: CossetServer, role: str, queue: str) -> Iterator[str]:
    client = server.client("lambda")
    arn = make_function(server, role, "subscriber", "handler")
    attributes = server.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    client.put_function_event_invoke_config(
        FunctionName=arn, DestinationConfig={"OnSuccess": {"Destination": attributes["QueueArn"]}}
    )
    yield arn
    client.delete_function(FunctionName=arn)


@pytest.fixture
def group(server: CossetServer) -> Iterator[str]:
    logs = server.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="today")
    yield GROUP
    logs.delete_log_group(logGroupName=GROUP)


def make_function(server: CossetServer, role: str, name: str, handler: str) -> str:
    client = server.client("lambda")
    made = client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role,
        Handler=f"index.{handler}",
        Code={"ZipFile": make_zip({"index.py": CODE})},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    return str(made["FunctionArn"])


def say(server: CossetServer, *messages: str) -> None:
    now_ms = int(time.time() * 1000)
    events = [{"timestamp": now_ms, "message": each} for each in messages]
    server.client("logs").put_log_events(logGroupName=GROUP, logStreamName="today", logEvents=events)


def got(server: CossetServer, queue: str) -> dict[str, Any]:
    (message,) = receive(server.client("sqs"), queue)
    answer: dict[str, Any] = json.loads(message["Body"])["responsePayload"]
    return answer


def error_of(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize("principal", ["logs.us-east-1.amazonaws.com", "logs.amazonaws.com"])
def test_a_function_gets_what_matches(
    server: CossetServer, group: str, subscriber: str, queue: str, principal: str
) -> None:
    logs, client = server.client("logs"), server.client("lambda")
    put = {"logGroupName": group, "filterName": "errors", "filterPattern": "ERROR", "destinationArn": subscriber}
    with pytest.raises(ClientError) as caught:
        logs.put_subscription_filter(**put)
    assert error_of(caught) == (
        "InvalidParameterException",
        "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute your "
        "function.",
    )
    client.add_permission(
        FunctionName=subscriber,
        StatementId="logs",
        Action="lambda:InvokeFunction",
        Principal=principal,
        SourceArn=f"{logs.describe_log_groups(logGroupNamePrefix=group)['logGroups'][0]['arn']}",
    )
    logs.put_subscription_filter(**put)
    say(server, "all well", "ERROR one", "ERROR two")
    seen = got(server, queue)
    assert [each["message"] for each in seen["logEvents"]] == ["ERROR one", "ERROR two"]
    found = logs.filter_log_events(logGroupName=group, filterPattern="ERROR")["events"]
    assert [each["id"] for each in seen["logEvents"]] == [each["eventId"] for each in found]
    assert [each["timestamp"] for each in seen["logEvents"]] == [each["timestamp"] for each in found]
    assert {name: value for name, value in seen.items() if name != "logEvents"} == {
        "messageType": "DATA_MESSAGE",
        "owner": subscriber.split(":")[4],
        "logGroup": group,
        "logStream": "today",
        "subscriptionFilters": ["errors"],
    }
    logs.delete_subscription_filter(logGroupName=group, filterName="errors")
    client.remove_permission(FunctionName=subscriber, StatementId="logs")


def test_filters_are_described_bounded_and_deleted(server: CossetServer, group: str, subscriber: str) -> None:
    logs, client = server.client("logs"), server.client("lambda")
    client.add_permission(
        FunctionName=subscriber, StatementId="any", Action="lambda:InvokeFunction", Principal="logs.amazonaws.com"
    )
    put = {"logGroupName": group, "filterPattern": "", "destinationArn": subscriber}
    logs.put_subscription_filter(**put, filterName="a")
    logs.put_subscription_filter(**put, filterName="b")
    logs.put_subscription_filter(**{**put, "filterPattern": "x"}, filterName="b")
    with pytest.raises(ClientError) as caught:
        logs.put_subscription_filter(**put, filterName="c")
    assert error_of(caught) == ("LimitExceededException", "Resource limit exceeded.")
    pages = logs.get_paginator("describe_subscription_filters").paginate(
        logGroupName=group, PaginationConfig={"PageSize": 1}
    )
    shown = [each for page in pages for each in page["subscriptionFilters"]]
    assert [(each["filterName"], each["filterPattern"]) for each in shown] == [("a", ""), ("b", "x")]
    assert shown[0]["distribution"] == "ByLogStream"
    assert shown[0]["applyOnTransformedLogs"] is False
    only = logs.describe_subscription_filters(logGroupName=group, filterNamePrefix="b")["subscriptionFilters"]
    assert [each["filterName"] for each in only] == ["b"]
    logs.delete_subscription_filter(logGroupName=group, filterName="a")
    with pytest.raises(ClientError) as caught:
        logs.delete_subscription_filter(logGroupName=group, filterName="a")
    sentence = "The specified subscription filter does not exist."
    assert error_of(caught) == ("ResourceNotFoundException", sentence)
    client.remove_permission(FunctionName=subscriber, StatementId="any")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"logGroupName": "/nowhere"}, "ResourceNotFoundException"),
        ({"filterPattern": '{ $.a = "x" '}, "InvalidParameterException"),
        ({"destinationArn": "elsewhere"}, "InvalidParameterException"),
        ({"destinationArn": "arn:aws:lambda:us-east-1:000000000000:function:nobody"}, "InvalidParameterException"),
        ({"destinationArn": "arn:aws:events:us-east-1:000000000000:rule/r"}, "InvalidParameterException"),
        ({"roleArn": "arn:aws:iam::000000000000:role/r"}, "InvalidParameterException"),
        ({"filterName": "a:b"}, "InvalidParameterException"),
        ({"destinationArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s"}, "NotImplementedException"),
        ({"fieldSelectionCriteria": "@aws.region = 'x'"}, "NotImplementedException"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    server: CossetServer, group: str, subscriber: str, change: dict[str, str], code: str
) -> None:
    put = {"logGroupName": group, "filterName": "f", "filterPattern": "", "destinationArn": subscriber}
    with pytest.raises(ClientError) as caught:
        server.client("logs").put_subscription_filter(**{**put, **change})
    assert caught.value.response["Error"]["Code"] == code


def test_what_a_function_prints_is_followed(server: CossetServer, role: str, subscriber: str, queue: str) -> None:
    logs, client = server.client("logs"), server.client("lambda")
    talks = make_function(server, role, "talks", "talks")
    logs.create_log_group(logGroupName="/aws/lambda/talks")
    client.add_permission(
        FunctionName=subscriber, StatementId="talks", Action="lambda:InvokeFunction", Principal="logs.amazonaws.com"
    )
    logs.put_subscription_filter(
        logGroupName="/aws/lambda/talks", filterName="orders", filterPattern="order", destinationArn=subscriber
    )
    client.invoke(FunctionName=talks, InvocationType="Event")
    seen = got(server, queue)
    assert [each["message"].strip() for each in seen["logEvents"]] == ["order 17 taken"]
    assert seen["logGroup"] == "/aws/lambda/talks"
    client.remove_permission(FunctionName=subscriber, StatementId="talks")
    client.delete_function(FunctionName=talks)
    logs.delete_log_group(logGroupName="/aws/lambda/talks")


def test_a_function_that_listens_to_itself_is_stopped(server: CossetServer, role: str, queue: str) -> None:
    logs, client = server.client("logs"), server.client("lambda")
    arn = make_function(server, role, "listens-to-itself", "listens_to_itself")
    name = "/aws/lambda/listens-to-itself"
    logs.create_log_group(logGroupName=name)
    attributes = server.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    client.put_function_event_invoke_config(
        FunctionName=arn, DestinationConfig={"OnFailure": {"Destination": attributes["QueueArn"]}}
    )
    client.add_permission(
        FunctionName=arn, StatementId="logs", Action="lambda:InvokeFunction", Principal="logs.amazonaws.com"
    )
    logs.put_subscription_filter(logGroupName=name, filterName="all", filterPattern="round", destinationArn=arn)
    client.invoke(FunctionName=arn, InvocationType="Event")
    (message,) = receive(server.client("sqs"), queue)
    ended = json.loads(message["Body"])
    assert ended["requestContext"]["condition"] == "RecursiveInvocation"
    events = logs.filter_log_events(logGroupName=name, filterPattern="round")["events"]
    assert len(events) == 16
    client.delete_function(FunctionName=arn)
    logs.delete_log_group(logGroupName=name)
