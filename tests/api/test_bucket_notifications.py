"""Buckets that tell functions, queues and topics of their objects. Stock boto3 on a live server."""

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.patience import until
from support.role import make_role
from support.zip import make_zip

PATIENCE_S = 240
CODE = """
import boto3
import json
import os
import urllib.parse


def tell(event, context):
    '''Notes the event as an object, whose name is the function's request id.'''
    s3 = boto3.client("s3")
    s3.put_object(Bucket=os.environ["OUT"], Key="told/" + context.aws_request_id, Body=json.dumps(event))


def turn(event, context):
    '''A loop: whatever is written is written again.'''
    s3 = boto3.client("s3")
    (record,) = event["Records"]
    s3.put_object(Bucket=record["s3"]["bucket"]["name"], Key="again/" + context.aws_request_id, Body=b"x")
"""


@dataclass
class Bench:
    """A bucket and a queue that lets it in."""

    server: CossetServer
    s3: Any
    sqs: Any
    bucket: str
    queue_url: str
    queue_arn: str

    def configure(self, *entries: dict[str, Any], **more: Any) -> None:
        configuration = {"QueueConfigurations": [{"QueueArn": self.queue_arn, **each} for each in entries]}
        self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration=configuration, SkipDestinationValidation=True, **more
        )

    def records(self, count: int) -> list[dict[str, Any]]:
        """The next records in the queue; waits for them. Each once, by its sequencer and name."""
        found: dict[str, dict[str, Any]] = {}
        ends_s = time.monotonic() + PATIENCE_S
        while len(found) < count and time.monotonic() < ends_s:
            for message in self.messages():
                for record in json.loads(message["Body"]).get("Records", ()):
                    found[json.dumps(record)] = record
        assert len(found) == count, found
        return list(found.values())

    def messages(self) -> list[dict[str, Any]]:
        got = self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=2, AttributeNames=["All"]
        ).get("Messages", [])
        for message in got:
            self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return list(got)


def let_in(server: CossetServer, queue_url: str, queue_arn: str, bucket: str) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {
            "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"},
            "StringEquals": {"aws:SourceAccount": server.account},
        },
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    server.client("sqs").set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": policy})


@pytest.fixture(scope="module")
def bench(server: CossetServer) -> Iterator[Bench]:
    s3, sqs = server.client("s3"), server.client("sqs")
    s3.create_bucket(Bucket="tells-of-objects")
    url = sqs.create_queue(QueueName="hears-of-objects")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    let_in(server, url, arn, "tells-of-objects")
    yield Bench(server, s3, sqs, "tells-of-objects", url, arn)
    empty(s3, "tells-of-objects")
    sqs.delete_queue(QueueUrl=url)


def empty(s3: Any, bucket: str) -> None:
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
    s3.delete_bucket(Bucket=bucket)


def test_a_queue_hears_of_what_it_asked_for(bench: Bench) -> None:
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".jpg"}]
    bench.configure(
        {"Id": "mine", "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": rules}}},
        {"Id": "gone", "Events": ["s3:ObjectRemoved:*"]},
    )
    key = "in/red flower ü.jpg"
    put = bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=b"four")
    bench.s3.put_object(Bucket=bench.bucket, Key="in/other.png", Body=b"four")
    bench.s3.delete_object(Bucket=bench.bucket, Key="in/other.png")
    created, removed = sorted(bench.records(2), key=lambda each: each["eventName"])
    assert (created["eventName"], created["s3"]["configurationId"]) == ("ObjectCreated:Put", "mine")
    assert created["responseElements"]["x-amz-request-id"] == put["ResponseMetadata"]["RequestId"]
    thing = created["s3"]["object"]
    assert unquote_plus(thing["key"]) == key
    assert " " not in thing["key"]
    assert (thing["size"], thing["eTag"], "versionId" in thing) == (4, put["ETag"].strip('"'), False)
    assert created["userIdentity"]["principalId"].startswith("AWS:")
    assert (removed["eventName"], removed["s3"]["configurationId"]) == ("ObjectRemoved:Delete", "gone")
    assert set(removed["s3"]["object"]) == {"key", "sequencer"}


def test_versions_tags_and_acls(bench: Bench) -> None:
    s3 = bench.s3
    s3.put_bucket_versioning(Bucket=bench.bucket, VersioningConfiguration={"Status": "Enabled"})
    bench.configure({"Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put"]})
    version = s3.put_object(Bucket=bench.bucket, Key="v", Body=b"one")["VersionId"]
    s3.put_object_tagging(Bucket=bench.bucket, Key="v", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object_tagging(Bucket=bench.bucket, Key="v")
    s3.copy_object(Bucket=bench.bucket, Key="copied", CopySource={"Bucket": bench.bucket, "Key": "v"})
    marker = s3.delete_object(Bucket=bench.bucket, Key="v")["VersionId"]
    s3.delete_object(Bucket=bench.bucket, Key="v", VersionId=version)
    found = {each["eventName"]: each for each in bench.records(6)}
    of = {name: each["s3"]["object"] for name, each in found.items()}
    assert set(of) == {
        *("ObjectCreated:Put", "ObjectTagging:Put", "ObjectTagging:Delete", "ObjectCreated:Copy"),
        *("ObjectRemoved:DeleteMarkerCreated", "ObjectRemoved:Delete"),
    }
    assert set(of["ObjectCreated:Put"]) == {"key", "size", "eTag", "versionId", "sequencer"}
    assert of["ObjectCreated:Put"]["versionId"] == version
    assert set(of["ObjectTagging:Delete"]) == {"key", "eTag", "versionId"}
    assert of["ObjectRemoved:DeleteMarkerCreated"]["versionId"] == marker
    assert of["ObjectRemoved:DeleteMarkerCreated"]["eTag"] == "d41d8cd98f00b204e9800998ecf8427e"
    assert of["ObjectRemoved:Delete"]["versionId"] == version
    assert of["ObjectCreated:Put"]["sequencer"] < of["ObjectRemoved:DeleteMarkerCreated"]["sequencer"]
    assert {each["eventVersion"] for name, each in found.items() if "Tagging" in name} == {"2.3"}


def test_a_form_that_a_browser_posts(bench: Bench) -> None:
    # recorded: TestS3NotificationsToLambda::test_create_object_by_presigned_request_via_dynamodb
    bench.configure({"Events": ["s3:ObjectCreated:Post"]})
    form = bench.s3.generate_presigned_post(bench.bucket, "posted")
    edge = "a-boundary"
    fields = {**form["fields"], "file": "content"}
    parts = [f'--{edge}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    body = "".join([*parts, f"--{edge}--\r\n"]).encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    with urllib.request.urlopen(urllib.request.Request(form["url"], body, headers), timeout=60) as answer:
        assert answer.status == 204
    (record,) = bench.records(1)
    assert (record["eventName"], record["s3"]["object"]["size"]) == ("ObjectCreated:Post", 7)


def test_targets_are_asked_and_told_that_they_are(bench: Bench) -> None:
    entry = {"QueueArn": bench.queue_arn, "Events": ["s3:ObjectCreated:Post"]}
    bench.s3.put_bucket_notification_configuration(
        Bucket=bench.bucket, NotificationConfiguration={"QueueConfigurations": [entry]}
    )
    ends_s, events = time.monotonic() + PATIENCE_S, []
    while "s3:TestEvent" not in events and time.monotonic() < ends_s:
        events += [json.loads(message["Body"]).get("Event") for message in bench.messages()]
    assert "s3:TestEvent" in events
    kept = bench.s3.get_bucket_notification_configuration(Bucket=bench.bucket)
    for arn, why in (
        (bench.queue_arn + "-gone", "The destination queue does not exist"),
        (bench.queue_arn.replace(":sqs:", ":sns:"), "The destination topic does not exist"),
        (
            f"arn:aws:lambda:us-east-1:{bench.server.account}:function:gone",
            f"Not authorized to invoke function [arn:aws:lambda:us-east-1:{bench.server.account}:function:gone]",
        ),
    ):
        with pytest.raises(ClientError) as caught:
            put(bench, arn)
        error = caught.value.response["Error"]
        assert error["Message"] == "Unable to validate the following destination configurations"
        assert (error["ArgumentName1"], error["ArgumentValue1"]) == (f"{arn}, null", why)
    del kept["ResponseMetadata"]
    again = bench.s3.get_bucket_notification_configuration(Bucket=bench.bucket)
    assert again["QueueConfigurations"] == kept["QueueConfigurations"]


def put(bench: Bench, arn: str, bucket: str | None = None) -> None:
    kinds = {"sqs": ("Queue", "QueueArn"), "sns": ("Topic", "TopicArn"), "lambda": ("LambdaFunction", "")}
    kind, member = kinds[arn.split(":")[2]]
    entry = {member or "LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
    bench.s3.put_bucket_notification_configuration(
        Bucket=bucket or bench.bucket, NotificationConfiguration={f"{kind}Configurations": [entry]}
    )


def test_another_bucket_may_not_speak(bench: Bench) -> None:
    """The queue's policy names its bucket: no other gets in, when it is configured or when it would send."""
    bench.s3.create_bucket(Bucket="speaks-out-of-turn")
    with pytest.raises(ClientError) as caught:
        put(bench, bench.queue_arn, "speaks-out-of-turn")
    assert "do not allow S3 to publish" in caught.value.response["Error"]["ArgumentValue1"]
    entry = {"QueueArn": bench.queue_arn, "Events": ["s3:ObjectCreated:*"]}
    bench.s3.put_bucket_notification_configuration(
        Bucket="speaks-out-of-turn",
        NotificationConfiguration={"QueueConfigurations": [entry]},
        SkipDestinationValidation=True,
    )
    bench.s3.put_object(Bucket="speaks-out-of-turn", Key="x", Body=b"x")
    bench.configure({"Events": ["s3:ObjectCreated:*"]})
    bench.s3.put_object(Bucket=bench.bucket, Key="in turn", Body=b"x")
    (heard,) = bench.records(1)
    assert heard["s3"]["bucket"]["name"] == bench.bucket
    empty(bench.s3, "speaks-out-of-turn")


def test_a_topic_hears(bench: Bench) -> None:
    sns = bench.server.client("sns")
    topic = sns.create_topic(Name="hears-of-objects")["TopicArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sns:Publish"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Resource": topic}]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    url = bench.sqs.create_queue(QueueName="hears-of-the-topic")["QueueUrl"]
    arn = bench.queue_arn.replace("hears-of-objects", "hears-of-the-topic")
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]})
    bench.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    put(bench, topic)
    bench.s3.put_object(Bucket=bench.bucket, Key="for a topic", Body=b"x")
    heard: list[dict[str, Any]] = []
    ends_s = time.monotonic() + PATIENCE_S
    while not any("Records" in json.loads(each["Message"]) for each in heard) and time.monotonic() < ends_s:
        got = bench.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages", [])
        heard += [json.loads(message["Body"]) for message in got]
    assert {each["Subject"] for each in heard} == {"Amazon S3 Notification"}
    (told,) = [json.loads(each["Message"]) for each in heard if "Records" in each["Message"]]
    assert told["Records"][0]["s3"]["object"]["key"] == "for+a+topic"
    sns.delete_topic(TopicArn=topic)
    bench.sqs.delete_queue(QueueUrl=url)


@pytest.fixture(scope="module")
def role(server: CossetServer) -> str:
    return make_role(server, "hears-of-objects", "s3:*", "logs:*")


def make_function(bench: Bench, role: str, name: str) -> str:
    client = bench.server.client("lambda")
    made = client.create_function(
        FunctionName=f"bucket-{name}",
        Runtime="python3.12",
        Role=role,
        Handler=f"index.{name}",
        Timeout=30,
        Code={"ZipFile": make_zip({"index.py": CODE})},
        Environment={"Variables": {"OUT": "is-told"}},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=made["FunctionName"], WaiterConfig={"Delay": 1})
    allow(bench, made["FunctionName"])
    return str(made["FunctionArn"])


def allow(bench: Bench, name: str) -> None:
    bench.server.client("lambda").add_permission(
        FunctionName=name,
        StatementId="bucket",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{bench.bucket}",
        SourceAccount=bench.server.account,
    )


def test_a_function_hears_as_long_as_it_lets_the_bucket_in(bench: Bench, role: str) -> None:
    bench.s3.create_bucket(Bucket="is-told")
    arn = make_function(bench, role, "tell")
    put(bench, arn)
    lambda_, sent = bench.server.client("lambda"), set()
    for number in range(3):  # the first by the outbox, the others with the put itself
        sent |= put_and_wait(bench, f"for a function {number}", sent)
    lambda_.remove_permission(FunctionName=arn, StatementId="bucket")
    bench.s3.put_object(Bucket=bench.bucket, Key="while it was shut", Body=b"x")
    allow(bench, arn)
    sent |= {"while+it+was+shut"}
    until(lambda: keys_told(bench) == sent)
    lambda_.delete_function(FunctionName=arn)
    bench.s3.put_object(Bucket=bench.bucket, Key="when it was gone", Body=b"x")
    assert keys_told(bench) == sent
    empty(bench.s3, "is-told")


def put_and_wait(bench: Bench, key: str, sent: set[str]) -> set[str]:
    bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=b"x")
    told = quote_plus(key)
    until(lambda: keys_told(bench) == {*sent, told})
    return {told}


def keys_told(bench: Bench) -> set[str]:
    names = [each["Key"] for each in bench.s3.list_objects_v2(Bucket="is-told").get("Contents", [])]
    events = [json.loads(bench.s3.get_object(Bucket="is-told", Key=name)["Body"].read()) for name in names]
    return {record["s3"]["object"]["key"] for event in events for record in event["Records"]}


def test_a_loop_through_a_bucket_ends(bench: Bench, role: str) -> None:
    arn = make_function(bench, role, "turn")
    put(bench, arn)
    bench.s3.put_object(Bucket=bench.bucket, Key="first", Body=b"x")
    ends_s, count, before, still = time.monotonic() + PATIENCE_S, 0, -1, 0
    while (count < 16 or still < 10) and time.monotonic() < ends_s:
        time.sleep(0.2)
        count = bench.s3.list_objects_v2(Bucket=bench.bucket, Prefix="again/").get("KeyCount", 0)
        still, before = (still + 1, count) if count == before else (0, count)
    assert count == 16
    bench.server.client("lambda").delete_function(FunctionName=arn)
