"""Functions through the door: stock boto3 against a live server."""

import json
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.exceptions import ClientError

from support.role import starter_role
from support.zip import make_zip

ECHO = make_zip(
    {"index.py": "def handler(event, context):\n    return {'one': event, 'arn': context.invoked_function_arn}\n"}
)
OTHER = make_zip({"index.py": "def handler(event, context):\n    return 'two'\n"})


@pytest.fixture
def client(server):
    return server.client("lambda")


@pytest.fixture
def function(server, client, request):
    """Makes functions that go away with the test."""
    made = set()

    def make(suffix="", code=ECHO, **given):
        name = f"{request.node.name.partition('[')[0][:50]}{suffix}"
        role = starter_role(server)
        settings = {"Runtime": "python3.12", "Role": role, "Handler": "index.handler", "Code": {"ZipFile": code}}
        created = client.create_function(FunctionName=name, **{**settings, **given})
        made.add(name)
        client.get_waiter("function_active_v2").wait(FunctionName=name)
        return created

    yield make
    for name in made:
        client.delete_function(FunctionName=name)


def invoke(client, name, payload=b"{}", **given):
    answer = client.invoke(FunctionName=name, Payload=payload, **given)
    assert "FunctionError" not in answer, answer["Payload"].read()
    return answer["Payload"].read()


def error_of(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response


def test_the_life_of_a_function(client, function):
    name = function(Publish=True)["FunctionName"]
    client.create_alias(FunctionName=name, Name="Prod", FunctionVersion="1")
    assert b'"one"' in invoke(client, name, Qualifier="Prod")
    client.update_function_code(FunctionName=name, ZipFile=OTHER)
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    assert invoke(client, name) == b'"two"'
    assert b'"one"' in invoke(client, f"{name}:Prod")
    version = client.publish_version(FunctionName=name)["Version"]
    assert version == "2"
    client.get_waiter("published_version_active").wait(FunctionName=name, Qualifier=version)
    client.update_alias(FunctionName=name, Name="Prod", FunctionVersion=version)
    assert invoke(client, name, Qualifier="Prod") == b'"two"'


def test_what_was_looked_up_ahead_outlives_no_change(client, function):
    """The server looks a function up when it has come to rest: here each change is called at once."""
    name = function()["FunctionName"]
    client.update_function_code(FunctionName=name, ZipFile=OTHER)
    assert invoke(client, name) == b'"two"'
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    client.update_function_code(FunctionName=name, ZipFile=ECHO, Publish=True)
    assert b'"one"' in invoke(client, name)
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    client.update_function_configuration(FunctionName=name, Handler="index.nowhere")
    assert client.invoke(FunctionName=name)["FunctionError"] == "Unhandled"
    assert b'"one"' in invoke(client, name, Qualifier="1")
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    assert error_of(client.invoke, FunctionName=name)["Error"]["Code"] == "TooManyRequestsException"
    client.delete_function(FunctionName=name)
    assert error_of(client.invoke, FunctionName=name)["Error"]["Code"] == "ResourceNotFoundException"
    function()  # another of the same name is another


def test_who_may_call_is_asked_of_the_policy_as_it_is(server, client, function):
    name = function()["FunctionName"]
    iam = server.client("iam")
    user = iam.create_user(UserName=f"caller-of-{name}"[:64])["User"]
    key = iam.create_access_key(UserName=user["UserName"])["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=server.region)
    caller = session.client("lambda", endpoint_url=server.endpoint)
    try:
        for _ in range(2):
            assert error_of(caller.invoke, FunctionName=name)["Error"]["Code"] == "AccessDeniedException"
            client.add_permission(
                FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal=user["Arn"]
            )
            assert b'"one"' in invoke(caller, name)
            client.remove_permission(FunctionName=name, StatementId="s")
    finally:
        iam.delete_access_key(UserName=user["UserName"], AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName=user["UserName"])


def test_a_function_starts_with_the_rights_of_the_role_that_it_has_now(server, client, function):
    source = """
import os
def handler(event, context):
    return os.environ["AWS_SESSION_TOKEN"], os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
"""
    name = function(code=make_zip({"index.py": source}))["FunctionName"]
    first = starter_role(server)
    other = server.client("iam").create_role(
        RoleName="the-other-role",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
                ],
            }
        ),
    )["Role"]["Arn"]
    try:
        for role in (first, other):
            if role == other:
                client.update_function_configuration(FunctionName=name, Role=role)
            token, key_id, secret = json.loads(invoke(client, name))
            session = boto3.Session(key_id, secret, token, region_name=server.region)
            called = session.client("sts", endpoint_url=server.endpoint).get_caller_identity()
            role_name = role.rpartition("/")[2]
            assert called["Arn"].endswith(f":assumed-role/{role_name}/{name}")
    finally:
        server.client("iam").delete_role(RoleName="the-other-role")


def test_every_waiter_returns(client, function):
    name = function()["FunctionName"]
    for waiter in (
        "function_exists",
        "function_active",
        "function_active_v2",
        "function_updated",
        "function_updated_v2",
    ):
        client.get_waiter(waiter).wait(FunctionName=name, WaiterConfig={"MaxAttempts": 2})


def test_the_package_can_be_fetched_from_the_code_location(client, function):
    name = function()["FunctionName"]
    location = client.get_function(FunctionName=name)["Code"]["Location"]
    with urllib.request.urlopen(location) as answer:
        assert answer.read() == ECHO
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(location[:-4] + "0000")
    caught.value.close()
    assert caught.value.code == 403


def test_the_function_sees_the_arn_that_was_called(client, function):
    # recorded: TestLambdaRuntimesCommon::test_introspection_invoke, invocation_result_payload_qualified
    arn = function()["FunctionArn"]
    name = arn.rpartition(":")[2]
    assert f'"arn": "{arn}"'.encode() in invoke(client, name)
    assert f'"arn": "{arn}:$LATEST"'.encode() in invoke(client, f"{arn}:$LATEST")


@pytest.mark.parametrize("kind", ["Event", "DryRun"])
def test_other_ways_to_invoke_answer_their_status(client, function, kind):
    name = function()["FunctionName"]
    answer = client.invoke(FunctionName=name, InvocationType=kind)
    assert answer["StatusCode"] == {"Event": 202, "DryRun": 204}[kind]
    assert answer["Payload"].read() == b""
    assert "ExecutedVersion" not in answer


def test_errors_have_the_shape_of_aws(client, function):
    # recorded: TestLambdaAlias, TestLambdaVersions: Message or message, Type or none, as each has it
    arn = function()["FunctionArn"]
    name = arn.rpartition(":")[2]
    missing = error_of(client.get_function, FunctionName=name, Qualifier="none")
    assert (missing["ResponseMetadata"]["HTTPStatusCode"], missing["Type"]) == (404, "User")
    assert missing["Message"] == missing["Error"]["Message"] == f"Function not found: {arn}:none"
    stale = error_of(client.publish_version, FunctionName=name, RevisionId="other")
    assert (stale["ResponseMetadata"]["HTTPStatusCode"], stale["Type"]) == (412, "User")
    routed = error_of(
        client.create_alias,
        FunctionName=name,
        Name="x",
        FunctionVersion="$LATEST",
        RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}},
    )
    assert routed["message"] == "$LATEST is not supported for an alias pointing to more than 1 version"
    assert "Type" not in routed


def test_what_cannot_be_created(server, client):
    given = {
        "FunctionName": "cannot-be-created",
        "Role": starter_role(server),
        "Runtime": "python3.12",
        "Handler": "index.handler",
        "Code": {"ZipFile": ECHO},
    }
    for change, code, start in [
        ({"Runtime": "python9.9"}, "InvalidParameterValueException", "Value python9.9 at 'runtime' failed to satisfy"),
        ({"Runtime": "python2.7"}, "InvalidParameterValueException", "The runtime parameter of python2.7 is no longer"),
        ({"Role": "r1"}, "ValidationException", "1 validation error detected: Value 'r1' at 'role' failed"),
        ({"MemorySize": 99999}, "ValidationException", "1 validation error detected: Value '99999' at 'memorySize'"),
        ({"Code": {"ZipFile": b"no zip"}}, "InvalidParameterValueException", "Could not unzip uploaded file."),
        (
            {"Role": f"arn:aws:iam::{server.account}:role/there-is-none"},
            "InvalidParameterValueException",
            "The role defined for the function cannot be assumed by Lambda.",
        ),
        (
            {"Code": {"S3Bucket": "b00", "S3Key": "k"}},
            "InvalidParameterValueException",
            "Error occurred while GetObject.",
        ),
    ]:
        error = error_of(client.create_function, **{**given, **change})["Error"]
        assert error["Code"] == code
        assert error["Message"].startswith(start)
    assert error_of(client.get_function, FunctionName="cannot-be-created")["Error"]["Code"] == (
        "ResourceNotFoundException"
    )


def test_lists_are_read_to_their_end_by_paginators(client, function):
    names = [function(suffix=f"-{number}")["FunctionName"] for number in range(3)]
    pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1})
    listed = [item["FunctionName"] for page in pages for item in page["Functions"]]
    assert [name for name in listed if name in names] == names


def test_a_function_survives_the_end_of_every_process(new_server):
    server = new_server()
    client = server.client("lambda")
    client.create_function(
        FunctionName="durable",
        Runtime="python3.12",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": ECHO},
        Publish=True,
        Tags={"kept": "yes"},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="durable")
    client.update_function_code(FunctionName="durable", ZipFile=OTHER)
    server.kill9()
    server.start()
    client = server.client("lambda")
    found = client.get_function(FunctionName="durable")
    assert found["Configuration"]["LastUpdateStatus"] == "Successful"
    assert found["Tags"] == {"kept": "yes"}
    assert invoke(client, "durable") == b'"two"'
    assert b'"one"' in invoke(client, "durable", Qualifier="1")


def test_an_answer_names_its_trace(client, function):
    name = function()["FunctionName"]
    for kind in ("RequestResponse", "Event"):
        answer = client.invoke(FunctionName=name, InvocationType=kind, Payload=b"{}")
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-trace-id"].startswith("Root=1-")
