"""Who has a key and asks for what is not there, not understood or not allowed: each is answered in AWS's words, over
real sockets. Who has none: test_door_keys.py; too much: test_door_limits.py; HTTP itself: test_door_http.py."""

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.house import FORM, INVOKE, LIST, TARGET, House
from support.signing import sign


def test_what_is_not_served_is_refused_by_name(house: House) -> None:
    house.clock.advance(time.time() - house.clock.now_ms() / 1000)  # boto3 signs with the time of day
    for service, call, named in (
        ("lambda", lambda c: c.get_account_settings(), "lambda:GetAccountSettings"),
        ("sts", lambda c: c.get_session_token(), "sts:GetSessionToken"),
        ("logs", lambda c: c.describe_queries(), "logs:DescribeQueries"),
        ("dynamodb", lambda c: c.list_tables(), "dynamodb:ListTables"),
        ("sqs", lambda c: c.list_queues(), "sqs:ListQueues"),
        ("sns", lambda c: c.list_topics(), "sns:ListTopics"),
        ("cloudwatch", lambda c: c.list_metrics(), "cloudwatch:ListMetrics"),
        ("stepfunctions", lambda c: c.list_state_machines(), "stepfunctions:ListStateMachines"),
        ("ec2", lambda c: c.describe_vpcs(), "ec2:DescribeVpcs"),
        ("apigateway", lambda c: c.get_rest_apis(), "apigateway:GetRestApis"),
        ("route53", lambda c: c.list_hosted_zones(), "route53:ListHostedZones"),
    ):
        with pytest.raises(ClientError) as caught:
            call(house.front.client(service))
        error = caught.value.response["Error"]
        assert error["Code"] == "NotImplementedException"
        assert f" {named} " in error["Message"]
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
        assert caught.value.response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (("GET", "/nothing", [], b"", "lambda"), 404, "UnknownOperationException"),
        (("POST", "/", [("x-amz-target", "Logs_20140328.Nothing")], b"{}", "logs"), 400, "UnknownOperationException"),
        (("POST", "/", [FORM], b"Action=Nothing&Version=2011-06-15", "sts"), 400, "InvalidAction"),
        (("GET", "/", [], b"", "nobody"), 404, "UnknownOperationException"),
        (("POST", "/", [TARGET], b"{", "logs"), 400, "SerializationException"),
        (("POST", "/", [TARGET], b'{"logGroupNamePrefix": 1}', "logs"), 400, "SerializationException"),
        (("POST", "/", [TARGET], b"[" * 10_000, "logs"), 400, "SerializationException"),
        (("POST", "/", [TARGET], b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "logs"), 400, "SerializationException"),
        (("POST", LIST, [], b"[" * 10_000 + b"]" * 10_000, "lambda"), 400, "SerializationException"),
        (("POST", "/", [TARGET], b'{"limit": 0}', "logs"), 400, "InvalidParameterException"),
    ],
)
def test_what_cannot_be_understood(house: House, request_: Any, status: int, code: str) -> None:
    method, path, headers, body, service = request_
    answer = house.ask(sign("header", method, path, headers=headers, body=body, service=service))
    assert (answer.status, answer.code) == (status, code)
    house.assert_alive()


def test_a_denied_call_is_not_handled(house: House) -> None:
    house.authorizer.denied.add("lambda:InvokeFunction")
    answer = house.ask(sign("header", "POST", INVOKE, body=b"{}"))
    assert (answer.status, answer.code) == (403, "AccessDeniedException")
    assert house.functions.contexts == []


def test_a_bug_is_answered_and_told_with_its_request_id(house: House, caplog: pytest.LogCaptureFixture) -> None:
    answer = house.ask(sign("header", "POST", INVOKE.replace("/f/", "/broken/"), body=b"{}"))
    assert (answer.status, answer.code) == (500, "ServiceException")
    assert b"a bug" not in answer.body
    assert answer.headers["x-amzn-requestid"] in caplog.text
    house.assert_alive()
