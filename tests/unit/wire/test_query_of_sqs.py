"""The query protocol as SQS has it: what old clients and bare HTTP write, and the frame of what they get."""

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
