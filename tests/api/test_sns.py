"""SNS through stock boto3: topics, subscriptions, and what arrives in queues, functions and at HTTP endpoints."""

import base64
import hashlib
import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from cosset.observe.causes import StepKind, key_of
from cosset.testing.server import CossetServer
from support.command import cosset
from support.http_endpoint import HttpEndpoint
from support.patience import until
from support.queues import make_queue, receive

NESTED = "Filter policy scope MessageAttributes does not support nested filter policy"
COMPLEX = {"key_a": ["a"] * 8, "key_b": ["b"] * 10, "key_c": ["c"] * 2}


@pytest.fixture
def sns(server: CossetServer) -> Any:
    return server.client("sns")


@pytest.fixture
def sqs(server: CossetServer) -> Any:
    return server.client("sqs")


@pytest.fixture
def topic(sns: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    arn = sns.create_topic(Name=name_of(request))["TopicArn"]
    yield arn
    sns.delete_topic(TopicArn=arn)


@pytest.fixture
def queue(sqs: Any, topic: str, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    url, arn = make_queue(sqs, name_of(request), topic)
    yield url, arn
    sqs.delete_queue(QueueUrl=url)


def name_of(request: pytest.FixtureRequest) -> str:
    return "".join(each if each.isalnum() else "-" for each in request.node.name)[:60]


def refusal(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_topic_is_made_shown_and_deleted(sns: Any) -> None:
    arn = sns.create_topic(Name="shown", Attributes={"DisplayName": "Shown"})["TopicArn"]
    assert sns.create_topic(Name="shown")["TopicArn"] == arn
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert attributes["DisplayName"] == "Shown"
    assert attributes["SubscriptionsConfirmed"] == attributes["SubscriptionsPending"] == "0"
    retry = json.loads(attributes["EffectiveDeliveryPolicy"])["http"]["defaultHealthyRetryPolicy"]
    assert retry["numRetries"] == 3
    assert json.loads(attributes["Policy"])["Statement"][0]["Sid"] == "__default_statement_ID"
    assert "FifoTopic" not in attributes
    assert {"TopicArn": arn} in sns.list_topics()["Topics"]
    sns.delete_topic(TopicArn=arn)
    sns.delete_topic(TopicArn=arn)
    with pytest.raises(ClientError) as caught:
        sns.get_topic_attributes(TopicArn=arn)
    assert refusal(caught) == ("NotFound", "Topic does not exist")


@pytest.mark.parametrize("name", ["", "a" * 257, "with space", "with.dot", "ends.fifo", "é"])
def test_a_topic_has_a_proper_name(sns: Any, name: str) -> None:
    with pytest.raises(ClientError) as caught:
        sns.create_topic(Name=name)
    assert refusal(caught) == ("InvalidParameter", "Invalid parameter: Topic Name")


def test_a_topic_is_not_made_again_with_other_attributes(sns: Any, topic: str) -> None:
    with pytest.raises(ClientError) as caught:
        sns.create_topic(Name=topic.rpartition(":")[2], Attributes={"DisplayName": "another"})
    assert refusal(caught)[1] == "Invalid parameter: Attributes Reason: Topic already exists with different attributes"


def test_a_topic_is_made_again_with_some_of_its_tags(sns: Any, topic: str) -> None:
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    name = topic.rpartition(":")[2]
    for tags in ([], [{"Key": "a", "Value": "1"}]):
        assert sns.create_topic(Name=name, Tags=tags)["TopicArn"] == topic
    for tags in ([{"Key": "a", "Value": "2"}], [{"Key": "c", "Value": "3"}]):
        with pytest.raises(ClientError) as caught:
            sns.create_topic(Name=name, Tags=tags)
        assert refusal(caught)[1] == "Invalid parameter: Tags Reason: Topic already exists with different tags"


@pytest.mark.parametrize(("arn", "elements"), [("", 1), ("x", 1), ("a:b", 2), ("arn:aws:sns:us-east-1:1", 5)])
def test_what_is_no_arn_is_said_to_be_none(sns: Any, arn: str, elements: int) -> None:
    sentence = f"Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not {elements}"
    for call in (sns.get_topic_attributes, sns.delete_topic, lambda TopicArn: sns.publish(TopicArn=arn, Message="m")):
        with pytest.raises(ClientError) as caught:
            call(TopicArn=arn)
        assert refusal(caught) == ("InvalidParameter", sentence)


def test_tags(sns: Any, topic: str) -> None:
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "k1", "Value": "v1"}, {"Key": "k2", "Value": "v2"}])
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "k2", "Value": "v2b"}])
    sns.untag_resource(ResourceArn=topic, TagKeys=["k1"])
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "k2", "Value": "v2b"}]
    with pytest.raises(ClientError) as caught:
        sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}])
    assert refusal(caught)[1] == "Invalid parameter: Duplicated keys are not allowed."


def test_a_permission_is_a_statement_of_the_policy(sns: Any, topic: str) -> None:
    sns.add_permission(TopicArn=topic, Label="test", AWSAccountId=["111111111111"], ActionName=["Publish"])
    statements = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])["Statement"]
    assert statements[1] == {
        "Sid": "test",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
        "Action": "SNS:Publish",
        "Resource": topic,
    }
    sns.remove_permission(TopicArn=topic, Label="test")
    assert len(json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])["Statement"]) == 1


def test_a_queue_gets_the_message_in_an_envelope(sns: Any, sqs: Any, topic: str, queue: tuple[str, str]) -> None:
    url, arn = queue
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    attributes = {"attr1": {"DataType": "Number", "StringValue": "99.12"}}
    sent = sns.publish(TopicArn=topic, Message='öÿ "text"', Subject="A subject", MessageAttributes=attributes)
    (message,) = receive(sqs, url)
    body = json.loads(message["Body"])
    assert list(body) == [
        *("Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature"),
        *("SigningCertURL", "UnsubscribeURL", "MessageAttributes"),
    ]
    assert (body["Type"], body["MessageId"], body["TopicArn"]) == ("Notification", sent["MessageId"], topic)
    assert (body["Subject"], body["Message"]) == ("A subject", 'öÿ "text"')
    assert body["MessageAttributes"] == {"attr1": {"Type": "Number", "Value": "99.12"}}
    assert body["UnsubscribeURL"].endswith(f"/?Action=Unsubscribe&SubscriptionArn={subscription}")
    assert "MessageAttributes" not in message


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_signature_of_a_message_verifies(
    sns: Any, sqs: Any, topic: str, queue: tuple[str, str], version: str
) -> None:
    sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue=version)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue[1])
    sns.publish(TopicArn=topic, Message="signed", Subject="s")
    body = json.loads(receive(sqs, queue[0])[0]["Body"])
    assert body["SignatureVersion"] == version
    with urllib.request.urlopen(body["SigningCertURL"]) as answer:
        certificate = x509.load_pem_x509_certificate(answer.read())
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    text = "".join(f"{name}\n{body[name]}\n" for name in names)
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
    key: Any = certificate.public_key()
    key.verify(base64.b64decode(body["Signature"]), text.encode(), padding.PKCS1v15(), algorithm)


def test_a_queue_may_want_the_bare_message(sns: Any, sqs: Any, topic: str, queue: tuple[str, str]) -> None:
    raw = {"RawMessageDelivery": "true"}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue[1], Attributes=raw)
    binary = {"DataType": "Binary", "BinaryValue": b"\x02\x03\x04"}
    sns.publish(TopicArn=topic, Message="bare", MessageAttributes={"store": binary})
    (message,) = receive(sqs, queue[0])
    assert message["Body"] == "bare"
    assert message["MessageAttributes"] == {"store": {"BinaryValue": b"\x02\x03\x04", "DataType": "Binary"}}


def test_a_queue_that_does_not_let_the_topic_in_gets_nothing(
    sns: Any, sqs: Any, topic: str, queue: tuple[str, str], request: pytest.FixtureRequest
) -> None:
    """What it did not take goes to the dead-letter queue of the subscription."""
    dead_url, dead_arn = make_queue(sqs, name_of(request) + "-dead", topic)
    sqs.set_queue_attributes(QueueUrl=queue[0], Attributes={"Policy": ""})
    redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn})}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue[1], Attributes=redrive)
    sns.publish(TopicArn=topic, Message="lost?")
    (message,) = receive(sqs, dead_url)
    assert json.loads(message["Body"])["Message"] == "lost?"
    assert "Messages" not in sqs.receive_message(QueueUrl=queue[0])
    sqs.delete_queue(QueueUrl=dead_url)


def test_a_filter_on_attributes(sns: Any, sqs: Any, topic: str, queue: tuple[str, str]) -> None:
    policy = {"attr1": [{"numeric": [">", 0, "<=", 100]}]}
    given = {"FilterPolicy": json.dumps(policy), "RawMessageDelivery": "true"}
    arn = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue[1], Attributes=given)["SubscriptionArn"]
    for number in ("99.12", "111.12", "0", "1"):
        attribute = {"DataType": "Number", "StringValue": number}
        sns.publish(TopicArn=topic, Message=number, MessageAttributes={"attr1": attribute})
    sns.publish(TopicArn=topic, Message="without")
    assert sorted(message["Body"] for message in receive(sqs, queue[0], 2)) == ["1", "99.12"]
    shown = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert shown["FilterPolicyScope"] == "MessageAttributes"
    assert json.loads(shown["FilterPolicy"]) == policy


def test_a_filter_on_the_body(sns: Any, sqs: Any, topic: str, queue: tuple[str, str]) -> None:
    policy = {"object": {"key": [{"prefix": "auto-"}]}}
    given = {
        "FilterPolicy": json.dumps(policy),
        "FilterPolicyScope": "MessageBody",
        "RawMessageDelivery": "true",
    }
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue[1], Attributes=given)
    wanted = json.dumps({"object": {"key": "auto-1"}})
    for text in (json.dumps({"object": {"key": "manual"}}), "no json", "[]", wanted):
        sns.publish(TopicArn=topic, Message=text)
    assert [message["Body"] for message in receive(sqs, queue[0])] == [wanted]


@pytest.mark.parametrize(
    ("policy", "scope", "sentence"),
    [
        ({"a": {"b": ["c"]}}, "MessageAttributes", NESTED),
        ({key: ["x"] for key in "abcdef"}, "MessageBody", "FilterPolicy: Filter policy can not have more than 5 keys"),
        (COMPLEX, "MessageAttributes", "FilterPolicy: Filter policy is too complex"),
    ],
)
def test_a_filter_policy_has_limits(
    sns: Any, topic: str, queue: tuple[str, str], policy: Any, scope: str, sentence: str
) -> None:
    given = {"FilterPolicy": json.dumps(policy), "FilterPolicyScope": scope}
    with pytest.raises(ClientError) as caught:
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue[1], Attributes=given)
    opening = "" if sentence.startswith("Filter policy") else "Attributes Reason: "
    assert refusal(caught) == ("InvalidParameter", f"Invalid parameter: {opening}{sentence}")


def test_a_filter_policy_is_json(sns: Any, topic: str, queue: tuple[str, str]) -> None:
    """Recorded: test_subscribe_invalid_filter_policy."""
    with pytest.raises(ClientError) as caught:
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue[1], Attributes={"FilterPolicy": "invalid"})
    assert refusal(caught)[1] == (
        "Invalid parameter: Attributes Reason: FilterPolicy: failed to parse JSON. Unrecognized token 'invalid': was "
        "expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at [Source: REDACTED "
        "(`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 8]"
    )


BAD_ATTRIBUTES = [
    ("Fake", "x", "AttributeName"),
    ("RawMessageDelivery", "x", "RawMessageDelivery: Invalid value [x]. Must be true or false."),
    ("FilterPolicyScope", "x", "FilterPolicyScope: Invalid value [x]. Please use either MessageBody or "),
    ("FilterPolicy", "{no}", "FilterPolicy: failed to parse JSON. Unexpected character ('n' (code 110)): was "),
    ("RedrivePolicy", "{no}", "RedrivePolicy: failed to parse JSON. Unexpected character ('n' (code 110)): was "),
    ("RedrivePolicy", '{"deadLetterTargetArn":"x"}', "RedrivePolicy: deadLetterTargetArn is an invalid arn"),
    ("DeliveryPolicy", '{"x":1}', "DeliveryPolicy: Unexpected JSON member: x"),
    ("FilterPolicy", "[]", "FilterPolicy: Filter is not an object"),
    ("FilterPolicy", '{"a":[{"cidr":"no/x"}]}', "FilterPolicy: Malformed CIDR, mask bits must be an integer"),
]


def test_attributes_that_a_subscription_refuses(sns: Any, topic: str, queue: tuple[str, str]) -> None:
    arn = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue[1])["SubscriptionArn"]
    for name, value, sentence in BAD_ATTRIBUTES:
        with pytest.raises(ClientError) as caught:
            sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName=name, AttributeValue=value)
        code, message = refusal(caught)
        assert code == "InvalidParameter"
        assert message.startswith(f"Invalid parameter: {sentence}")


def test_what_is_no_subscription(sns: Any, topic: str) -> None:
    for arn, wanted in (
        (f"{topic}:00000000-0000-0000-0000-000000000000", ("NotFound", "Subscription does not exist")),
        ("x", ("InvalidParameter", "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements")),
        (topic, ("InvalidParameter", "Invalid parameter: SubscriptionId")),
    ):
        with pytest.raises(ClientError) as caught:
            sns.get_subscription_attributes(SubscriptionArn=arn)
        code, message = refusal(caught)
        assert (code, message[: len(wanted[1])]) == wanted


def test_subscribing_again_is_the_same_subscription(sns: Any, topic: str, queue: tuple[str, str]) -> None:
    raw = {"RawMessageDelivery": "true"}
    subscribe = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": queue[1]}
    arn = sns.subscribe(**subscribe, Attributes=raw)["SubscriptionArn"]
    assert sns.subscribe(**subscribe, Attributes=raw)["SubscriptionArn"] == arn
    assert sns.subscribe(**subscribe)["SubscriptionArn"] == arn
    with pytest.raises(ClientError) as caught:
        sns.subscribe(**subscribe, Attributes={"RawMessageDelivery": "false"})
    sentence = "Invalid parameter: Attributes Reason: Subscription already exists with different attributes"
    assert refusal(caught) == ("InvalidParameter", sentence)
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (listed["SubscriptionArn"], listed["Endpoint"]) == (arn, queue[1])
    sns.unsubscribe(SubscriptionArn=arn)
    sns.unsubscribe(SubscriptionArn=arn)
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsDeleted"] == "1"


@pytest.mark.parametrize(
    ("protocol", "endpoint", "sentence"),
    [
        ("test-protocol", "x", "Invalid parameter: Amazon SNS does not support this protocol string: test-protocol"),
        ("sqs", "http://localhost/queue", "Invalid parameter: SQS endpoint ARN"),
        ("lambda", "function", "Invalid parameter: Lambda endpoint ARN"),
        ("http", "https://example.com", "Invalid parameter: Endpoint must match the specified protocol"),
        ("sms", "NAA+15551234567", "Invalid SMS endpoint: NAA+15551234567"),
        ("sms", "+15--551234567", "Invalid SMS endpoint: +15--551234567"),
        ("email", "nobody", "Invalid parameter: Email address"),
    ],
)
def test_an_endpoint_fits_its_protocol(sns: Any, topic: str, protocol: str, endpoint: str, sentence: str) -> None:
    with pytest.raises(ClientError) as caught:
        sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)
    assert refusal(caught) == ("InvalidParameter", sentence)


@pytest.mark.parametrize(("protocol", "endpoint"), [("email", "a@example.com"), ("sms", "+15551234567")])
def test_what_is_not_there_yet_says_so(sns: Any, topic: str, protocol: str, endpoint: str) -> None:
    with pytest.raises(ClientError) as caught:
        sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)
    assert refusal(caught)[0] == "NotImplementedException"


def test_a_text_for_each_protocol(sns: Any, sqs: Any, topic: str, queue: tuple[str, str]) -> None:
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue[1], Attributes={"RawMessageDelivery": "true"})
    texts = json.dumps({"default": "for all", "sqs": "for queues", "odd": 1})
    sns.publish(TopicArn=topic, Message=texts, MessageStructure="json")
    assert receive(sqs, queue[0])[0]["Body"] == "for queues"
    for bad, sentence in (
        ("no json", "Message Structure - JSON message body failed to parse"),
        ('{"sqs": "x"}', "Message Structure - No default entry in JSON message body"),
        ('{"default": {}}', "Message Structure - No default entry in JSON message body"),
    ):
        with pytest.raises(ClientError) as caught:
            sns.publish(TopicArn=topic, Message=bad, MessageStructure="json")
        assert refusal(caught) == ("InvalidParameter", f"Invalid parameter: {sentence}")


def test_bad_messages_are_refused(sns: Any, topic: str) -> None:
    for given, sentence in (
        ({"Message": ""}, "Empty message"),
        ({"Message": "x" * 262_145}, "Message too long"),
        ({"Message": "x", "Subject": "two\nlines"}, "Subject"),
        ({"Message": "x", "Subject": "x" * 101}, "Subject"),
        ({"Message": "x", "MessageStructure": "xml"}, "MessageStructure"),
    ):
        with pytest.raises(ClientError) as caught:
            sns.publish(TopicArn=topic, **given)
        assert refusal(caught) == ("InvalidParameter", f"Invalid parameter: {sentence}")
    with pytest.raises(ClientError) as caught:
        sns.publish(PhoneNumber="+1a234", Message="x")
    assert refusal(caught)[1] == "Invalid parameter: PhoneNumber Reason: +1a234 is not valid to publish to"


def test_a_batch(sns: Any, sqs: Any, topic: str, queue: tuple[str, str]) -> None:
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue[1], Attributes={"RawMessageDelivery": "true"})
    entries = [{"Id": str(number), "Message": f"text {number}"} for number in range(3)]
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert [each["Id"] for each in answer["Successful"]] == ["0", "1", "2"]
    assert answer["Failed"] == []
    assert sorted(message["Body"] for message in receive(sqs, queue[0], 3)) == ["text 0", "text 1", "text 2"]
    for bad, code in (
        ([], "EmptyBatchRequest"),
        ([{"Id": str(number), "Message": "x"} for number in range(11)], "TooManyEntriesInBatchRequest"),
        ([{"Id": "same", "Message": "x"}] * 2, "BatchEntryIdsNotDistinct"),
        ([{"Id": "?", "Message": "x"}], "InvalidBatchEntryId"),
        ([{"Id": str(number), "Message": "x" * 131_073} for number in range(2)], "BatchRequestTooLong"),
    ):
        with pytest.raises(ClientError) as caught:
            sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=bad)
        assert refusal(caught)[0] == code


def test_an_entry_of_a_batch_fails_by_itself_for_its_structure(sns: Any, topic: str) -> None:
    texts = {"well": '{"default": "x"}', "missing": '{"sqs": "x"}', "broken": "{"}
    entries = [{"Id": name, "Message": text, "MessageStructure": "json"} for name, text in texts.items()]
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert [each["Id"] for each in answer["Successful"]] == ["well"]
    sentence = "Invalid parameter: Message Structure - No default entry in JSON message body"
    missing, broken = answer["Failed"]
    assert missing == {"Id": "missing", "Code": "InvalidParameter", "Message": sentence, "SenderFault": True}
    assert broken["Message"] == "Invalid parameter: Message Structure - JSON message body failed to parse"
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries[1:])
    assert (answer["Successful"], len(answer["Failed"])) == ([], 2)


def test_a_fifo_topic_keeps_order_and_drops_duplicates(sns: Any, sqs: Any) -> None:
    topic = sns.create_topic(
        Name="ordered.fifo", Attributes={"FifoTopic": "true", "ContentBasedDeduplication": "true"}
    )["TopicArn"]
    url, arn = make_queue(sqs, "ordered.fifo", topic, FifoQueue="true")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    numbers = [
        sns.publish(TopicArn=topic, Message=f"text {number}", MessageGroupId="group")["SequenceNumber"]
        for number in (0, 1, 0, 2)
    ]
    assert numbers[0] == numbers[2]
    assert numbers[0] < numbers[1] < numbers[3]
    messages = receive(sqs, url, 3)
    assert [json.loads(message["Body"])["Message"] for message in messages] == ["text 0", "text 1", "text 2"]
    first = messages[0]
    assert first["Attributes"]["MessageDeduplicationId"] == hashlib.sha256(b"text 0").hexdigest()
    assert first["Attributes"]["MessageGroupId"] == "group"
    body = json.loads(first["Body"])
    assert body["SequenceNumber"] == numbers[0]
    assert "Signature" not in body
    with pytest.raises(ClientError) as caught:
        sns.publish(TopicArn=topic, Message="x")
    assert refusal(caught)[1] == "Invalid parameter: The MessageGroupId parameter is required for FIFO topics"
    sns.delete_topic(TopicArn=topic)
    sqs.delete_queue(QueueUrl=url)


def test_a_fifo_queue_is_not_for_a_standard_topic(sns: Any, topic: str) -> None:
    arn = topic.replace(":sns:", ":sqs:") + ".fifo"
    with pytest.raises(ClientError) as caught:
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    assert refusal(caught)[1] == (
        "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS "
        "topics"
    )


def test_a_role_may_not_publish_what_its_policy_does_not_allow(server: CossetServer, sns: Any, topic: str) -> None:
    iam = server.client("iam")
    iam.create_user(UserName="sns-stranger")
    key = iam.create_access_key(UserName="sns-stranger")["AccessKey"]
    stranger = server.client("sns", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    with pytest.raises(ClientError) as caught:
        stranger.publish(TopicArn=topic, Message="x")
    assert refusal(caught)[0] == "AuthorizationError"
    assert "is not authorized to perform: SNS:Publish on resource:" in refusal(caught)[1]


def wait_for_step(server: Any, id_: str, kind: str) -> dict[str, Any]:
    """Of the tree of what caused what."""
    ends_s = time.monotonic() + 240
    while time.monotonic() < ends_s:
        told = cosset(server, "trace", id_, "--json")
        for step in json.loads(told.stdout)["steps"] if told.returncode == 0 else ():
            if step["kind"] == kind:
                return dict(step)
        time.sleep(0.2)
    raise AssertionError(f"no {kind} came of {id_}")


TRACE = "Root=1-3152b799-8954dae64eda91bc9a23a7e8;Parent=7fa8c0f79203be72;Sampled=1"


def add_trace(request: Any, **_: Any) -> None:
    request.headers["X-Amzn-Trace-Id"] = TRACE


def test_an_http_endpoint_confirms_and_gets_messages(new_server: Any) -> None:
    with HttpEndpoint() as endpoint:
        server = new_server("--dev")
        sns = server.client("sns")
        topic = sns.create_topic(Name="by-http")["TopicArn"]
        answer = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url)
        assert answer["SubscriptionArn"] == "pending confirmation"
        asked = endpoint.next()
        assert asked.headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
        assert "x-amz-sns-subscription-arn" not in asked.headers
        confirmation = json.loads(asked.body)
        assert confirmation["Token"] in confirmation["SubscribeURL"]
        with urllib.request.urlopen(confirmation["SubscribeURL"]) as confirmed:
            assert b"ConfirmSubscriptionResult" in confirmed.read()
        (listed,) = sns.list_subscriptions()["Subscriptions"]
        shown = sns.get_subscription_attributes(SubscriptionArn=listed["SubscriptionArn"])["Attributes"]
        assert (shown["PendingConfirmation"], shown["ConfirmationWasAuthenticated"]) == ("false", "false")
        sns.publish(TopicArn=topic, Message="by http", Subject="s")
        message = endpoint.next()
        assert message.headers["user-agent"] == "Amazon Simple Notification Service Agent"
        assert message.headers["x-amz-sns-subscription-arn"] == listed["SubscriptionArn"]
        body = json.loads(message.body)
        assert body["Message"] == "by http"
        # Recorded (test_subscribe_external_http_endpoint): no header of its own.
        assert "x-amzn-trace-id" not in message.headers
        posted = wait_for_step(server, body["MessageId"], StepKind.POST)
        assert (posted["source"], posted["resource"], posted["depth"]) == (topic, endpoint.url, 2)
        sns.meta.events.register("before-sign.sns.Publish", add_trace)
        traced = sns.publish(TopicArn=topic, Message="of a trace")["MessageId"]
        root, parent, sampled = endpoint.next().headers["x-amzn-trace-id"].split(";")
        assert (root, sampled) == (TRACE.split(";")[0], "Sampled=1")
        step = wait_for_step(server, traced, StepKind.POST)
        assert parent == f"Parent={key_of(step['id'], StepKind.POST)}"
        with urllib.request.urlopen(body["UnsubscribeURL"]) as ended:
            assert ended.status == 200
        last = json.loads(endpoint.next().body)
        assert last["Type"] == "UnsubscribeConfirmation"
        assert sns.list_subscriptions()["Subscriptions"] == []
        with urllib.request.urlopen(last["SubscribeURL"]):
            assert len(sns.list_subscriptions()["Subscriptions"]) == 1


def test_an_endpoint_that_fails_is_asked_again(new_server: Any) -> None:
    with HttpEndpoint([500, 200]) as endpoint:
        server = new_server("--dev")
        sns = server.client("sns")
        retry = {"minDelayTarget": 1, "maxDelayTarget": 1, "numRetries": 3, "numNoDelayRetries": 3}
        policy = json.dumps({"http": {"defaultHealthyRetryPolicy": retry}})
        topic = sns.create_topic(Name="again", Attributes={"DeliveryPolicy": policy})["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url)
        assert endpoint.next().body == endpoint.next().body


def test_messages_do_not_leave_for_private_addresses(server: CossetServer, sns: Any, topic: str) -> None:
    """Not outside --dev: the server would be everyone's way to what only it can reach."""
    with HttpEndpoint() as endpoint:
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url)
        until(lambda: "messages leave for public addresses only" in server.log())
        assert endpoint.count == 0
        assert urlsplit(endpoint.url).hostname == "127.0.0.1"
