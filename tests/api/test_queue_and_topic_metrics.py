"""What CloudWatch is told of queues and topics. Stock boto3 on a live server."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from cosset.testing.server import CossetServer
from support.queues import make_queue, receive

PATIENCE_S = 240


def total(server: CossetServer, namespace: str, name: str, dimension: str, value: str) -> float:
    """The sum of the last hour."""
    now = datetime.now(UTC)
    answer = server.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": dimension, "Value": value}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=2),
        Period=3600,
        Statistics=["Sum"],
    )
    return float(sum(each["Sum"] for each in answer["Datapoints"]))


def wait_for(expected: dict[str, float], found: Any) -> None:
    """Measurements are written within a second or so."""
    ends_s = time.monotonic() + PATIENCE_S
    while (seen := {name: found(name) for name in expected}) != expected:
        assert time.monotonic() < ends_s, seen
        time.sleep(0.2)


def test_what_goes_through_a_queue_is_counted(server: CossetServer) -> None:
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="measured")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="12345")
    entries = [{"Id": each, "MessageBody": "67"} for each in "ab"]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)
    receive(sqs, url, 3)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    expected = {
        "NumberOfMessagesSent": 3.0,
        "SentMessageSize": 9.0,
        "NumberOfMessagesReceived": 3.0,
        "NumberOfMessagesDeleted": 3.0,
    }
    wait_for(expected, lambda name: total(server, "AWS/SQS", name, "QueueName", "measured"))
    assert total(server, "AWS/SQS", "NumberOfEmptyReceives", "QueueName", "measured") >= 1
    sqs.delete_queue(QueueUrl=url)


def test_what_a_topic_delivers_is_counted(server: CossetServer) -> None:
    sns, sqs = server.client("sns"), server.client("sqs")
    topic = sns.create_topic(Name="measured")["TopicArn"]
    url, queue = make_queue(sqs, "measured-by-topic", topic)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    region, account = topic.split(":")[3:5]
    nowhere = f"arn:aws:sqs:{region}:{account}:nowhere"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=nowhere)
    picky = sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=f"{nowhere}-else",
        Attributes={"FilterPolicy": json.dumps({"kind": ["rare"]})},
    )
    assert picky["SubscriptionArn"]
    sns.publish(TopicArn=topic, Message="12345")
    receive(sqs, url)
    expected = {
        "NumberOfMessagesPublished": 1.0,
        "PublishSize": 5.0,
        "NumberOfNotificationsDelivered": 1.0,
        "NumberOfNotificationsFailed": 1.0,
        "NumberOfNotificationsFilteredOut": 1.0,
    }
    wait_for(expected, lambda name: total(server, "AWS/SNS", name, "TopicName", "measured"))
    sns.delete_topic(TopicArn=topic)
    sqs.delete_queue(QueueUrl=url)
