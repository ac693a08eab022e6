"""No bucket speaks where it is not let in: another account's, one that was let in once.

Nor is an export of logs a way into a bucket."""

import json
import time
import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.command import cosset

PATIENCE_S = 240


@pytest.fixture(scope="module")
def stranger(server: CossetServer) -> Any:
    """The administrator of another account."""
    made = json.loads(cosset(server, "account", "add", "--no-profile", "--json").stdout)
    session = boto3.Session(made["access_key_id"], made["secret_access_key"], region_name=server.region)
    return lambda service: session.client(service, endpoint_url=server.endpoint)


@pytest.fixture
def queue(server: CossetServer) -> tuple[str, str]:
    """Takes what buckets of its own account say."""
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName=f"hears-its-own-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": server.account}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return url, arn


def configure(s3: Any, bucket: str, arn: str, *, skip: bool = True) -> None:
    entry = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [entry]}, SkipDestinationValidation=skip
    )


def heard(server: CossetServer, url: str, key: str) -> list[str]:
    """The keys that the queue heard of, up to `key`."""
    sqs, found = server.client("sqs"), []
    until = time.monotonic() + PATIENCE_S
    while key not in found and time.monotonic() < until:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages", []):
            found += [each["s3"]["object"]["key"] for each in json.loads(message["Body"])["Records"]]
    return found


def test_another_accounts_bucket_is_not_heard(server: CossetServer, stranger: Any, queue: tuple[str, str]) -> None:
    url, arn = queue
    mine, theirs = server.client("s3"), stranger("s3")
    theirs.create_bucket(Bucket="a-strangers-bucket")
    refusals = set()
    for name in (arn, arn + "-that-is-not-there"):
        with pytest.raises(ClientError) as caught:
            configure(theirs, "a-strangers-bucket", name, skip=False)
        refusals.add(caught.value.response["Error"]["ArgumentValue1"])
    assert len(refusals) == 1, "it learns which queues there are"
    configure(theirs, "a-strangers-bucket", arn)
    theirs.put_object(Bucket="a-strangers-bucket", Key="theirs", Body=b"x")
    mine.create_bucket(Bucket="a-bucket-of-mine")
    configure(mine, "a-bucket-of-mine", arn)
    mine.put_object(Bucket="a-bucket-of-mine", Key="mine", Body=b"x")
    assert set(heard(server, url, "mine")) == {"mine"}
    for s3, bucket, key in ((theirs, "a-strangers-bucket", "theirs"), (mine, "a-bucket-of-mine", "mine")):
        s3.delete_object(Bucket=bucket, Key=key)
        s3.delete_bucket(Bucket=bucket)
    server.client("sqs").delete_queue(QueueUrl=url)


def test_a_right_that_was_taken_away_counts_no_more(server: CossetServer, queue: tuple[str, str]) -> None:
    """What waits meanwhile is not lost when the right comes back soon."""
    url, _ = queue
    sqs, s3 = server.client("sqs"), server.client("s3")
    s3.create_bucket(Bucket="was-let-in")
    configure(s3, "was-let-in", queue[1], skip=True)
    policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    s3.put_object(Bucket="was-let-in", Key="later", Body=b"x")
    assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    assert set(heard(server, url, "later")) == {"later"}
    s3.delete_object(Bucket="was-let-in", Key="later")
    s3.delete_bucket(Bucket="was-let-in")
    sqs.delete_queue(QueueUrl=url)


def test_an_export_needs_the_callers_right_too(server: CossetServer, stranger: Any) -> None:
    """A bucket that lets CloudWatch Logs in lets in nobody who asks it."""
    s3, logs = server.client("s3"), stranger("logs")
    s3.create_bucket(Bucket="lets-logs-in")
    statement = {"Effect": "Allow", "Principal": {"Service": "logs.us-east-1.amazonaws.com"}, "Action": "s3:*"}
    resources = ["arn:aws:s3:::lets-logs-in", "arn:aws:s3:::lets-logs-in/*"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Resource": resources}]})
    s3.put_bucket_policy(Bucket="lets-logs-in", Policy=policy)
    logs.create_log_group(logGroupName="strange")
    with pytest.raises(ClientError) as caught:
        logs.create_export_task(logGroupName="strange", **{"from": 0, "to": 1}, destination="lets-logs-in")
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert s3.list_objects_v2(Bucket="lets-logs-in")["KeyCount"] == 0
    s3.delete_bucket(Bucket="lets-logs-in")
