"""Queues that trigger functions, with stock boto3 against a live server."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.logged import messages
from support.patience import until
from support.role import make_role, starter_role
from support.zip import make_zip

# Prints the event and what the environment says of the trace. A message `fail-N` fails until its Nth receipt.
CODE = """
import json, os


def handler(event, context):
    print(json.dumps({"event": event}))
    failed = []
    for record in event["Records"]:
        if record["body"] == "raise":
            raise ValueError("no")
        if record["body"].startswith("fail-"):
            if int(record["attributes"]["ApproximateReceiveCount"]) < int(record["body"][5:]):
                failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
"""
REPORTS = ["ReportBatchItemFailures"]


class Room:
    """Functions, queues and mappings that a test makes; all are taken away with it."""

    def __init__(self, server: CossetServer) -> None:
        self.server = server
        self.lambda_ = server.client("lambda")
        self.sqs = server.client("sqs")
        self.logs = server.client("logs")
        self._made: list[Callable[[], Any]] = []
        self._count = 0

    def name(self) -> str:
        self._count += 1
        return f"trigger-{id(self):x}-{self._count}"

    def role(self) -> str:
        return make_role(self.server, self.name(), "sqs:*", "logs:*")

    def function(self, role: str, *, code: str = CODE, **given: Any) -> str:
        name = self.name()
        self.lambda_.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=role,
            Handler="index.handler",
            Code={"ZipFile": make_zip({"index.py": code})},
            **given,
        )
        self.lambda_.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        self._made.append(lambda: self.lambda_.delete_function(FunctionName=name))
        return name

    def queue(self, suffix: str = "", **attributes: str) -> tuple[str, str]:
        """URL and ARN."""
        url = self.sqs.create_queue(QueueName=self.name() + suffix, Attributes=attributes)["QueueUrl"]
        self._made.append(lambda: self.sqs.delete_queue(QueueUrl=url))
        got = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, got["Attributes"]["QueueArn"]

    def map(self, function: str, queue_arn: str, **given: Any) -> dict[str, Any]:
        made = self.lambda_.create_event_source_mapping(FunctionName=function, EventSourceArn=queue_arn, **given)
        uuid = made["UUID"]
        self._made.append(lambda: self.unmap(uuid))
        until(lambda: self.state(uuid) != "Creating")
        return made

    def unmap(self, uuid: str) -> None:
        until(lambda: self.state(uuid) not in ("Updating", "Enabling", "Disabling", "Creating"))
        try:
            self.lambda_.delete_event_source_mapping(UUID=uuid)
        except self.lambda_.exceptions.ResourceNotFoundException:
            return

    def state(self, uuid: str) -> str:
        try:
            return str(self.lambda_.get_event_source_mapping(UUID=uuid)["State"])
        except self.lambda_.exceptions.ResourceNotFoundException:
            return "gone"

    def events(self, function: str) -> list[dict[str, Any]]:
        """What the function got, call by call."""
        try:
            found = self.logs.filter_log_events(logGroupName=f"/aws/lambda/{function}", filterPattern='"Records"')
        except self.logs.exceptions.ResourceNotFoundException:
            return []
        return [json.loads(each["message"])["event"] for each in found["events"]]

    def bodies(self, function: str, source: str | None = None) -> list[str]:
        """In the order in which they came; only those of the queue `source`, where it is given."""
        records = [record for event in self.events(function) for record in event["Records"]]
        return [each["body"] for each in records if source in (None, each["eventSourceARN"])]

    def left(self, url: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        got = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(value) for value in got.values())

    def close(self) -> None:
        for take_away in reversed(self._made):
            try:
                take_away()
            except ClientError:
                continue


@pytest.fixture(scope="module")
def room(server: CossetServer) -> Iterator[Room]:
    made = Room(server)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def function(room: Room) -> str:
    """One function that the tests share, with the role of a reader of queues."""
    return room.function(room.role())


def refusal(call: Callable[..., Any], **given: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**given)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_function_gets_messages_as_aws_shows_them(room: Room, function: str) -> None:
    # recorded: test_message_body_and_attributes_passed_correctly
    url, arn = room.queue()
    room.map(function, arn, FunctionResponseTypes=REPORTS)
    sent = room.sqs.send_message(
        QueueUrl=url,
        MessageBody='{"destination": "x"}',
        MessageAttributes={
            "Title": {"DataType": "String", "StringValue": "The Whistler"},
            "WeeksOn": {"DataType": "Number", "StringValue": "6"},
            "Raw": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
        },
    )
    (event,) = until(lambda: [each for each in room.events(function) if each["Records"][0]["eventSourceARN"] == arn])
    (record,) = event["Records"]
    assert set(record["attributes"]) >= {
        "ApproximateReceiveCount",
        "SentTimestamp",
        "SenderId",
        "ApproximateFirstReceiveTimestamp",
    }
    assert record["receiptHandle"]
    lists = {"stringListValues": [], "binaryListValues": []}
    expected = {
        "messageId": sent["MessageId"],
        "body": '{"destination": "x"}',
        "md5OfBody": sent["MD5OfMessageBody"],
        "md5OfMessageAttributes": sent["MD5OfMessageAttributes"],
        "messageAttributes": {
            "Title": {"stringValue": "The Whistler", "dataType": "String", **lists},
            "WeeksOn": {"stringValue": "6", "dataType": "Number", **lists},
            "Raw": {"binaryValue": "AAE=", "dataType": "Binary", **lists},
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": room.server.region,
    }
    assert {name: record[name] for name in expected} == expected
    until(lambda: room.left(url) == 0)


def test_what_failed_comes_again_and_ends_in_the_dead_letter_queue(room: Room, function: str) -> None:
    # recorded: test_redrive_policy_with_failing_lambda
    dead_url, dead_arn = room.queue()
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 3})
    url, arn = room.queue(VisibilityTimeout="4", RedrivePolicy=redrive)
    room.map(function, arn, FunctionResponseTypes=REPORTS)
    entries = [{"Id": str(at), "MessageBody": body} for at, body in enumerate(("fine", "fail-2", "fail-9"))]
    room.sqs.send_message_batch(QueueUrl=url, Entries=entries)
    until(lambda: room.left(dead_url) == 1)
    until(lambda: room.left(url) == 0)
    (dead,) = until(lambda: room.sqs.receive_message(QueueUrl=dead_url, WaitTimeSeconds=1).get("Messages"))
    assert dead["Body"] == "fail-9"
    # On a machine that is slower than the visibility timeout some come once more.
    wanted = {"fine": 1, "fail-2": 2, "fail-9": 3}
    until(lambda: all(room.bodies(function, arn).count(body) >= count for body, count in wanted.items()))


def test_groups_stay_in_order(room: Room, function: str) -> None:
    url, arn = room.queue(".fifo", FifoQueue="true", ContentBasedDeduplication="true", VisibilityTimeout="30")
    room.map(function, arn, FunctionResponseTypes=REPORTS, BatchSize=3)
    for number in range(6):
        for group in ("a", "b"):
            room.sqs.send_message(QueueUrl=url, MessageBody=f"{group}{number}", MessageGroupId=group)
    until(lambda: room.left(url) == 0)
    until(lambda: len(room.bodies(function, arn)) >= 12)
    mine = room.bodies(function, arn)
    for group in ("a", "b"):
        assert [each for each in mine if each[0] == group] == [f"{group}{number}" for number in range(6)]


def test_filters_take_and_the_rest_is_deleted(room: Room, function: str) -> None:
    url, arn = room.queue()
    criteria = {"Filters": [{"Pattern": json.dumps({"body": {"keep": [True]}})}]}
    made = room.map(function, arn, FilterCriteria=criteria, MetricsConfig={"Metrics": ["EventCount"]})
    assert made["FilterCriteria"] == criteria
    for body in ('{"keep": false}', "no json", '{"keep": true}'):
        room.sqs.send_message(QueueUrl=url, MessageBody=body)
    until(lambda: room.left(url) == 0)
    until(lambda: '{"keep": true}' in room.bodies(function))
    assert "no json" not in room.bodies(function)
    expected = {"PolledEventCount": 3, "FilteredOutEventCount": 2, "InvokedEventCount": 1, "DeletedEventCount": 1}
    until(lambda: counts(room, made["UUID"], expected) == expected)


def counts(room: Room, uuid: str, names: Iterable[str]) -> dict[str, float]:
    """What CloudWatch has of the mapping."""
    now = datetime.now(UTC)
    found = {}
    for name in names:
        points = room.server.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=name,
            Dimensions=[{"Name": "EventSourceMappingUUID", "Value": uuid}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        found[name] = sum(point["Sum"] for point in points)
    return found


def test_a_mapping_is_disabled_changed_and_deleted(room: Room) -> None:
    # recorded: TestSQSEventSourceMapping::test_sqs_event_source_mapping_update
    role = room.role()
    first, second = room.function(role), room.function(role)
    url, arn = room.queue()
    uuid = room.map(first, arn)["UUID"]
    room.sqs.send_message(QueueUrl=url, MessageBody="one")
    until(lambda: room.bodies(first) == ["one"])
    disabling = room.lambda_.update_event_source_mapping(UUID=uuid, Enabled=False)
    assert disabling["State"] == "Disabling"
    until(lambda: room.state(uuid) == "Disabled")
    room.sqs.send_message(QueueUrl=url, MessageBody="two")
    updated = room.lambda_.update_event_source_mapping(UUID=uuid, FunctionName=second, Enabled=True)
    assert updated["FunctionArn"].endswith(second)
    until(lambda: room.bodies(second) == ["two"])
    until(lambda: room.state(uuid) == "Enabled")
    assert room.lambda_.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    until(lambda: room.state(uuid) == "gone")
    room.sqs.send_message(QueueUrl=url, MessageBody="three")
    assert room.left(url) == 1
    assert (room.bodies(first), room.bodies(second)) == (["one"], ["two"])


def test_what_is_wrong_with_a_new_mapping(room: Room, function: str) -> None:
    create = room.lambda_.create_event_source_mapping
    wrong = "InvalidParameterValueException"
    # recorded: test_esm_with_not_existing_sqs_queue
    none = f"arn:aws:sqs:{room.server.region}:{room.server.account}:none"
    assert refusal(create, FunctionName=function, EventSourceArn=none) == (
        wrong,
        "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
        "SQS Error Message: The specified queue does not exist.",
    )
    _, arn = room.queue()
    # recorded: TestSQSEventSourceMapping::test_sqs_invalid_event_filter
    for pattern in ("simple string", '{"eventSource": "aws:sqs"}', '{"eventSource": [{"unknown": 1}]}', "[]"):
        given = {"FunctionName": function, "EventSourceArn": arn, "FilterCriteria": {"Filters": [{"Pattern": pattern}]}}
        assert refusal(create, **given) == (wrong, "Invalid filter pattern definition.")
    idle = room.function(starter_role(room.server))
    assert refusal(create, FunctionName=idle, EventSourceArn=arn) == (
        wrong,
        "The provided execution role does not have permissions to call ReceiveMessage on SQS",
    )
    slow = room.function(room.role(), Timeout=60)
    assert refusal(create, FunctionName=slow, EventSourceArn=arn) == (
        wrong,
        "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds",
    )
    made = room.map(function, arn)
    code, message = refusal(create, FunctionName=function, EventSourceArn=arn)
    assert code == "ResourceConflictException"
    assert message == (
        f'An event source mapping with SQS arn (" {arn} ") and function (" {function} ") already exists. '
        f"Please update or delete the existing mapping with UUID {made['UUID']}"
    )


LOOP = """
import os

import boto3


def handler(event, context):
    print('"Records": again')
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody="again")
"""


def test_a_loop_through_a_queue_is_stopped(room: Room) -> None:
    url, arn = room.queue(VisibilityTimeout="30")
    name = room.function(room.role(), code=LOOP, Environment={"Variables": {"QUEUE": url}})
    uuid = room.map(name, arn)["UUID"]
    room.sqs.send_message(QueueUrl=url, MessageBody="first")

    def problem() -> Any:
        result = room.lambda_.get_event_source_mapping(UUID=uuid).get("LastProcessingResult", "")
        return "recursive loop" in result

    until(problem)
    until(lambda: len(messages(room.server, f"/aws/lambda/{name}", '"Records"')) >= 16)
    # Nothing was lost: it waits for its dead-letter queue, or its retention. The one before it is deleted meanwhile.
    until(lambda: room.left(url) == 1)
    assert len(messages(room.server, f"/aws/lambda/{name}", '"Records"')) == 16


def test_what_is_acknowledged_outlives_every_process(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    room = Room(server)
    name = room.function(room.role())
    url, arn = room.queue(VisibilityTimeout="3")
    room.map(name, arn)
    for at in range(30):
        room.sqs.send_message(QueueUrl=url, MessageBody=f"m{at}")
        if at == 15:
            server.kill9()
            server.start()
    until(lambda: room.left(url) == 0)
    until(lambda: set(room.bodies(name)) == {f"m{at}" for at in range(30)})
