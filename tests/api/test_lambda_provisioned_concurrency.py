"""Provisioned concurrency through the door: environments that are ready before anybody calls."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from support.role import starter_role
from support.zip import make_zip

CODE = make_zip(
    {
        "index.py": "import os, time\n"
        "def handler(event, context):\n"
        "    time.sleep(event.get('sleep', 0))\n"
        "    return [os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'], context.function_version]\n"
    }
)
BROKEN = make_zip({"index.py": "raise ValueError('not today')\n"})


@pytest.fixture(scope="module")
def client(server):
    return server.client("lambda")


@pytest.fixture(scope="module")
def create(server, client):
    """Makes functions with a version 1, and takes them away again."""
    made = []

    def make(name, code=CODE):
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=starter_role(server),
            Handler="index.handler",
            Code={"ZipFile": code},
            Publish=True,
        )
        made.append(name)
        client.get_waiter("function_active_v2").wait(FunctionName=name)
        return name

    yield make
    for name in made:
        client.delete_function(FunctionName=name)


@pytest.fixture(scope="module")
def name(create):
    return create("provisioned")


def progress(client, name, qualifier):
    answer = client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
    return {member: value for member, value in answer.items() if member not in ("ResponseMetadata", "LastModified")}


def wait_until_done(client, name, qualifier):
    deadline = time.monotonic() + 240
    while (found := progress(client, name, qualifier))["Status"] == "IN_PROGRESS":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def call(client, name, qualifier):
    return json.loads(client.invoke(FunctionName=name, Qualifier=qualifier, Payload=b"{}")["Payload"].read())


def refusal(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["Error"]["Code"], error["Error"]["Message"]


def test_life_of_a_provision(client, name):
    # recorded: TestLambdaConcurrency::test_provisioned_concurrency_on_alias
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    put = client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=2
    )
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 202
    asked = {
        "RequestedProvisionedConcurrentExecutions": 2,
        "AllocatedProvisionedConcurrentExecutions": 0,
        "AvailableProvisionedConcurrentExecutions": 0,
        "Status": "IN_PROGRESS",
    }
    assert {member: put[member] for member in asked} == asked
    ready = {
        "RequestedProvisionedConcurrentExecutions": 2,
        "AllocatedProvisionedConcurrentExecutions": 2,
        "AvailableProvisionedConcurrentExecutions": 2,
        "Status": "READY",
    }
    assert wait_until_done(client, name, "live") == ready
    assert call(client, name, "live") == ["provisioned-concurrency", "1"]
    assert call(client, name, "$LATEST") == ["on-demand", "$LATEST"]
    [listed] = client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
    assert listed["FunctionArn"].endswith(f":function:{name}:live")
    assert listed["Status"] == "READY"

    client.update_function_configuration(FunctionName=name, Description="second")
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    client.publish_version(FunctionName=name)
    client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    assert wait_until_done(client, name, "live") == ready
    assert call(client, name, "live") == ["provisioned-concurrency", "2"]

    client.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="live")
    client.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="live")
    assert refusal(client.get_provisioned_concurrency_config, FunctionName=name, Qualifier="live") == (
        "ProvisionedConcurrencyConfigNotFoundException",
        "No Provisioned Concurrency Config found for this function",
    )
    client.delete_alias(FunctionName=name, Name="live")


def test_a_function_that_does_not_initialize(client, create):
    # recorded: TestLambdaConcurrency::test_provisioned_concurrency_init_failure
    name = create("provisioned-and-broken", BROKEN)
    client.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1)
    assert wait_until_done(client, name, "1") == {
        "RequestedProvisionedConcurrentExecutions": 1,
        "AllocatedProvisionedConcurrentExecutions": 0,
        "AvailableProvisionedConcurrentExecutions": 0,
        "Status": "FAILED",
        "StatusReason": "FUNCTION_ERROR_INIT_FAILURE",
    }


def test_what_is_reserved_bounds_what_is_provisioned(client, create):
    # recorded: TestLambdaConcurrency::test_reserved_provisioned_overlap
    name = create("provisioned-and-reserved")
    client.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=2)
    assert refusal(client.put_function_concurrency, FunctionName=name, ReservedConcurrentExecutions=1) == (
        "InvalidParameterValueException",
        " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2].",
    )
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
    put = client.put_provisioned_concurrency_config
    too_much = (
        "InvalidParameterValueException",
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function",
    )
    assert refusal(put, FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=3) == too_much
    wait_until_done(client, name, "1")
    assert call(client, name, "1") == ["provisioned-concurrency", "1"]
    code, message = refusal(client.invoke, FunctionName=name, Payload=b"{}")
    assert (code, message) == ("TooManyRequestsException", "Rate Exceeded.")


@pytest.mark.parametrize(
    ("qualifier", "count", "code", "message"),
    [
        (
            "$LATEST",
            1,
            "InvalidParameterValueException",
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
        ),
        (
            "1",
            901,
            "InvalidParameterValueException",
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
            "minimum value of [100].",
        ),
        ("none", 1, "ResourceNotFoundException", "Cannot find alias arn: {arn}:none"),
        ("9", 1, "ResourceNotFoundException", "Function not found: {arn}:9"),
    ],
)
def test_refusals(client, name, qualifier, count, code, message):
    arn = client.get_function_configuration(FunctionName=name)["FunctionArn"]
    refused = refusal(
        client.put_provisioned_concurrency_config,
        FunctionName=name,
        Qualifier=qualifier,
        ProvisionedConcurrentExecutions=count,
    )
    assert refused == (code, message.format(arn=arn))


def test_a_version_has_a_snapshot_or_a_provision(client, create):
    name = create("provisioned-or-snapped")
    client.update_function_configuration(FunctionName=name, SnapStart={"ApplyOn": "PublishedVersions"})
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    version = client.publish_version(FunctionName=name)["Version"]
    code, _ = refusal(
        client.put_provisioned_concurrency_config,
        FunctionName=name,
        Qualifier=version,
        ProvisionedConcurrentExecutions=1,
    )
    assert code == "InvalidParameterValueException"


def test_a_version_has_one_provision(client, create):
    name = create("provisioned-once")
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    put = client.put_provisioned_concurrency_config
    put(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1)
    assert refusal(put, FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=1) == (
        "ResourceConflictException",
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
    )
    client.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    put(FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=1)
    assert refusal(put, FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1) == (
        "ResourceConflictException",
        "Version is pointed by a Provisioned Concurrency alias",
    )


def test_environments_are_there_again_after_a_restart(new_server):
    server = new_server()
    client = server.client("lambda")
    client.create_function(
        FunctionName="kept-ready",
        Runtime="python3.12",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": CODE},
        Publish=True,
    )
    client.get_waiter("function_active_v2").wait(FunctionName="kept-ready")
    client.put_provisioned_concurrency_config(
        FunctionName="kept-ready", Qualifier="1", ProvisionedConcurrentExecutions=1
    )
    server.kill9()
    server.start()
    client = server.client("lambda")
    assert wait_until_done(client, "kept-ready", "1")["Status"] == "READY"
    assert call(client, "kept-ready", "1") == ["provisioned-concurrency", "1"]
