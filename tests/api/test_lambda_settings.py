"""Aliases, tags, concurrency and policies through the door."""

import json
from collections import Counter

import pytest

from support.role import starter_role
from support.zip import make_zip

VERSION = make_zip({"index.py": "def handler(event, context):\n    return context.function_version\n"})
CALLS = 60


@pytest.fixture(scope="module")
def client(server):
    return server.client("lambda")


@pytest.fixture(scope="module")
def name(server, client):
    """A function with the versions 1 and 2."""
    name = "settings-of-a-function"
    client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": VERSION},
        Publish=True,
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    client.update_function_configuration(FunctionName=name, Description="second")
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    client.publish_version(FunctionName=name)
    yield name
    client.delete_function(FunctionName=name)


def arn_of(client, name):
    return client.get_function_configuration(FunctionName=name)["FunctionArn"]


def test_weights_really_route(client, name):
    client.create_alias(
        FunctionName=name,
        Name="Canary",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )
    answers = [client.invoke(FunctionName=name, Qualifier="Canary") for _ in range(CALLS)]
    served = Counter(answer["ExecutedVersion"] for answer in answers)
    # The chance that a fair coin shows one side alone in 60 throws is 2 to the -59.
    assert served.keys() == {"1", "2"}
    for answer in answers:
        assert json.loads(answer["Payload"].read()) == answer["ExecutedVersion"]
    client.update_alias(FunctionName=name, Name="Canary", RoutingConfig={"AdditionalVersionWeights": {}})
    assert {client.invoke(FunctionName=name, Qualifier="Canary")["ExecutedVersion"] for _ in range(20)} == {"1"}
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.delete_function(FunctionName=name, Qualifier="1")
    client.delete_alias(FunctionName=name, Name="Canary")


def test_a_function_with_nothing_reserved_is_throttled(client, name):
    # recorded: TestLambdaConcurrency::test_reserved_concurrency, exc_no_cap_requestresponse
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(client.exceptions.TooManyRequestsException) as caught:
        client.invoke(FunctionName=name)
    assert caught.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert caught.value.response["Error"]["Message"] == "Rate Exceeded."
    client.delete_function_concurrency(FunctionName=name)
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName=name)
    assert client.invoke(FunctionName=name)["StatusCode"] == 200


def test_tags(client, name):
    arn = arn_of(client, name)
    client.tag_resource(Resource=arn, Tags={"stage": "beta", "owner": "me"})
    client.untag_resource(Resource=arn, TagKeys=["owner"])
    assert client.list_tags(Resource=arn)["Tags"] == {"stage": "beta"}
    assert client.get_function(FunctionName=name)["Tags"] == {"stage": "beta"}


def test_a_policy(client, name):
    arn = arn_of(client, name)
    added = client.add_permission(
        FunctionName=name,
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::bucket",
    )
    statement = json.loads(added["Statement"])
    assert statement["Resource"] == arn
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"}}
    assert json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"] == [statement]
    client.remove_permission(FunctionName=name, StatementId="s3")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_policy(FunctionName=name)
