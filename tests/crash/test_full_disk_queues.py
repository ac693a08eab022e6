"""Queues and topics on a full disk: clear refusals, no acknowledged loss, and all of it goes on once there is room."""

import time
from collections.abc import Callable
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.host import tier
from support.queues import make_queue
from support.small_disk import small_disk

SIZE_MB = 64
LEFT_MB = 3
BODY = "x" * 100_000
ONE_TRY = Config(retries={"total_max_attempts": 1}, read_timeout=60)
FULL = "Cosset's disk is full"
PATIENCE_S = 240


def refusal_of(send: Callable[[], Any]) -> str:
    """What was said; empty when it was taken."""
    try:
        send()
    except ClientError as refused:
        return f"{refused.response['ResponseMetadata']['HTTPStatusCode']} {refused}"
    return ""


def until_refused(send: Callable[[str], Any], prefix: str) -> list[str]:
    """The names of those that were acknowledged."""
    for number in range(1_000):
        name = f"{prefix}{number}"
        if refusal := refusal_of(lambda name=name: send(name)):  # type: ignore[misc]
            assert FULL in refusal
            assert refusal[:3] in ("500", "503")
            return [f"{prefix}{each}" for each in range(number)]
    raise AssertionError("the disk never got full")


def take_all(sqs: Any, url: str, wanted: set[str]) -> None:
    """Receives and deletes until all of `wanted` have come."""
    ends_s = time.monotonic() + PATIENCE_S
    while wanted:
        assert time.monotonic() < ends_s, f"lost: {sorted(wanted)[:5]} of {len(wanted)}"
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages", []):
            wanted.discard(message["Body"].partition(" ")[0])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def test_what_was_acknowledged_before_the_disk_was_full_arrives() -> None:
    server = CossetServer(["--tier", tier(), "--min-free-mb", "0"])
    try:
        with small_disk(server.data, SIZE_MB) as disk:
            try:
                server.start()
                sqs, sns = server.client("sqs", config=ONE_TRY), server.client("sns", config=ONE_TRY)
                topic = sns.create_topic(Name="filling")["TopicArn"]
                direct = sqs.create_queue(QueueName="direct")["QueueUrl"]
                fanned, arn = make_queue(sqs, "fanned", topic)
                sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
                disk.fill(leave=LEFT_MB << 20)
                sent = until_refused(lambda name: sqs.send_message(QueueUrl=direct, MessageBody=f"{name} {BODY}"), "s")
                assert len(sqs.list_queues()["QueueUrls"]) == 2  # reading goes on
                disk.free()
                published = [f"p{number}" for number in range(5)]
                for name in published:
                    publish_when_there_is_room(sns, topic, name)
                take_all(sqs, direct, set(sent))
                take_all(sqs, fanned, set(published))
                disk.fill(leave=LEFT_MB << 20)
                more = until_refused(lambda name: sns.publish(TopicArn=topic, Message=f"{name} {BODY}"), "q")
                server.kill9()
                server.start()
                disk.free()
                take_all(server.client("sqs"), fanned, set(more))
                assert "Traceback" not in server.log()
            finally:
                server.stop()
    finally:
        server.close()


def publish_when_there_is_room(sns: Any, topic: str, name: str) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while refusal := refusal_of(lambda: sns.publish(TopicArn=topic, Message=name)):
        assert FULL in refusal
        assert time.monotonic() < ends_s
        time.sleep(0.1)
