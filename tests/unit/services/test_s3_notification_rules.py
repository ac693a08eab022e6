"""Notification configurations: what is refused, what matches, what the records say. No server, no store."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.s3.model import Bucket
from cosset.services.s3.notification_model import rules_of
from cosset.services.s3.notification_records import write_bus_event, write_record, write_test_event
from cosset.services.s3.notification_rules import checked
from cosset.services.s3.ports import ObjectEvent
from cosset.wire.errors import ServiceError

QUEUE = "arn:aws:sqs:us-east-1:111111111111:my-queue"
FUNCTION = "arn:aws:lambda:us-east-1:111111111111:function:my-lambda"
TOPIC = "arn:aws:sns:us-east-1:111111111111:my-topic"
CREATED = "s3:ObjectCreated:*"
BUCKET = Bucket("pictures", "111111111111", "us-east-1", 0)
ADA = Principal(PrincipalKind.USER, "111111111111", "arn:aws:iam::111111111111:user/ada", "AIDAEXAMPLE")
EVENT = ObjectEvent(
    name="ObjectCreated:Put",
    bucket=BUCKET,
    key="in/red flower+ü.jpg",
    size=4,
    etag="8d777f385d3dfec8815d20f7496026dc",
    version_id="null",
    sequencer="0055AED6DCD90281E5",
    now_ms=1_437_500_000_123,
    principal=ADA,
    source_ip="127.0.0.1",
    request_id="C3D13FE58DE4C810",
    trace_id="Root=1",
)


def queue(*events: str, arn: str = QUEUE, id: str | None = None, **filters: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"QueueArn": arn, "Events": list(events)}
    if id is not None:
        entry["Id"] = id
    if filters:
        rules = [{"Name": name, "Value": value} for name, value in filters.items()]
        entry["Filter"] = {"Key": {"FilterRules": rules}}
    return entry


def check(*queues: dict[str, Any], **more: Any) -> dict[str, Any]:
    return checked({"QueueConfigurations": list(queues), **more}, "us-east-1", lambda: "made")


def refused(*queues: dict[str, Any], **more: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        check(*queues, **more)
    assert caught.value.code == "InvalidArgument"
    return caught.value


def test_the_document_is_shown_with_ids_and_proper_names() -> None:
    document = check(queue(CREATED, prefix="notif-", SUFFIX=""))
    (entry,) = document["QueueConfigurations"]
    assert entry["Id"] == "bWFkZQ=="
    rules = [{"Name": "Prefix", "Value": "notif-"}, {"Name": "Suffix", "Value": ""}]
    assert entry["Filter"]["Key"]["FilterRules"] == rules
    assert checked({}, "us-east-1", lambda: "x") == {}


@pytest.mark.parametrize(
    ("kind", "member", "argument"),
    [
        ("QueueConfigurations", "QueueArn", "Queue"),
        ("TopicConfigurations", "TopicArn", "Topic"),
        ("LambdaFunctionConfigurations", "LambdaFunctionArn", "CloudFunction"),
    ],
)
def test_arns_that_are_none(kind: str, member: str, argument: str) -> None:
    error = refused(**{kind: [{member: "invalid-queue", "Events": [CREATED]}]})
    assert error.message == "The ARN could not be parsed"
    assert error.fields == {"ArgumentName": argument, "ArgumentValue": "invalid-queue"}
    error = refused(**{kind: [{member: "arn:aws:kinesis:us-east-1:111111111111:stream/s", "Events": [CREATED]}]})
    assert error.message == "The ARN is not well formed"


def test_targets_elsewhere_and_fifo_ones_are_none() -> None:
    error = refused(queue(CREATED, arn=QUEUE.replace("us-east-1", "eu-west-1")))
    assert "region is not valid for the bucket" in error.message
    error = refused(queue(CREATED, arn=QUEUE + ".fifo"))
    assert error.message == "Unable to validate the following destination configurations"
    assert error.fields["ArgumentName1"] == QUEUE + ".fifo, null"


def test_filters_that_are_none() -> None:
    error = refused(queue(CREATED, INVALID="x"))
    assert error.message == "filter rule name must be either prefix or suffix"
    assert error.fields == {"ArgumentName": "FilterRule.Name", "ArgumentValue": "INVALID"}
    assert "more than one prefix rule" in refused(queue(CREATED, prefix="a", Prefix="b")).message
    assert "1024 bytes" in refused(queue(CREATED, prefix="ü" * 513)).message
    assert check(queue(CREATED, prefix="ü" * 512))


def test_events_and_ids() -> None:
    assert refused(queue("s3:ObjectEaten:*")).fields == {"ArgumentName": "Event", "ArgumentValue": "s3:ObjectEaten:*"}
    assert "must be unique" in refused(queue(CREATED, id="a"), queue("s3:ObjectRemoved:*", id="a")).message
    assert "cannot exceed 255" in refused(queue(CREATED, id="x" * 256)).message
    assert check(queue(*[CREATED] * 10_000))["QueueConfigurations"][0]["Events"] == [CREATED]
    assert "exceeds 100" in refused(*(queue(CREATED, id=str(n), prefix=f"{n:03}") for n in range(101))).message


@pytest.mark.parametrize(
    ("one", "two", "overlap"),
    [
        ({}, {}, True),
        ({"prefix": "a"}, {}, True),
        ({"prefix": "a"}, {"prefix": "ab"}, True),
        ({"prefix": "a"}, {"prefix": "b"}, False),
        ({"prefix": "a", "suffix": "jpg"}, {"prefix": "ab", "suffix": "pg"}, True),
        ({"prefix": "a", "suffix": "jpg"}, {"prefix": "ab", "suffix": "png"}, False),
        ({"suffix": "jpg"}, {"prefix": "b"}, True),
    ],
)
def test_one_event_of_one_key_goes_to_one_place(one: dict[str, str], two: dict[str, str], overlap: bool) -> None:
    first, second = queue(CREATED, id="1", **one), queue("s3:ObjectCreated:Put", id="2", **two)
    if not overlap:
        assert check(first, second)
        return
    message = refused(first, second).message
    assert message.startswith("Configurations overlap" if not one and not two else "Configuration is ambiguously")
    assert check(first, {**second, "Events": ["s3:ObjectRemoved:*"]})


@pytest.mark.parametrize(
    ("filters", "key", "matches"),
    [
        ({}, "anything", True),
        ({"prefix": "in/"}, "in/a.jpg", True),
        ({"prefix": "in/"}, "out/in/a.jpg", False),
        ({"prefix": "in/", "suffix": ".jpg"}, "in/a.png", False),
        ({"prefix": "red%20flower"}, "red flower.jpg", True),
        ({"prefix": "100%25"}, "100%25", True),
        ({"suffix": "%C3%BC"}, "ü", True),
        ({"prefix": "%zz%ff"}, "%zz%ff", True),
    ],
)
def test_filters(filters: dict[str, str], key: str, matches: bool) -> None:
    (rule,) = rules_of(check(queue(CREATED, **filters)))
    assert rule.takes("s3:ObjectCreated:Put", key) is matches
    assert not rule.takes("s3:ObjectRemoved:Delete", key)


def test_a_record() -> None:
    record = write_record(EVENT, "mine")
    host = record["responseElements"].pop("x-amz-id-2")
    assert len(host) == 64
    owner = record["s3"]["bucket"].pop("ownerIdentity")["principalId"]
    assert len(owner) == 14
    assert record == {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2015-07-21T17:33:20.123Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "mine",
            "bucket": {"name": "pictures", "arn": "arn:aws:s3:::pictures"},
            "object": {
                "key": "in/red+flower%2B%C3%BC.jpg",
                "size": 4,
                "eTag": "8d777f385d3dfec8815d20f7496026dc",
                "sequencer": "0055AED6DCD90281E5",
            },
        },
    }


@pytest.mark.parametrize(
    ("name", "version", "members"),
    [
        ("ObjectCreated:Copy", "2.1", {"size", "eTag", "versionId", "sequencer"}),
        ("ObjectRemoved:Delete", "2.1", {"versionId", "sequencer"}),
        ("ObjectRemoved:DeleteMarkerCreated", "2.1", {"eTag", "versionId", "sequencer"}),
        ("ObjectTagging:Put", "2.3", {"eTag", "versionId"}),
        ("ObjectTagging:Delete", "2.3", {"eTag", "versionId"}),
        ("ObjectAcl:Put", "2.3", {"eTag", "versionId"}),
        ("LifecycleExpiration:Delete", "2.3", {"versionId", "sequencer"}),
    ],
)
def test_what_each_kind_of_event_tells(name: str, version: str, members: set[str]) -> None:
    record = write_record(replace(EVENT, name=name, version_id="v1"), "mine")
    assert (record["eventVersion"], set(record["s3"]["object"]) - {"key"}) == (version, members)


def test_a_delete_marker_is_empty_and_lifecycle_is_s3_itself() -> None:
    record = write_record(replace(EVENT, name="ObjectRemoved:DeleteMarkerCreated", etag=None), "mine")
    assert record["s3"]["object"]["eTag"] == "d41d8cd98f00b204e9800998ecf8427e"
    record = write_record(replace(EVENT, name="LifecycleExpiration:Delete", principal=None), "mine")
    assert record["userIdentity"] == {"principalId": "s3.amazonaws.com"}
    assert record["requestParameters"] == {"sourceIPAddress": "s3.amazonaws.com"}


def test_the_test_event() -> None:
    told = json.loads(write_test_event("pictures", "R", 1_437_500_000_123))
    assert list(told) == ["Service", "Event", "Time", "Bucket", "RequestId", "HostId"]
    assert (told["Service"], told["Event"], told["Bucket"]) == ("Amazon S3", "s3:TestEvent", "pictures")


def test_events_for_a_bus() -> None:
    assert write_bus_event(EVENT) == (
        "Object Created",
        {
            "version": "0",
            "bucket": {"name": "pictures"},
            "object": {
                "key": "in/red flower+ü.jpg",
                "size": 4,
                "etag": "8d777f385d3dfec8815d20f7496026dc",
                "sequencer": "0055AED6DCD90281E5",
            },
            "request-id": "C3D13FE58DE4C810",
            "requester": "111111111111",
            "source-ip-address": "127.0.0.1",
            "reason": "PutObject",
        },
    )
    kind, detail = write_bus_event(replace(EVENT, name="ObjectRemoved:Delete", version_id="v1"))
    assert (kind, detail["deletion-type"], detail["object"]["version-id"]) == (
        "Object Deleted",
        "Permanently Deleted",
        "v1",
    )
    kind, detail = write_bus_event(replace(EVENT, name="ObjectAcl:Put"))
    assert (kind, set(detail["object"]), "reason" in detail) == ("Object ACL Updated", {"key", "etag"}, False)
