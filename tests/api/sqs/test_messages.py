"""Messages through stock boto3, in both protocols: what goes in comes out, with the digests that clients check."""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from cosset.testing.server import CossetServer

from .conftest import MakeQueue

ATTRIBUTES = {
    "text": {"DataType": "String", "StringValue": "✓ <&> \u00c4"},
    "number.1": {"DataType": "Number.int", "StringValue": "-12.5e3"},
    "bytes": {"DataType": "Binary.gif", "BinaryValue": bytes(range(256))},
}
TRACE = "Root=1-3152b799-8954dae64eda91bc9a23a7e8;Parent=7fa8c0f79203be72;Sampled=1"
BODIES = ["a", "line\nbreak\ttab\r", "<xml>&amp;</xml>", "\U0001f411 lamb", "x" * 262_145, " leading and trailing "]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_what_is_sent_is_received(sqs: Any, make_queue: MakeQueue, body: str) -> None:
    """botocore itself compares the digest of the body."""
    url = make_queue()
    sent = sqs.send_message(QueueUrl=url, MessageBody=body)
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    assert (message["Body"], message["MessageId"]) == (body, sent["MessageId"])
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert "Attributes" not in message
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_attributes_come_whole_and_their_digest_is_of_what_is_shown(sqs: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": TRACE}}
    sent = sqs.send_message(QueueUrl=url, MessageBody="a", MessageAttributes=ATTRIBUTES, MessageSystemAttributes=trace)
    parts = [b"AWSTraceHeader", b"String", TRACE.encode()]
    name, kind, value = (len(part).to_bytes(4, "big") + part for part in parts)
    digest = hashlib.md5(name + kind + b"\x01" + value, usedforsecurity=False).hexdigest()
    assert sent["MD5OfMessageSystemAttributes"] == digest

    def receive(*names: str, system: list[str] | None = None) -> dict[str, Any]:
        (message,) = sqs.receive_message(
            QueueUrl=url, MessageAttributeNames=list(names), AttributeNames=system or [], VisibilityTimeout=0
        )["Messages"]
        return dict(message)

    everything = receive("All", system=["All"])
    assert everything["MessageAttributes"] == ATTRIBUTES
    assert everything["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert everything["Attributes"]["AWSTraceHeader"] == TRACE
    assert set(everything["Attributes"]) == {
        *("SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp"),
        "AWSTraceHeader",
    }
    assert set(receive("te*", "num.*", "byte")["MessageAttributes"]) == {"number.1"}
    assert receive("text")["MD5OfMessageAttributes"] != sent["MD5OfMessageAttributes"]
    assert "MessageAttributes" not in receive("tex")
    assert set(receive(system=["SenderId"])["Attributes"]) == {"SenderId"}


def test_a_batch_answers_for_each_entry(sqs: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    entries = [
        {"Id": "good", "MessageBody": "a", "MessageAttributes": ATTRIBUTES},
        {"Id": "bad-character", "MessageBody": "\x07"},
        {"Id": "bad-delay", "MessageBody": "b", "DelaySeconds": 901},
        {"Id": "also_good", "MessageBody": "c"},
    ]
    if sqs.meta.service_model.protocol == "query":
        entries[1]["MessageBody"] = "\ufffe"
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [each["Id"] for each in answer["Successful"]] == ["good", "also_good"]
    assert [(each["Id"], each["Code"], each["SenderFault"]) for each in answer["Failed"]] == [
        ("bad-character", "InvalidMessageContents", True),
        ("bad-delay", "InvalidParameterValue", True),
    ]
    found: list[Any] = []
    while len(found) < 2:
        found += sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
    handles = [{"Id": message["Body"], "ReceiptHandle": message["ReceiptHandle"]} for message in found]
    changes = [{**each, "VisibilityTimeout": 60} for each in handles]
    changes.append({"Id": "late", "ReceiptHandle": "nonsense", "VisibilityTimeout": 60})
    changes.append({"Id": "long", "ReceiptHandle": handles[0]["ReceiptHandle"], "VisibilityTimeout": 43_201})
    changed = sqs.change_message_visibility_batch(QueueUrl=url, Entries=changes)
    assert {each["Id"] for each in changed["Successful"]} == {"a", "c"}
    assert [(each["Id"], each["Code"]) for each in changed["Failed"]] == [
        ("late", "ReceiptHandleIsInvalid"),
        ("long", "InvalidParameterValue"),
    ]
    deleted = sqs.delete_message_batch(QueueUrl=url, Entries=[*handles, {"Id": "no", "ReceiptHandle": "nonsense"}])
    assert {each["Id"] for each in deleted["Successful"]} == {"a", "c"}
    assert [each["Code"] for each in deleted["Failed"]] == ["ReceiptHandleIsInvalid"]


def test_a_long_poll_returns_with_the_message(server: CossetServer, sqs: Any, make_queue: MakeQueue) -> None:
    url = make_queue(ReceiveMessageWaitTimeSeconds="20")
    other = server.client("sqs")
    sending = threading.Timer(0.3, lambda: other.send_message(QueueUrl=url, MessageBody="late"))
    sending.start()
    try:
        (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    finally:
        sending.join()
    assert message["Body"] == "late"


def test_a_fifo_queue_orders_and_deduplicates(sqs: Any, make_queue: MakeQueue) -> None:
    url = make_queue(".fifo")
    sent = [sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g") for body in ("1", "2", "2", "3")]
    assert sent[1]["MessageId"] == sent[2]["MessageId"]
    assert sent[1]["SequenceNumber"] == sent[2]["SequenceNumber"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    assert [message["Body"] for message in found] == ["1", "2", "3"]
    assert [message["Attributes"]["SequenceNumber"] for message in found] == sorted(
        {each["SequenceNumber"] for each in sent}
    )
    assert {message["Attributes"]["MessageGroupId"] for message in found} == {"g"}
    sqs.send_message(QueueUrl=url, MessageBody="4", MessageGroupId="g")
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_a_queue_is_found_by_every_form_of_its_url(
    server: CossetServer, sqs: Any, make_queue: MakeQueue, arn_of: Callable[[str], str]
) -> None:
    url = make_queue()
    account, name = url.split("/")[-2:]
    assert url == f"{server.endpoint}/{account}/{name}"
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == url
    assert sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"] == url
    for form in (
        url,
        f"https://sqs.{server.region}.amazonaws.com/{account}/{name}",
        f"https://{server.region}.queue.amazonaws.com/{account}/{name}",
        f"http://localhost:4566/{account}/{name}",
        f"http://localhost:4566/queue/{server.region}/{account}/{name}",
        name,
    ):
        answer = server.client("sqs").get_queue_attributes(QueueUrl=form, AttributeNames=["QueueArn"])
        assert answer["Attributes"] == {"QueueArn": arn_of(url)}


def test_messages_go_back_with_a_move_task(sqs: Any, make_queue: MakeQueue, arn_of: Callable[[str], str]) -> None:
    dead, source = make_queue(), make_queue(VisibilityTimeout="0")
    policy = json.dumps({"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": "1"})
    sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": policy})
    sqs.send_message(QueueUrl=source, MessageBody="a")
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [source]
    for _ in range(2):
        sqs.receive_message(QueueUrl=source)
    sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": ""})
    assert "RedrivePolicy" not in sqs.get_queue_attributes(QueueUrl=source, AttributeNames=["All"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": policy})
    sqs.start_message_move_task(SourceArn=arn_of(dead))
    deadline = time.monotonic() + 240
    while (task := sqs.list_message_move_tasks(SourceArn=arn_of(dead))["Results"][0])["Status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 1)
    (message,) = sqs.receive_message(QueueUrl=source, WaitTimeSeconds=5, AttributeNames=["All"])["Messages"]
    assert (message["Body"], message["Attributes"]["ApproximateReceiveCount"]) == ("a", "1")
