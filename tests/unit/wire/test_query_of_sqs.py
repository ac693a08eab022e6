"""The query protocol as SQS has it: what old clients and bare HTTP write, and the frame of what they get."""

import json
from typing import Any

import pytest

from cosset.wire.errors import ServiceError
from cosset.wire.message import Headers, Request
from cosset.wire.models import Catalogue
from cosset.wire.protocols import PROTOCOLS, protocol_of, route

CATALOGUE = Catalogue()
SQS = CATALOGUE.service("sqs")
QUERY = PROTOCOLS["query"]
NAMESPACE = 'xmlns="http://queue.amazonaws.com/doc/2012-11-05/"'


def params(query: str) -> dict[str, object]:
    request = Request("GET", "/000000000000/q", query, Headers([]), b"", host="h:1", scheme="http")
    routed = route(SQS, request)
    return routed.protocol.parse(routed, request)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("AttributeName=All", ["All"]),
        ("AttributeName.1=QueueArn&AttributeName.2=Policy", ["QueueArn", "Policy"]),
        ("AttributeName.2=Policy&AttributeName.1=QueueArn&AttributeName=All", ["QueueArn", "Policy"]),
        ("AttributeName=", []),
        ("AttributeNames.1=All", ["All"]),
    ],
)
def test_a_list_of_one_needs_no_number(text: str, names: list[str]) -> None:
    assert params(f"Action=GetQueueAttributes&{text}")["AttributeNames"] == names


def test_answers_and_errors_begin_as_those_of_aws() -> None:
    answer = QUERY.serialize(SQS, "ListQueues", {"QueueUrls": ["u"]}, "id").body
    error = QUERY.serialize_error(SQS, "ListQueues", ServiceError("OverLimit", "x", status=403), "id").body
    assert isinstance(answer, bytes)
    assert isinstance(error, bytes)
    assert answer.startswith(f'<?xml version="1.0"?><ListQueuesResponse {NAMESPACE}>'.encode())
    assert error.startswith(f'<?xml version="1.0"?><ErrorResponse {NAMESPACE}><Error>'.encode())


@pytest.mark.parametrize("service", ["sqs", "sns"])
def test_a_request_without_an_action_means_nothing(service: str) -> None:
    wire, request = CATALOGUE.service(service), Request("GET", "/000000000000/q", "", Headers([]), b"")
    with pytest.raises(ServiceError) as caught:
        route(wire, request)
    answer = protocol_of(wire, request).serialize_error(wire, None, caught.value, "id")
    assert (answer.status, answer.body) == (404, b"<UnknownOperationException/>")


def in_json(service: str, operation: str, result: dict[str, object]) -> Any:
    wire = CATALOGUE.service(service)
    request = Request("GET", "/", f"Action={operation}", Headers([("Accept", "application/json")]), b"")
    answer = protocol_of(wire, request).serialize(wire, operation, result, "id")
    assert dict(answer.headers)["Content-Type"] == "application/json"
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body)


ABOUT = {"RequestId": "id"}
NOTHING_ELSE = {"MD5OfMessageAttributes": None, "MD5OfMessageSystemAttributes": None, "SequenceNumber": None}


def test_who_asks_for_json_gets_json() -> None:
    """As API Gateway's integrations show it."""
    sent = {"SendMessageResult": {"MD5OfMessageBody": "m", "MessageId": "i", **NOTHING_ELSE}, "ResponseMetadata": ABOUT}
    assert in_json("sqs", "SendMessage", {"MD5OfMessageBody": "m", "MessageId": "i"}) == {"SendMessageResponse": sent}
    assert in_json("sqs", "DeleteMessage", {}) == {"DeleteMessageResponse": {"ResponseMetadata": ABOUT}}
    nothing = {"ReceiveMessageResult": {"messages": None}, "ResponseMetadata": ABOUT}
    assert in_json("sqs", "ReceiveMessage", {}) == {"ReceiveMessageResponse": nothing}
    shown = in_json("sqs", "GetQueueAttributes", {"Attributes": {"QueueArn": "a", "DelaySeconds": "0"}})
    assert shown["GetQueueAttributesResponse"]["GetQueueAttributesResult"] == {
        "Attributes": [{"Name": "QueueArn", "Value": "a"}, {"Name": "DelaySeconds", "Value": "0"}]
    }
    attribute = {"DataType": "Binary", "BinaryValue": b"\x01"}
    received = in_json("sqs", "ReceiveMessage", {"Messages": [{"Body": "b", "MessageAttributes": {"a": attribute}}]})
    (message,) = received["ReceiveMessageResponse"]["ReceiveMessageResult"]["messages"]
    assert (message["Body"], message["Attributes"]) == ("b", None)
    (own,) = message["MessageAttributes"]
    assert (own["Name"], own["Value"]["BinaryValue"], own["Value"]["StringValue"]) == ("a", "AQ==", None)
    published = {"PublishResult": {"MessageId": "i", "SequenceNumber": None}, "ResponseMetadata": ABOUT}
    assert in_json("sns", "Publish", {"MessageId": "i"}) == {"PublishResponse": published}
    of_topic = in_json("sns", "GetTopicAttributes", {"Attributes": {"Owner": "1"}})
    assert of_topic["GetTopicAttributesResponse"]["GetTopicAttributesResult"] == {"Attributes": {"Owner": "1"}}


def test_who_asks_for_json_gets_errors_in_it() -> None:
    request = Request("GET", "/1/q", "Action=ListQueues", Headers([("Accept", "application/json; q=1")]), b"")
    with pytest.raises(ServiceError) as caught:
        protocol_of(SQS, request).match(SQS, request)
    answer = protocol_of(SQS, request).serialize_error(SQS, None, caught.value, "id")
    assert isinstance(answer.body, bytes)
    assert (answer.status, json.loads(answer.body)) == (
        400,
        {
            "Error": {
                "Code": "InvalidAction",
                "Message": "The action ListQueues is not valid for this endpoint.",
                "Type": "Sender",
                "Detail": None,
            },
            "RequestId": "id",
        },
    )
    nothing = Request("GET", "/1/q", "", Headers([("Accept", "application/json")]), b"")
    unknown = ServiceError("UnknownOperationException", "", status=404)
    body = protocol_of(SQS, nothing).serialize_error(SQS, None, unknown, "id").body
    assert body == b'{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}'
