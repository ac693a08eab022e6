"""The records and messages that the end of an event is owed, in AWS's shapes."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cosset.invocation.async_policy import AsyncPolicy
from cosset.invocation.destinations import Delivery, service_of
from cosset.invocation.ending import Condition, Ending, LastAnswer, dead_letter_attributes, deliveries, write_record

ARN = "arn:aws:lambda:us-east-1:111111111111:function:f:$LATEST"
ERROR = b'{"errorMessage": "intentional failure!", "errorType": "Exception"}'
FAILED = Ending(
    request_id="r-1",
    function_arn=ARN,
    condition=Condition.RETRIES_EXHAUSTED,
    invocations=3,
    payload=b'{"mode": "failure"}',
    ended_ms=1_763_700_000_007,
    trace_id="Root=1-2-3",
    answer=LastAnswer(payload=ERROR, executed_version="$LATEST", function_error="Unhandled"),
)
SUCCEEDED = replace(
    FAILED,
    condition=Condition.SUCCESS,
    invocations=1,
    answer=LastAnswer(payload=b'{"n": 1.0}', executed_version="7", function_error=None),
)
SWITCHED_OFF = replace(
    FAILED,
    condition=Condition.ZERO_RESERVED_CONCURRENCY,
    invocations=0,
    answer=None,
    status=429,
    reason="Rate Exceeded.",
)
QUEUE = "arn:aws:sqs:us-east-1:111111111111:q"
TOPIC = "arn:aws:sns:us-east-1:111111111111:t"


def record(ending: Ending) -> Any:
    return json.loads(write_record(ending))


def test_the_record_of_a_failure() -> None:
    # recorded: TestLambdaDestinationEventbridge::test_invoke_lambda_eventbridge
    assert record(FAILED) == {
        "version": "1.0",
        "timestamp": "2025-11-21T04:40:00.007Z",
        "requestContext": {
            "requestId": "r-1",
            "functionArn": ARN,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"mode": "failure"},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorMessage": "intentional failure!", "errorType": "Exception"},
    }


def test_the_record_of_a_success_has_no_function_error_and_the_payloads_as_they_came() -> None:
    assert record(SUCCEEDED)["responseContext"] == {"statusCode": 200, "executedVersion": "7"}
    assert b'"responsePayload":{"n": 1.0}' in write_record(SUCCEEDED)
    assert b'"requestPayload":{"mode": "failure"}' in write_record(SUCCEEDED)


def test_the_record_of_an_event_that_never_ran_has_no_response() -> None:
    # recorded: TestLambdaConcurrency::test_reserved_concurrency
    shown = record(SWITCHED_OFF)
    assert shown.keys() == {"version", "timestamp", "requestContext", "requestPayload"}
    assert shown["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert shown["requestContext"]["approximateInvokeCount"] == 0


def test_an_answer_that_is_no_json_is_shown_as_text() -> None:
    answered = replace(SUCCEEDED, answer=LastAnswer(payload=b'plain "\xff', executed_version="1", function_error=None))
    assert record(answered)["responsePayload"] == 'plain "\ufffd'


@pytest.mark.parametrize(
    ("ending", "code", "message"),
    [
        # recorded: TestLambdaDLQ::test_dead_letter_queue
        (FAILED, "200", "intentional failure!"),
        (SWITCHED_OFF, "429", "Rate Exceeded."),
        (replace(FAILED, answer=LastAnswer(payload=b"[1]", executed_version="1", function_error="x")), "200", "[1]"),
        (replace(FAILED, answer=LastAnswer(payload=b"no", executed_version="1", function_error="x")), "200", "no"),
        (
            replace(
                FAILED,
                answer=LastAnswer(
                    payload=json.dumps({"errorMessage": "é" * 1000}).encode(), executed_version="1", function_error="x"
                ),
            ),
            "200",
            "é" * 512,
        ),
    ],
)
def test_the_attributes_of_a_dead_letter(ending: Ending, code: str, message: str) -> None:
    assert dead_letter_attributes(ending) == {"RequestID": "r-1", "ErrorCode": code, "ErrorMessage": message}


def test_each_end_goes_where_it_should() -> None:
    policy = AsyncPolicy(on_success=TOPIC, on_failure=QUEUE, dead_letter=TOPIC, role="role")
    assert [each.target_arn for each in deliveries(SUCCEEDED, policy, lambda: "id")] == [TOPIC]
    to_queue, to_topic = deliveries(FAILED, policy, lambda: "id")
    assert (to_queue.target_arn, to_queue.body, to_queue.attributes) == (QUEUE, write_record(FAILED), {})
    assert (to_topic.target_arn, to_topic.body) == (TOPIC, FAILED.payload)
    assert (to_topic.role, to_topic.trace_id, to_topic.condition) == ("role", "Root=1-2-3", "RetriesExhausted")
    assert list(deliveries(FAILED, AsyncPolicy(), lambda: "id")) == []


def test_a_delivery_is_kept_whole() -> None:
    policy = AsyncPolicy(dead_letter=TOPIC)
    (delivery,) = deliveries(replace(FAILED, payload=b'{\n"a": "\xc3\xa9"}'), policy, lambda: "id")
    assert Delivery.unpack(delivery.pack()) == delivery


@pytest.mark.parametrize(("arn", "service"), [(QUEUE, "sqs"), ("arn:aws:s3:::b", "s3"), ("kafka://t", ""), ("", "")])
def test_the_service_of_an_arn(arn: str, service: str) -> None:
    assert service_of(arn) == service
