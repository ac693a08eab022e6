"""How errors look on the wire: status, code, message and fields, per protocol."""

import json

import pytest

from cosset.wire.errors import OperationNotImplementedError, SerializationError, ServiceError
from cosset.wire.host_ids import host_id
from cosset.wire.message import Headers, Request, Response
from cosset.wire.models import Catalogue
from cosset.wire.protocols import PROTOCOLS, route

CATALOGUE = Catalogue()


def answered(service: str, protocol: str, error: ServiceError) -> Response:
    return PROTOCOLS[protocol].serialize_error(CATALOGUE.service(service), None, error, "request-1")


def fields(response: Response) -> tuple[int, dict[str, object]]:
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


def test_a_modelled_lambda_error_has_its_status_its_members_and_its_type() -> None:
    error = ServiceError("ResourceNotFoundException", "Function not found: f", status=400)
    response = answered("lambda", "rest-json", error)
    assert fields(response) == (404, {"Type": "User", "Message": "Function not found: f"})
    assert ("x-amzn-ErrorType", "ResourceNotFoundException") in response.headers
    assert ("x-amzn-RequestId", "request-1") in response.headers


def test_a_failure_of_lambda_itself_has_another_type() -> None:
    answer = fields(answered("lambda", "rest-json", ServiceError("ServiceException", "sorry")))
    assert answer == (500, {"Type": "Service", "Message": "sorry"})


def test_the_message_has_the_name_that_the_model_gives_it_and_a_header_member_is_a_header() -> None:
    extra = {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "retryAfterSeconds": "3", "Unknown": 1}
    response = answered("lambda", "rest-json", ServiceError("TooManyRequestsException", "Rate", fields=extra))
    assert fields(response) == (429, {"Type": "User", "Reason": extra["Reason"], "message": "Rate"})
    assert ("Retry-After", "3") in response.headers


def test_an_unmodelled_error_has_its_own_status_and_a_plain_message() -> None:
    assert fields(answered("lambda", "rest-json", ServiceError("ValidationException", "v"))) == (400, {"message": "v"})
    status, body = fields(answered("lambda", "rest-json", OperationNotImplementedError("lambda", "CreateEventThing")))
    assert status == 501
    assert "lambda:CreateEventThing" in str(body["message"])


def test_logs_models_leave_out_the_message_that_is_sent() -> None:
    response = answered("logs", "json", ServiceError("ResourceNotFoundException", "No such group."))
    assert fields(response) == (400, {"__type": "ResourceNotFoundException", "message": "No such group."})
    assert ("Content-Type", "application/x-amz-json-1.1") in response.headers


def test_a_query_error_has_the_models_code() -> None:
    response = answered("iam", "query", ServiceError("NoSuchEntityException", "No <role>"))
    assert response.status == 404
    assert response.body == (
        b'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>'
        b"<Code>NoSuchEntity</Code><Message>No &lt;role&gt;</Message></Error><RequestId>request-1</RequestId>"
        b"</ErrorResponse>"
    )
    assert answered("iam", "query", ServiceError("NoSuchEntity", "No <role>")).body == response.body


def test_a_fault_of_the_server_is_a_receivers() -> None:
    response = answered("iam", "query", ServiceError("ServiceFailure", "sorry"))
    assert response.status == 500
    assert b"<Type>Receiver</Type>" in bytes(response.body)  # type: ignore[arg-type]


def test_a_query_compatible_service_names_the_old_code_in_a_header() -> None:
    response = answered("sqs", "json", ServiceError("QueueDoesNotExist", "no queue"))
    assert ("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender") in response.headers
    assert fields(response)[1]["__type"] == "com.amazonaws.sqs#QueueDoesNotExist"


def test_s3_errors_stand_bare() -> None:
    response = answered("s3", "rest-xml", ServiceError("NoSuchBucket", "none", status=404, fields={"BucketName": "b"}))
    assert response.status == 404
    assert response.body == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchBucket</Code><Message>none</Message>'
        b"<BucketName>b</BucketName><RequestId>request-1</RequestId>"
        b"<HostId>" + host_id("request-1").encode() + b"</HostId></Error>"
    )
    assert ("x-amz-request-id", "request-1") in response.headers


def test_a_value_cannot_break_out_of_its_header() -> None:
    result = {"Payload": b"", "FunctionError": "a\r\nX-Evil: 1", "ExecutedVersion": "é"}
    response = PROTOCOLS["rest-json"].serialize(CATALOGUE.service("lambda"), "Invoke", result, "request-1")
    assert ("X-Amz-Function-Error", "a X-Evil: 1") in response.headers
    assert all(value.isascii() for _, value in response.headers)


def test_a_member_that_the_model_does_not_have_is_a_bug_of_the_handler() -> None:
    for operation in ("Invoke", "GetFunctionConfiguration", "GetPolicy"):
        with pytest.raises(ValueError, match="has no member Nothing"):
            PROTOCOLS["rest-json"].serialize(CATALOGUE.service("lambda"), operation, {"Nothing": 1}, "request-1")


def test_an_operation_that_takes_an_event_stream_in_is_said_to_be_missing() -> None:
    wire = CATALOGUE.service("lexv2-runtime")
    path = "/bots/b/botAliases/a/botLocales/en/sessions/s/conversation"
    request = Request("POST", path, "", Headers(), b"")
    found = route(wire, request)
    with pytest.raises(OperationNotImplementedError, match="lexv2-runtime:StartConversation"):
        found.protocol.parse(found, request)


def test_none_is_omitted() -> None:
    response = PROTOCOLS["rest-json"].serialize(
        CATALOGUE.service("lambda"), "GetFunctionConfiguration", {"FunctionName": "f", "VpcConfig": None}, "request-1"
    )
    assert response.body == b'{"FunctionName":"f"}'


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"FunctionName": 1}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"FunctionName": 1.5}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"FunctionName": true}', "TRUE_VALUE can not be converted to a String"),
        (b'{"Timeout": "3"}', "STRING_VALUE can not be converted to an Integer"),
        (b'{"Timeout": false}', "FALSE_VALUE can not be converted to an Integer"),
        (b'{"Publish": "true"}', "STRING_VALUE can not be converted to a Boolean"),
        (b'{"FunctionName": {}}', "Start of structure or map found where not expected."),
        (b'{"FunctionName": []}', "Start of list found where not expected"),
        (b'{"Layers": "x"}', "Expected list or null"),
        (b'{"Code": "x"}', "Expected null"),
        (b'{"Tags": 1}', "Expected map or null"),
        (b"{", ""),
        (b'{"Timeout": NaN}', ""),
        (b"\xff", ""),
    ],
)
def test_a_body_of_the_wrong_form_is_a_serialization_exception(body: bytes, sentence: str) -> None:
    wire = CATALOGUE.service("lambda")
    request = Request("POST", "/2015-03-31/functions", "", Headers(), body)
    found = route(wire, request)
    with pytest.raises(SerializationError) as caught:
        found.protocol.parse(found, request)
    assert caught.value.message == sentence


def test_null_members_are_dropped_and_unknown_ones_ignored() -> None:
    wire = CATALOGUE.service("lambda")
    request = Request("POST", "/2015-03-31/functions", "", Headers(), b'{"FunctionName":"f","Role":null,"Else":[1]}')
    found = route(wire, request)
    assert found.protocol.parse(found, request) == {"FunctionName": "f"}
