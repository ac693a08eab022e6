"""What is another account's stays shut to whoever may do everything in its own."""

import json
import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.command import cosset


@pytest.fixture(scope="module")
def stranger(server: CossetServer) -> Any:
    """The administrator of another account."""
    made = json.loads(cosset(server, "account", "add", "--no-profile", "--json").stdout)
    session = boto3.Session(made["access_key_id"], made["secret_access_key"], region_name=server.region)
    return lambda service: session.client(service, endpoint_url=server.endpoint)


def is_refused(call: Any, **params: Any) -> bool:
    with pytest.raises(ClientError) as caught:
        call(**params)
    status = caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return status == 403 or caught.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")


def test_buckets(server: CossetServer, stranger: Any) -> None:
    """Their ARNs name no account: whose they are must be looked up."""
    name = f"apart-{uuid.uuid4().hex[:12]}"
    mine, theirs = server.client("s3"), stranger("s3")
    mine.create_bucket(Bucket=name)
    mine.put_object(Bucket=name, Key="k", Body=b"mine")
    for call, params in (
        (theirs.get_object, {"Key": "k"}),
        (theirs.head_object, {"Key": "k"}),
        (theirs.put_object, {"Key": "k", "Body": b"theirs"}),
        (theirs.delete_object, {"Key": "k"}),
        (theirs.list_objects_v2, {}),
        (theirs.head_bucket, {}),
        (theirs.get_bucket_location, {}),
        (theirs.delete_bucket, {}),
    ):
        assert is_refused(call, Bucket=name, **params)
    (refused,) = theirs.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "k"}]})["Errors"]
    assert refused["Code"] == "AccessDenied"
    assert theirs.list_buckets()["Buckets"] == []
    assert mine.get_object(Bucket=name, Key="k")["Body"].read() == b"mine"
    mine.delete_object(Bucket=name, Key="k")
    mine.delete_bucket(Bucket=name)


def test_queues_and_topics(server: CossetServer, stranger: Any) -> None:
    name = f"apart-{uuid.uuid4().hex[:12]}"
    url = server.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    topic = server.client("sns").create_topic(Name=name)["TopicArn"]
    queues, topics = stranger("sqs"), stranger("sns")
    assert is_refused(queues.send_message, QueueUrl=url, MessageBody="x")
    assert is_refused(queues.receive_message, QueueUrl=url)
    assert is_refused(queues.delete_queue, QueueUrl=url)
    assert is_refused(topics.publish, TopicArn=topic, Message="x")
    assert is_refused(topics.delete_topic, TopicArn=topic)
    assert "QueueUrls" not in queues.list_queues()
    assert topics.list_topics()["Topics"] == []
    server.client("sqs").delete_queue(QueueUrl=url)
    server.client("sns").delete_topic(TopicArn=topic)
