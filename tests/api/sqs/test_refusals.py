"""What SQS refuses, in AWS's codes and sentences, in both protocols. Recorded where a scenario is named; the others are
those of the API reference and of answers that users reported."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cosset.testing.server import CossetServer

from .conftest import MakeQueue, refusal

VALUE = "InvalidParameterValue"
FIFO_MARK = "The request include parameter that is not valid for this queue type."
TOO_LONG = "a" * 129
CHARACTERS = "can only include alphanumeric and punctuation characters. 1 to 128 in length."

SEND: dict[str, tuple[dict[str, Any], str, str]] = {
    "empty": ({"MessageBody": ""}, "MissingParameter", "The request must contain the parameter MessageBody."),
    "long": (
        {"MessageBody": "x" * 1_048_577},
        VALUE,
        "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
    ),
    "delay": (
        {"MessageBody": "a", "DelaySeconds": 901},
        VALUE,
        "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
    ),
    "group": (
        {"MessageBody": "a", "MessageGroupId": "two words"},
        VALUE,
        f"Value two words for parameter MessageGroupId is invalid. Reason: MessageGroupId {CHARACTERS}",
    ),
    "deduplication": (
        {"MessageBody": "a", "MessageDeduplicationId": "d"},
        VALUE,
        f"Value d for parameter MessageDeduplicationId is invalid. Reason: {FIFO_MARK}",
    ),
    "eleven": (
        {
            "MessageBody": "a",
            "MessageAttributes": {f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(11)},
        },
        VALUE,
        "Number of message attributes [11] exceeds the allowed maximum [10].",
    ),
}
ATTRIBUTES: dict[str, tuple[str, dict[str, Any], str]] = {
    "type": (
        "a",
        {"DataType": "string", "StringValue": "x"},
        "The type of message (user) attribute 'a' is invalid. You must use only the following supported type prefixes: "
        "Binary, Number, String.",
    ),
    "empty": (
        "a",
        {"DataType": "String", "StringValue": ""},
        "Message (user) attribute 'a' must contain a non-empty value of type 'String'.",
    ),
    "number": (
        "a",
        {"DataType": "Number", "StringValue": "one"},
        "Can't cast the value of message (user) attribute 'a' to a number.",
    ),
    "wrong member": (
        "a",
        {"DataType": "Binary", "StringValue": "x"},
        "Message (user) attribute 'a' must contain a non-empty value of type 'Binary'.",
    ),
    "name": (
        "a b",
        {"DataType": "String", "StringValue": "x"},
        "Message (user) attributes name can only contain upper and lower score characters, digits, periods, hyphens "
        "and underscores.",
    ),
    "reserved": (
        "AWS.x",
        {"DataType": "String", "StringValue": "x"},
        "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for "
        "internal use.",
    ),
}


@pytest.mark.parametrize("case", SEND)
def test_messages_that_are_refused(sqs: Any, make_queue: MakeQueue, case: str) -> None:
    params, code, sentence = SEND[case]
    assert refusal(sqs.send_message, QueueUrl=make_queue(), **params) == (code, sentence, 400)


@pytest.mark.parametrize("case", ATTRIBUTES)
def test_message_attributes_that_are_refused(sqs: Any, make_queue: MakeQueue, case: str) -> None:
    name, value, sentence = ATTRIBUTES[case]
    found = refusal(sqs.send_message, QueueUrl=make_queue(), MessageBody="a", MessageAttributes={name: value})
    assert found == (VALUE, sentence, 400)


@pytest.mark.parametrize("code", [0x0, 0x7, 0xB, 0x1F, 0xFFFE, 0xFFFF])
def test_characters_that_xml_has_not(server: CossetServer, make_queue: MakeQueue, code: int) -> None:
    found = refusal(server.client("sqs").send_message, QueueUrl=make_queue(), MessageBody=f"a{chr(code)}")
    assert found == (
        "InvalidMessageContents",
        f"Invalid binary character '#x{code:X}' was found in the message body, the set of allowed characters is "
        "#x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF].",
        400,
    )


@pytest.mark.parametrize(
    ("params", "code", "sentence"),
    [
        (
            {"MessageDeduplicationId": "d"},
            "MissingParameter",
            "The request must contain the parameter MessageGroupId.",
        ),
        (
            {"MessageGroupId": "g"},
            VALUE,
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided "
            "explicitly",
        ),
        (
            {"MessageGroupId": "g", "MessageDeduplicationId": "d", "DelaySeconds": 1},
            VALUE,
            f"Value 1 for parameter DelaySeconds is invalid. Reason: {FIFO_MARK}",
        ),
        (
            {"MessageGroupId": "g", "MessageDeduplicationId": TOO_LONG},
            VALUE,
            f"Value {TOO_LONG} for parameter MessageDeduplicationId is invalid. Reason: MessageDeduplicationId "
            f"{CHARACTERS}",
        ),
    ],
)
def test_what_a_fifo_queue_refuses(
    sqs: Any, make_queue: MakeQueue, params: dict[str, Any], code: str, sentence: str
) -> None:
    """Recorded: test_posting_to_fifo_requires_deduplicationid_group_id and others."""
    url = make_queue(".fifo", ContentBasedDeduplication="false")
    assert refusal(sqs.send_message, QueueUrl=url, MessageBody="a", **params) == (code, sentence, 400)
    entries = [{"Id": "1", "MessageBody": "a", **params}]
    assert refusal(sqs.send_message_batch, QueueUrl=url, Entries=entries) == (code, sentence, 400)


@pytest.mark.parametrize(
    ("attributes", "code", "sentence"),
    [
        ({"VisibilityTimeout": "43201"}, "InvalidAttributeValue", "Invalid value for the parameter VisibilityTimeout."),
        ({"DelaySeconds": "-1"}, "InvalidAttributeValue", "Invalid value for the parameter DelaySeconds."),
        ({"MessageRetentionPeriod": "ten"}, "InvalidAttributeValue", None),
        ({"MaximumMessageSize": "1023"}, "InvalidAttributeValue", None),
        ({"Policy": "{}"}, "InvalidAttributeValue", "Invalid value for the parameter Policy."),
        ({"Policy": '{"Statement":[{"Effect":"Allow"}]}'}, "InvalidAttributeValue", None),
        ({"SqsManagedSseEnabled": "perhaps"}, "InvalidAttributeValue", None),
        ({"QueueArn": "x"}, "InvalidAttributeName", "Unknown Attribute QueueArn."),
        ({"All": "x"}, "InvalidAttributeName", "Unknown Attribute All."),
        ({"FifoQueue": "false"}, "InvalidAttributeName", "Unknown Attribute FifoQueue."),
        (
            {"FifoThroughputLimit": "perQueue"},
            "InvalidAttributeName",
            "You can specify the FifoThroughputLimit only when FifoQueue is set to true.",
        ),
    ],
)
def test_attributes_that_are_refused_when_made_and_when_set(
    sqs: Any, make_queue: MakeQueue, attributes: dict[str, str], code: str, sentence: str | None
) -> None:
    name = "queue-of-refused-attributes"
    for found in (
        refusal(sqs.create_queue, QueueName=name, Attributes=attributes),
        refusal(sqs.set_queue_attributes, QueueUrl=make_queue(), Attributes=attributes),
    ):
        assert (found[0], found[2]) == (code, 400)
        assert sentence in (None, found[1])


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ("nonsense", "Amazon SQS can't create the redrive policy, as it’s in an unsupported format."),
        ("{}", "Redrive policy does not contain mandatory attribute: maxReceiveCount."),
        ('{"maxReceiveCount": 3}', "Redrive policy does not contain mandatory attribute: deadLetterTargetArn."),
        (
            '{"maxReceiveCount": 1001, "deadLetterTargetArn": "x"}',
            "Invalid value for maxReceiveCount: 1001, valid values are from 1 to 1000 both inclusive.",
        ),
        ('{"maxReceiveCount": 3, "deadLetterTargetArn": "x"}', "Invalid value for deadLetterTargetArn."),
    ],
)
def test_redrive_policies_that_are_refused(sqs: Any, make_queue: MakeQueue, policy: str, reason: str) -> None:
    found = refusal(sqs.set_queue_attributes, QueueUrl=make_queue(), Attributes={"RedrivePolicy": policy})
    assert found == (VALUE, f"Value {policy} for parameter RedrivePolicy is invalid. Reason: {reason}", 400)


def test_dead_letter_queues_must_be_there_and_agree(
    sqs: Any, make_queue: MakeQueue, arn_of: Callable[[str], str]
) -> None:
    url, dead, fifo = make_queue(), make_queue(), make_queue(".fifo")

    def redrive(target: str) -> str:
        policy = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": 3})
        return refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes={"RedrivePolicy": policy})[1]

    assert redrive(arn_of(dead) + "-none").endswith("Reason: Dead letter target does not exist.")
    assert redrive(arn_of(fifo)).endswith("Reason: Dead-letter queue must be same type of queue as the source.")
    deny = {"RedriveAllowPolicy": '{"redrivePermission":"denyAll"}'}
    sqs.set_queue_attributes(QueueUrl=dead, Attributes=deny)
    assert "does not have permission" in redrive(arn_of(dead))


def test_names_of_queues(sqs: Any, make_queue: MakeQueue) -> None:
    for name in ("", "a b", "x" * 81, "a.b", "standard.fifo"):
        code, _, status = refusal(sqs.create_queue, QueueName=name)
        assert (code, status) == ("MissingParameter" if not name else VALUE, 400)
    code, sentence, _ = refusal(sqs.create_queue, QueueName="no-suffix", Attributes={"FifoQueue": "true"})
    assert (code, sentence[:29]) == (VALUE, "The name of a FIFO queue can ")


def test_a_queue_is_made_again_only_with_the_same_attributes(sqs: Any, make_queue: MakeQueue) -> None:
    url = make_queue(DelaySeconds="5")
    name = url.rpartition("/")[2]
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == url
    assert sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "5"})["QueueUrl"] == url
    assert refusal(sqs.create_queue, QueueName=name, Attributes={"DelaySeconds": "6"}) == (
        "QueueAlreadyExists",
        "A queue already exists with the same name and a different value for attribute DelaySeconds",
        400,
    )


def test_batches_that_are_refused_whole(sqs: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    prefix = "AWS.SimpleQueueService."

    def send(*entries: dict[str, Any]) -> tuple[str, str, int]:
        return refusal(sqs.send_message_batch, QueueUrl=url, Entries=list(entries))

    assert send({"Id": "a", "MessageBody": "1"}, {"Id": "a", "MessageBody": "2"}) == (
        f"{prefix}BatchEntryIdsNotDistinct",
        "Id a repeated.",
        400,
    )
    assert send(*({"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2))) == (
        f"{prefix}BatchRequestTooLong",
        "Batch requests cannot be longer than 1048576 bytes. You have sent 1200000 bytes.",
        400,
    )
    assert send() == (
        f"{prefix}EmptyBatchRequest",
        "There should be at least one SendMessageBatchRequestEntry in the request.",
        400,
    )
    assert send({"Id": "a b", "MessageBody": "1"})[0] == f"{prefix}InvalidBatchEntryId"
    assert send(*({"Id": str(n), "MessageBody": "x"} for n in range(11))) == (
        f"{prefix}TooManyEntriesInBatchRequest",
        "Maximum number of entries per request are 10. You have sent 11.",
        400,
    )


def test_receives_that_are_refused(sqs: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    for name, value, reason in (
        ("MaxNumberOfMessages", 0, "Must be between 1 and 10, if provided."),
        ("MaxNumberOfMessages", 11, "Must be between 1 and 10, if provided."),
        ("WaitTimeSeconds", 21, "Must be >= 0 and <= 20, if provided."),
        ("VisibilityTimeout", 43_201, "Must be between 0 and 43200, if provided."),
    ):
        sentence = f"Value {value} for parameter {name} is invalid. Reason: {reason}"
        assert refusal(sqs.receive_message, QueueUrl=url, **{name: value}) == (VALUE, sentence, 400)
    assert refusal(sqs.receive_message, QueueUrl=url, AttributeNames=["Nonsense"])[:2] == (
        "InvalidAttributeName",
        "Unknown Attribute Nonsense.",
    )


def test_queues_that_are_not_there(sqs: Any, server: CossetServer) -> None:
    missing = f"{server.endpoint}/{server.account}/none"
    more = " for this wsdl version" if sqs.meta.service_model.protocol == "query" else ""
    there_is_none = ("AWS.SimpleQueueService.NonExistentQueue", f"The specified queue does not exist{more}.", 400)
    assert refusal(sqs.get_queue_url, QueueName="none") == there_is_none
    for call, params in (
        (sqs.send_message, {"MessageBody": "a"}),
        (sqs.receive_message, {}),
        (sqs.delete_message, {"ReceiptHandle": "x"}),
        (sqs.get_queue_attributes, {"AttributeNames": ["All"]}),
        (sqs.set_queue_attributes, {"Attributes": {"DelaySeconds": "1"}}),
        (sqs.purge_queue, {}),
        (sqs.delete_queue, {}),
        (sqs.list_queue_tags, {}),
        (sqs.tag_queue, {"Tags": {"a": "b"}}),
    ):
        assert refusal(call, QueueUrl=missing, **params) == there_is_none
    for url in ("http://", "http://x/y/z", f"{server.endpoint}/123/q"):
        assert refusal(server.client("sqs").purge_queue, QueueUrl=url)[0] in ("InvalidAddress", VALUE)


def test_a_policy_has_twenty_statements_at_most(sqs: Any, make_queue: MakeQueue, arn_of: Callable[[str], str]) -> None:
    """The sentence is one that users reported."""
    url = make_queue()
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn_of(url)}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement] * 21})
    assert refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes={"Policy": policy}) == (
        "OverLimit",
        "21 statements were found in the submitted policy, max allowed is 20",
        403,
    )


def test_a_queue_is_not_made_again_with_other_tags(sqs: Any, make_queue: MakeQueue) -> None:
    """Clients that name tags found this out: dramatiq_sqs, and AWS's client of temporary queues."""
    url = make_queue()
    name = url.rpartition("/")[2]
    sqs.tag_queue(QueueUrl=url, Tags={"team": "a", "stage": "b"})
    assert (
        sqs.create_queue(QueueName=name)["QueueUrl"] == sqs.create_queue(QueueName=name, tags={"team": "a"})["QueueUrl"]
    )
    code, sentence, status = refusal(sqs.create_queue, QueueName=name, tags={"team": "b"})
    assert (code, status) == ("QueueAlreadyExists", 400)
    assert sentence == "A queue already exists with the same name and different tags"


def test_tags_that_are_refused(sqs: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    sqs.tag_queue(QueueUrl=url, Tags={"Team": "a", "team": "b"})
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"Team": "a", "team": "b"}
    sqs.untag_queue(QueueUrl=url, TagKeys=["Team", "none"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "b"}
    too_many = {f"k{n}": "v" for n in range(50)}
    assert refusal(sqs.tag_queue, QueueUrl=url, Tags=too_many)[0] == VALUE
    for tags in ({"k" * 129: "v"}, {"k": "v" * 257}, {"aws:k": "v"}):
        assert refusal(sqs.tag_queue, QueueUrl=url, Tags=tags)[0] == VALUE
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "b"}


def test_at_a_queues_own_url_there_are_only_its_own_actions(server: CossetServer, make_queue: MakeQueue) -> None:
    """As clients of the query protocol sent them before they had models: GET and POST on the queue's URL."""
    url = make_queue()

    def call(method: str, form: str, accept: str = "*/*") -> tuple[int, str]:
        target, body = (f"{url}?{form}", b"") if method == "GET" else (url, form.encode())
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": accept}
        request = AWSRequest(method, target, headers, body)
        keys = server.credentials
        SigV4Auth(Credentials(keys.access_key_id, keys.secret_access_key), "sqs", server.region).add_auth(request)
        sent = urllib.request.Request(target, body or None, dict(request.headers.items()), method=method)
        try:
            with urllib.request.urlopen(sent, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    status, text = call(
        "POST",
        "Action=SendMessage&MessageBody=a%26b&MessageAttribute.1.Name=n"
        "&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=v",
    )
    assert (status, "<MD5OfMessageAttributes>" in text) == (200, True)
    status, text = call("GET", "Action=ReceiveMessage&AttributeName.1=All&MessageAttributeName.1=n&Version=2012-11-05")
    assert status == 200
    assert "<Body>a&amp;b</Body>" in text
    assert "<Attribute><Name>SenderId</Name><Value>" in text
    assert "<MessageAttribute><Name>n</Name><Value><StringValue>v</StringValue>" in text
    for action in ("CreateQueue&QueueName=x", "ListQueues", "Nonsense"):
        status, text = call("GET", f"Action={action}")
        assert status == 400
        assert "<Code>InvalidAction</Code>" in text
        name = action.partition("&")[0]
        assert f"<Message>The action {name} is not valid for this endpoint.</Message><Detail/>" in text
    status, text = call("GET", "Action=GetQueueAttributes&AttributeName.1=Nonsense")
    assert (status, "<Message>Unknown Attribute Nonsense.</Message>" in text) == (400, True)
    status, text = call("GET", "Action=GetQueueAttributes&AttributeName=VisibilityTimeout", "application/json")
    shown = json.loads(text)["GetQueueAttributesResponse"]["GetQueueAttributesResult"]
    assert (status, shown) == (200, {"Attributes": [{"Name": "VisibilityTimeout", "Value": "30"}]})
    status, text = call("GET", "Action=ListQueues", "application/json")
    assert (status, json.loads(text)["Error"]["Code"]) == (400, "InvalidAction")
    assert call("GET", "") == (404, "<UnknownOperationException/>")
