"""Who may do what with a queue: identity policies, the queue's own policy, other accounts, nobody at all."""

import configparser
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.command import cosset


class Stranger:
    """A new user without a policy, or the administrator of another account."""

    def __init__(self, server: CossetServer, key_id: str, secret: str, arn: str) -> None:
        self.arn = arn
        session = boto3.Session(key_id, secret, region_name=server.region)
        self.sqs = session.client("sqs", endpoint_url=server.endpoint)


@pytest.fixture(scope="module")
def user(server: CossetServer) -> Iterator[Stranger]:
    iam, name = server.client("iam"), f"queues-{uuid.uuid4().hex[:8]}"
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield Stranger(server, key["AccessKeyId"], key["SecretAccessKey"], arn)
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=name)


@pytest.fixture(scope="module")
def foreigner(server: CossetServer) -> Stranger:
    done = cosset(server, "account", "add", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    parser = configparser.RawConfigParser()
    parser.read(server.data / "aws" / "credentials", encoding="utf-8")
    keys = parser[said["profile"]]
    return Stranger(
        server,
        keys["aws_access_key_id"],
        keys["aws_secret_access_key"],
        f"arn:aws:iam::{said['account']}:root",
    )


@pytest.fixture
def queue(server: CossetServer) -> Iterator[str]:
    client = server.client("sqs")
    url = client.create_queue(QueueName=f"guarded-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    yield url
    client.delete_queue(QueueUrl=url)


def arn_of(server: CossetServer, url: str) -> str:
    return f"arn:aws:sqs:{server.region}:{server.account}:{url.rpartition('/')[2]}"


def let(server: CossetServer, url: str, *statements: dict[str, Any]) -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Resource": arn_of(server, url), **each} for each in statements],
    }
    server.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})


def refused(call: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**params)
    answer = error.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("AccessDenied", 403)
    return str(answer["Error"]["Message"])


def every_call(sqs: Any, url: str, arn: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Every operation on a queue: the action that IAM is asked for, the call, its parameters."""
    entry = {"Id": "a", "ReceiptHandle": "x"}
    yield "sendmessage", sqs.send_message, {"MessageBody": "a"}
    yield "sendmessage", sqs.send_message_batch, {"Entries": [{"Id": "a", "MessageBody": "a"}]}
    yield "receivemessage", sqs.receive_message, {}
    yield "deletemessage", sqs.delete_message, {"ReceiptHandle": "x"}
    yield "deletemessage", sqs.delete_message_batch, {"Entries": [entry]}
    yield "changemessagevisibility", sqs.change_message_visibility, {"ReceiptHandle": "x", "VisibilityTimeout": 1}
    yield "changemessagevisibility", sqs.change_message_visibility_batch, {"Entries": [entry]}
    yield "getqueueattributes", sqs.get_queue_attributes, {}
    yield "setqueueattributes", sqs.set_queue_attributes, {"Attributes": {"DelaySeconds": "1"}}
    yield "purgequeue", sqs.purge_queue, {}
    yield "deletequeue", sqs.delete_queue, {}
    yield "tagqueue", sqs.tag_queue, {"Tags": {"a": "b"}}
    yield "untagqueue", sqs.untag_queue, {"TagKeys": ["a"]}
    yield "listqueuetags", sqs.list_queue_tags, {}
    yield "listdeadlettersourcequeues", sqs.list_dead_letter_source_queues, {}
    yield "removepermission", sqs.remove_permission, {"Label": "a"}
    yield "addpermission", sqs.add_permission, {"Label": "a", "AWSAccountIds": ["1" * 12], "Actions": ["*"]}


@pytest.mark.parametrize("who", ["user", "foreigner"])
def test_nobody_does_anything_unasked(
    server: CossetServer, queue: str, who: str, request: pytest.FixtureRequest
) -> None:
    stranger, arn = request.getfixturevalue(who), arn_of(server, queue)
    for action, call, params in every_call(stranger.sqs, queue, arn):
        sentence = refused(call, QueueUrl=queue, **params)
        assert f"is not authorized to perform: sqs:{action} on resource: {arn} because no " in sentence
        assert sentence.endswith(f"policy allows the sqs:{action} action")
    for operation in ("start_message_move_task", "list_message_move_tasks"):
        refused(getattr(stranger.sqs, operation), SourceArn=arn)
    name = queue.rpartition("/")[2]
    refused(stranger.sqs.get_queue_url, QueueName=name, QueueOwnerAWSAccountId=server.account)
    attributes = server.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert (attributes["DelaySeconds"], attributes["ApproximateNumberOfMessages"]) == ("0", "0")


def test_a_queues_policy_lets_in_whom_it_names_and_takes_back_at_once(
    server: CossetServer, queue: str, user: Stranger, foreigner: Stranger
) -> None:
    for stranger in (user, foreigner):
        let(server, queue, {"Principal": {"AWS": stranger.arn}, "Action": ["sqs:SendMessage", "SQS:ReceiveMessage"]})
        stranger.sqs.send_message(QueueUrl=queue, MessageBody="let in")
        (message,) = stranger.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
        refused(stranger.sqs.delete_message, QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        server.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        let(server, queue, {"Principal": {"AWS": server.account}, "Action": "sqs:*"})
        refused(stranger.sqs.send_message, QueueUrl=queue, MessageBody="no more")


def test_a_deny_on_the_queue_wins_over_its_administrator(server: CossetServer, queue: str) -> None:
    client = server.client("sqs")
    let(server, queue, {"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage"})
    assert "explicit deny" in refused(client.send_message, QueueUrl=queue, MessageBody="a")
    client.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    client.send_message(QueueUrl=queue, MessageBody="a")


def test_a_permission_added_by_label_is_one(server: CossetServer, queue: str, foreigner: Stranger) -> None:
    account = foreigner.arn.split(":")[4]
    client = server.client("sqs")
    client.add_permission(QueueUrl=queue, Label="senders", AWSAccountIds=[account], Actions=["SendMessage"])
    foreigner.sqs.send_message(QueueUrl=queue, MessageBody="a")
    refused(foreigner.sqs.receive_message, QueueUrl=queue)
    client.remove_permission(QueueUrl=queue, Label="senders")
    refused(foreigner.sqs.send_message, QueueUrl=queue, MessageBody="a")


def test_queues_of_other_accounts_are_neither_listed_nor_told_apart(
    server: CossetServer, queue: str, foreigner: Stranger
) -> None:
    assert "QueueUrls" not in foreigner.sqs.list_queues()
    name = queue.rpartition("/")[2]
    there = refused(foreigner.sqs.send_message, QueueUrl=queue, MessageBody="a")
    missing = refused(foreigner.sqs.send_message, QueueUrl=f"{queue}-none", MessageBody="a")
    assert there.replace(name, "") == missing.replace(f"{name}-none", "")
    own = foreigner.sqs.create_queue(QueueName=name)["QueueUrl"]
    assert own != queue
    foreigner.sqs.delete_queue(QueueUrl=own)


def test_without_a_signature_there_is_no_queue(server: CossetServer, queue: str) -> None:
    form, amz = "application/x-www-form-urlencoded", "application/x-amz-json-1.0"
    for url, body, headers in (
        (f"{queue}?Action=ReceiveMessage", None, {}),
        (queue, b"Action=SendMessage&MessageBody=a", {"Content-Type": form}),
        (
            server.endpoint,
            b"{}",
            {"X-Amz-Target": "AmazonSQS.ListQueues", "Content-Type": amz},
        ),
    ):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60)
        with error.value:
            assert error.value.code in (400, 403)
            assert b"MissingAuthenticationToken" in error.value.read()
