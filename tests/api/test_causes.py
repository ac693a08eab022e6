"""What caused what, on a live server: bucket to topic to queue to function to function, as one tree; map; replay."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from cosset.cli.failure import Failure
from cosset.cli.own import call_own
from cosset.testing.server import CossetServer
from support.command import cosset
from support.queues import make_queue
from support.role import make_role
from support.zip import make_zip

SOURCE = make_zip(
    {
        "index.py": "import json, os, boto3\n"
        "def handler(event, context):\n"
        "    after = os.environ.get('AFTER')\n"
        "    if after:\n"
        "        boto3.client('lambda').invoke(FunctionName=after, InvocationType='Event', Payload='{\"n\": 1}')\n"
        "    return {'version': context.function_version, 'event': event}\n"
    }
)
WITHIN_S = 240


@dataclass(frozen=True)
class Chain:
    """A bucket that tells a topic, which a queue hears, which triggers `first`, which invokes `last`."""

    bucket: str
    topic: str
    queue: str
    first: str
    last: str


@pytest.fixture(scope="module")
def chain(server: CossetServer) -> Iterator[Chain]:
    sns, sqs, functions, s3 = (server.client(name) for name in ("sns", "sqs", "lambda", "s3"))
    topic = sns.create_topic(Name="causes")["TopicArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    url, queue = make_queue(sqs, "causes", topic)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    role = make_role(server, "causes", "lambda:InvokeFunction", "sqs:*", "logs:*")
    arns = {}
    for name, variables in (("causes-last", {}), ("causes-first", {"AFTER": "causes-last"})):
        arns[name] = functions.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=role,
            Handler="index.handler",
            Code={"ZipFile": SOURCE},
            Environment={"Variables": variables},
            Timeout=30,
        )["FunctionArn"]
        functions.get_waiter("function_active_v2").wait(FunctionName=name)
    mapping = functions.create_event_source_mapping(EventSourceArn=queue, FunctionName="causes-first")["UUID"]
    s3.create_bucket(Bucket="causes")
    rule = {"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="causes", NotificationConfiguration={"TopicConfigurations": [rule]}, SkipDestinationValidation=True
    )
    yield Chain("causes", topic, queue, arns["causes-first"], arns["causes-last"])
    functions.delete_event_source_mapping(UUID=mapping)
    s3.put_bucket_notification_configuration(Bucket="causes", NotificationConfiguration={})
    for name in arns:
        functions.delete_function(FunctionName=name)
    sns.delete_topic(TopicArn=topic)
    sqs.delete_queue(QueueUrl=url)


def steps_of(server: CossetServer, id_: str, is_whole: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The tree around it, once it is whole."""
    until = time.monotonic() + WITHIN_S
    steps: list[dict[str, Any]] = []
    while time.monotonic() < until:
        with suppress(Failure):  # nothing is on record yet
            steps = call_own(server.data, "GetTrace", id=id_)["steps"]
            if is_whole(steps):
                return steps
        time.sleep(0.2)
    raise AssertionError(f"the tree did not become whole: {json.dumps(steps, indent=1)}")


def runs(steps: list[dict[str, Any]], function: str) -> list[dict[str, Any]]:
    return [step for step in steps if step["kind"] == "invocation" and step["resource"] == function]


def test_one_tree_from_the_upload_to_the_last_function(server: CossetServer, chain: Chain) -> None:
    server.client("s3").put_object(Bucket=chain.bucket, Key="a picture.jpg", Body=b"x")
    steps = steps_of(server, f"{chain.bucket}/a picture.jpg", lambda steps: bool(runs(steps, chain.last)))
    told = [(step["depth"], step["kind"], step["resource"]) for step in steps]
    assert told == [
        (0, "call", f"arn:aws:s3:::{chain.bucket}/a picture.jpg"),
        (1, "object", f"arn:aws:s3:::{chain.bucket}/a picture.jpg"),
        (2, "topic-message", chain.topic),
        (3, "message", chain.queue),
        (4, "invocation", chain.first),
        (5, "invocation", chain.last),
    ]
    assert [step["kind"] for step in steps if step.get("asked")] == ["object"]
    (last,) = runs(steps, chain.last)
    shown = cosset(server, "trace", last["id"]).stdout.splitlines()
    assert len(shown) == len(steps)
    assert shown[-1].startswith(">")
    assert "causes-last" in shown[-1]


def test_the_tree_of_a_message_and_of_a_trace(server: CossetServer, chain: Chain) -> None:
    sqs = server.client("sqs")
    url = sqs.get_queue_url(QueueName="causes")["QueueUrl"]
    sent = sqs.send_message(QueueUrl=url, MessageBody="hello")["MessageId"]
    steps = steps_of(server, sent, lambda steps: bool(runs(steps, chain.last)))
    assert [step["kind"] for step in steps] == ["call", "message", "invocation", "invocation"]
    root = runs(steps, chain.last)[0]["trace_id"]
    again = steps_of(server, root, lambda _: True)
    assert [step["id"] for step in again] == [step["id"] for step in steps][-len(again) :]


def test_the_map_counts_and_shows_what_is_silent(server: CossetServer, chain: Chain) -> None:
    server.client("s3").put_object(Bucket=chain.bucket, Key="for-the-map", Body=b"x")
    steps_of(server, f"{chain.bucket}/for-the-map", lambda steps: bool(runs(steps, chain.last)))
    silent = server.client("sns").create_topic(Name="silent")["TopicArn"]
    server.client("sns").subscribe(TopicArn=silent, Protocol="sqs", Endpoint=chain.queue)
    edges = {(each["source"], each["target"]): each for each in call_own(server.data, "GetMap", since_s=3600)["edges"]}
    for source, target in (
        (f"arn:aws:s3:::{chain.bucket}", chain.topic),
        (chain.topic, chain.queue),
        (chain.queue, chain.first),
        (chain.first, chain.last),
    ):
        assert edges[source, target]["count"] >= 1, (source, target)
    assert edges[chain.queue, chain.first]["means"] == "event source mapping"
    assert edges[silent, chain.queue]["count"] == 0
    assert edges[silent, chain.queue]["configured"]
    assert "silent" in cosset(server, "map").stdout
    assert cosset(server, "map", "--mermaid").stdout.startswith("flowchart LR")
    assert cosset(server, "map", "--dot").stdout.startswith("digraph")
    server.client("sns").delete_topic(TopicArn=silent)


def test_an_event_runs_again_on_another_version(server: CossetServer, chain: Chain) -> None:
    functions = server.client("lambda")
    first = functions.invoke(FunctionName="causes-last", Payload=json.dumps({"odd": "\u00e9\u2028"}))
    request_id = first["ResponseMetadata"]["RequestId"]
    version = functions.publish_version(FunctionName="causes-last")["Version"]
    again = cosset(server, "replay", request_id, "--function", f"causes-last:{version}")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == {"version": version, "event": {"odd": "\u00e9\u2028"}}
    steps = steps_of(server, request_id, lambda steps: len(steps) > 1)
    assert [(step["depth"], step["name"]) for step in steps] == [(0, "$LATEST"), (1, version)]


def test_a_function_that_opts_out_has_no_events_kept(server: CossetServer, chain: Chain) -> None:
    functions = server.client("lambda")
    functions.tag_resource(Resource=chain.last, Tags={"cosset:record": "off"})
    request_id = functions.invoke(FunctionName="causes-last", Payload=b"{}")["ResponseMetadata"]["RequestId"]
    functions.untag_resource(Resource=chain.last, TagKeys=["cosset:record"])
    refused = cosset(server, "replay", request_id)
    assert refused.returncode != 0
    assert f"No event of request {request_id} is kept: its function keeps none" in refused.stderr
    assert chain.last in refused.stderr
    assert steps_of(server, request_id, lambda _: True)


def test_a_queued_event_runs_again_on_another_function_when_its_own_is_gone(server: CossetServer, chain: Chain) -> None:
    functions = server.client("lambda")
    functions.create_function(
        FunctionName="gone",
        Runtime="python3.12",
        Role=make_role(server, "gone", "logs:*"),
        Handler="index.handler",
        Code={"ZipFile": SOURCE},
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="gone")
    # All that a byte may be in JSON, more of it than fits into one line of a terminal.
    payload = json.dumps({"text": "\x7f\u00ff\u2028\ud83d\ude00" * 2_000}, ensure_ascii=True).encode()
    queued = functions.invoke(FunctionName="gone", InvocationType="Event", Payload=payload)
    queued["Payload"].read()
    request_id = queued["ResponseMetadata"]["RequestId"]
    steps_of(server, request_id, lambda steps: bool(steps))
    functions.delete_function(FunctionName="gone")
    refused = cosset(server, "replay", request_id)
    assert refused.returncode == 1
    assert "Function not found" in refused.stderr
    assert "--function NAME" in refused.stderr
    again = cosset(server, "replay", request_id, "--function", chain.last)
    assert json.loads(again.stdout)["event"] == json.loads(payload)
    async_again = cosset(server, "replay", request_id, "--function", "causes-last", "--async", "--json")
    assert json.loads(async_again.stdout)["status"] == 202
    steps = steps_of(server, request_id, lambda steps: len(steps) == 3)
    assert [(step["depth"], step["resource"]) for step in steps[1:]] == [(1, chain.last)] * 2


def test_what_cannot_be_replayed_says_why(server: CossetServer, chain: Chain) -> None:
    functions, sqs = server.client("lambda"), server.client("sqs")
    large = functions.invoke(FunctionName="causes-last", Payload=json.dumps("x" * 300_000))
    large["Payload"].read()
    message = sqs.send_message(QueueUrl=sqs.create_queue(QueueName="no-event")["QueueUrl"], MessageBody="x")
    for id_, why in (
        (large["ResponseMetadata"]["RequestId"], "it has 300002 bytes, more than are kept (setting event_kb)"),
        (message["MessageId"], "it is no invocation but a message"),
        (str(uuid4()), "nothing with this id is on record here"),
    ):
        with pytest.raises(Failure, match=re.escape(why)):
            call_own(server.data, "GetRecordedEvent", request_id=id_)


SILENT_SDK = make_zip(
    {
        "index.py": "import boto3\n"
        "def strip(request, **_):\n"
        "    del request.headers['X-Amzn-Trace-Id']\n"
        "def handler(event, context):\n"
        "    client = boto3.client('sqs')\n"
        "    client.meta.events.register_last('before-send.sqs.SendMessage', strip)\n"
        "    return client.send_message(QueueUrl=event['url'], MessageBody='x')['MessageId']\n"
    }
)


def test_calls_of_an_sdk_that_passes_nothing_on_are_linked(server: CossetServer) -> None:
    functions, url = server.client("lambda"), server.client("sqs").create_queue(QueueName="unlinked")["QueueUrl"]
    functions.create_function(
        FunctionName="silent-sdk",
        Runtime="python3.12",
        Role=make_role(server, "silent-sdk", "sqs:*", "logs:*"),
        Handler="index.handler",
        Code={"ZipFile": SILENT_SDK},
        Timeout=30,
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="silent-sdk")
    answer = functions.invoke(FunctionName="silent-sdk", Payload=json.dumps({"url": url}))
    message = json.loads(answer["Payload"].read())
    steps = steps_of(server, message, lambda steps: len(steps) == 3)
    assert [(step["depth"], step["kind"]) for step in steps] == [(0, "invocation"), (1, "call"), (2, "message")]
    assert steps[0]["id"] == answer["ResponseMetadata"]["RequestId"]
    functions.delete_function(FunctionName="silent-sdk")


def test_what_is_not_on_record_is_said_so(server: CossetServer) -> None:
    told = cosset(server, "trace", str(uuid4()))
    assert told.returncode != 0
    assert "Nothing is on record" in told.stderr
