"""Topics that trigger functions, and functions that end in topics. Stock boto3 on a live server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cosset.testing.server import CossetServer
from support.queues import make_queue, receive
from support.role import make_role
from support.zip import make_zip

SOURCE = make_zip(
    {
        "index.py": "def handler(event, context):\n"
        "    if event.get('fail'):\n"
        "        raise ValueError('as asked')\n"
        "    return {'got': event}\n"
    }
)


@pytest.fixture(scope="module")
def topic(server: CossetServer) -> Iterator[str]:
    sns = server.client("sns")
    arn = sns.create_topic(Name="triggers")["TopicArn"]
    yield arn
    sns.delete_topic(TopicArn=arn)


@pytest.fixture(scope="module")
def queue(server: CossetServer, topic: str) -> Iterator[tuple[str, str]]:
    sqs = server.client("sqs")
    url, arn = make_queue(sqs, "after-topics", topic)
    yield url, arn
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture(scope="module")
def function(server: CossetServer, queue: tuple[str, str]) -> Iterator[str]:
    """Its ends go to the queue."""
    client = server.client("lambda")
    role = make_role(server, "ends-in-places", "sqs:SendMessage", "sns:Publish", "logs:*")
    created = client.create_function(
        FunctionName="after-topics",
        Runtime="python3.12",
        Role=role,
        Handler="index.handler",
        Code={"ZipFile": SOURCE},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="after-topics")
    client.put_function_event_invoke_config(
        FunctionName="after-topics", DestinationConfig={"OnSuccess": {"Destination": queue[1]}}
    )
    yield created["FunctionArn"]
    client.delete_function(FunctionName="after-topics")


def test_a_function_gets_the_message_as_an_event(
    server: CossetServer, topic: str, function: str, queue: tuple[str, str]
) -> None:
    sns, client = server.client("sns"), server.client("lambda")
    client.add_permission(
        FunctionName=function,
        StatementId="topic",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic,
    )
    subscription = sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function)["SubscriptionArn"]
    # Functions get the first version whatever the topic signs with: test_publish_lambda_verify_signature[2], recorded.
    sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue="2")
    attributes = {"attr": {"DataType": "String", "StringValue": "value"}}
    sent = sns.publish(TopicArn=topic, Message="Hello world.", MessageAttributes=attributes)
    (message,) = receive(server.client("sqs"), queue[0])
    (record,) = json.loads(message["Body"])["requestPayload"]["Records"]
    assert (record["EventSource"], record["EventVersion"]) == ("aws:sns", "1.0")
    assert record["EventSubscriptionArn"] == subscription
    shown = record["Sns"]
    assert shown["MessageId"] == sent["MessageId"]
    assert (shown["Type"], shown["TopicArn"], shown["Subject"]) == ("Notification", topic, None)
    assert shown["Message"] == "Hello world."
    assert shown["MessageAttributes"] == {"attr": {"Type": "String", "Value": "value"}}
    assert {"Signature", "SigningCertUrl", "UnsubscribeUrl", "Timestamp"} <= set(shown)
    assert shown["SignatureVersion"] == "1"
    sns.unsubscribe(SubscriptionArn=subscription)
    client.remove_permission(FunctionName=function, StatementId="topic")
    sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue="1")


def test_a_function_that_does_not_let_the_topic_in_gets_nothing(
    server: CossetServer, topic: str, function: str, queue: tuple[str, str]
) -> None:
    sns, sqs = server.client("sns"), server.client("sqs")
    redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": queue[1]})}
    subscribe = {"TopicArn": topic, "Protocol": "lambda", "Endpoint": function}
    subscription = sns.subscribe(**subscribe, Attributes=redrive)["SubscriptionArn"]
    sns.publish(TopicArn=topic, Message="nobody lets it in")
    (message,) = receive(sqs, queue[0])
    assert json.loads(message["Body"])["Message"] == "nobody lets it in"
    sns.unsubscribe(SubscriptionArn=subscription)


def test_an_event_that_fails_ends_in_a_topic(server: CossetServer, function: str, topic: str, queue: Any) -> None:
    sns, client = server.client("sns"), server.client("lambda")
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue[1])["SubscriptionArn"]
    client.put_function_event_invoke_config(
        FunctionName=function, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": topic}}
    )
    client.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps({"fail": True}))
    (message,) = receive(server.client("sqs"), queue[0])
    record = json.loads(json.loads(message["Body"])["Message"])
    assert record["requestPayload"] == {"fail": True}
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    sns.unsubscribe(SubscriptionArn=subscription)


def test_a_dead_letter_topic_gets_the_event_itself(server: CossetServer, topic: str, queue: tuple[str, str]) -> None:
    sns, client = server.client("sns"), server.client("lambda")
    role = make_role(server, "dies-in-topics", "sns:Publish", "logs:*")
    client.create_function(
        FunctionName="dead-letters",
        Runtime="python3.12",
        Role=role,
        Handler="index.handler",
        Code={"ZipFile": SOURCE},
        DeadLetterConfig={"TargetArn": topic},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="dead-letters")
    client.put_function_event_invoke_config(FunctionName="dead-letters", MaximumRetryAttempts=0)
    raw = {"RawMessageDelivery": "true"}
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue[1], Attributes=raw)["SubscriptionArn"]
    client.invoke(FunctionName="dead-letters", InvocationType="Event", Payload=json.dumps({"fail": 1}))
    (message,) = receive(server.client("sqs"), queue[0])
    assert json.loads(message["Body"]) == {"fail": 1}
    assert message["MessageAttributes"]["ErrorCode"] == {"StringValue": "200", "DataType": "Number"}
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "as asked"
    assert "RequestID" in message["MessageAttributes"]
    sns.unsubscribe(SubscriptionArn=subscription)
    client.delete_function(FunctionName="dead-letters")
