"""Several accounts and regions in one server: what is in one is neither seen nor touched from another."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.accounts import Account
from support.command import cosset
from support.role import LAMBDA_TRUST
from support.zip import make_zip

# Says whose it is, by its own credentials.
ECHO = make_zip(
    {
        "index.py": """
import boto3

def handler(event, context):
    return boto3.client("sts").get_caller_identity()["Account"]
"""
    }
)


@pytest.fixture(scope="module")
def other(server: CossetServer) -> Account:
    return Account(server)


@pytest.fixture
def function(server: CossetServer) -> Iterator[str]:
    """A function of the server's own account, which has been called."""
    client, name = server.client("lambda"), f"f-{uuid.uuid4().hex[:8]}"
    make(client, name, f"arn:aws:iam::{server.account}:role/cosset-basic")
    assert invoke(client, name) == server.account
    yield name
    client.delete_function(FunctionName=name)


def make(client: Any, name: str, role: str) -> Any:
    made = client.create_function(
        FunctionName=name, Runtime="python3.12", Handler="index.handler", Role=role, Code={"ZipFile": ECHO}, Timeout=30
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    return made


def invoke(client: Any, name: str) -> Any:
    return json.loads(client.invoke(FunctionName=name)["Payload"].read())


def code_of(call: Callable[..., Any], **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**params)
    return str(caught.value.response["Error"]["Code"])


def test_an_account_is_whole(server: CossetServer, other: Account) -> None:
    """The same names as in the first account, and nothing of it."""
    assert other.said == {"account": other.number, "profile": f"cosset-{other.number}"}
    identity = other.client("sts").get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{other.number}:user/administrator"
    client, role = other.client("lambda"), f"arn:aws:iam::{other.number}:role/cosset-basic"
    name = f"f-{uuid.uuid4().hex[:8]}"
    make(server.client("lambda"), name, f"arn:aws:iam::{server.account}:role/cosset-basic")
    assert make(client, name, role)["FunctionArn"] == f"arn:aws:lambda:{server.region}:{other.number}:function:{name}"
    # The function is its account's, from inside too.
    assert [invoke(client, name), invoke(server.client("lambda"), name)] == [other.number, server.account]
    assert [each["FunctionName"] for each in client.list_functions()["Functions"]] == [name]
    client.delete_function(FunctionName=name)
    assert server.client("lambda").get_function(FunctionName=name)
    server.client("lambda").delete_function(FunctionName=name)


def test_nothing_is_seen_of_another_account(server: CossetServer, other: Account, function: str) -> None:
    client = other.client("lambda")
    arn = f"arn:aws:lambda:{server.region}:{server.account}:function:{function}"
    assert client.list_functions()["Functions"] == []
    assert code_of(client.get_function, FunctionName=function) == "ResourceNotFoundException"
    for call in (client.get_function, client.invoke, client.delete_function, client.get_policy):
        assert code_of(call, FunctionName=arn) == "AccessDeniedException"
    logs = other.client("logs")
    assert {each["arn"].split(":")[4] for each in logs.describe_log_groups()["logGroups"]} <= {other.number}
    group = f"/aws/lambda/{function}"
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []
    assert code_of(logs.describe_log_streams, logGroupName=group) == "ResourceNotFoundException"
    assert code_of(logs.filter_log_events, logGroupName=group) == "ResourceNotFoundException"


def test_neither_users_nor_roles_cross(server: CossetServer, other: Account) -> None:
    name = f"u-{uuid.uuid4().hex[:8]}"
    server.client("iam").create_user(UserName=name)
    server.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=LAMBDA_TRUST)
    iam = other.client("iam")
    assert [each["UserName"] for each in iam.list_users()["Users"]] == ["administrator"]
    assert code_of(iam.get_user, UserName=name) == "NoSuchEntity"
    assert code_of(iam.get_role, RoleName=name) == "NoSuchEntity"
    theirs = f"arn:aws:iam::{server.account}:role/{name}"
    assert code_of(other.client("sts").assume_role, RoleArn=theirs, RoleSessionName="session") == "AccessDenied"
    refused = code_of(
        other.client("lambda").create_function,
        FunctionName=name,
        Runtime="python3.12",
        Handler="index.handler",
        Role=theirs,
        Code={"ZipFile": ECHO},
    )
    assert refused == "AccessDeniedException"
    # The key of a user is found in its own account only.
    key = server.client("iam").create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    assert code_of(iam.get_access_key_last_used, AccessKeyId=key) == "NoSuchEntity"
    assert code_of(iam.delete_access_key, AccessKeyId=key, UserName="administrator") == "NoSuchEntity"


def test_a_role_crosses_where_both_sides_say_so(server: CossetServer, other: Account) -> None:
    name = f"r-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{other.number}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = server.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    session = other.client("sts").assume_role(RoleArn=role, RoleSessionName="session")
    assert session["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{server.account}:assumed-role/{name}/session"


def test_a_function_is_called_where_both_sides_say_so(server: CossetServer, other: Account, function: str) -> None:
    """By the policy on the very function, version or alias, and by the caller's own account."""
    arn = f"arn:aws:lambda:{server.region}:{server.account}:function:{function}"
    home, away = server.client("lambda"), other.client("lambda")
    for kind in ("RequestResponse", "Event", "DryRun"):
        assert code_of(away.invoke, FunctionName=arn, InvocationType=kind) == "AccessDeniedException"
    # Nothing tells whether there is such a function.
    assert code_of(away.invoke, FunctionName=f"{arn}-not-there") == "AccessDeniedException"
    home.add_permission(FunctionName=function, StatementId="them", Action="lambda:*", Principal=other.number)
    try:
        assert invoke(away, arn) == server.account
        assert away.invoke(FunctionName=arn, InvocationType="Event")["StatusCode"] == 202
        assert away.invoke(FunctionName=arn, InvocationType="DryRun")["StatusCode"] == 204
        streamed = away.invoke_with_response_stream(FunctionName=arn)["EventStream"]
        whole = b"".join(each["PayloadChunk"]["Payload"] for each in streamed if "PayloadChunk" in each)
        assert json.loads(whole) == server.account
        # The account is named in every way that a function can be.
        assert invoke(away, f"{server.account}:function:{function}") == server.account
        assert code_of(away.invoke, FunctionName=function) == "ResourceNotFoundException"
        # The policy is on the function without a qualifier; $LATEST has the same.
        version = home.publish_version(FunctionName=function)["Version"]
        assert code_of(away.invoke, FunctionName=arn, Qualifier=version) == "AccessDeniedException"
        assert code_of(away.invoke, FunctionName=f"{arn}:{version}") == "AccessDeniedException"
        # AWS opens some operations to other accounts, and others never.
        assert away.get_function(FunctionName=arn)["Configuration"]["FunctionArn"] == arn
        assert away.create_alias(FunctionName=arn, Name="theirs", FunctionVersion=version)["Name"] == "theirs"
        away.delete_alias(FunctionName=arn, Name="theirs")
        for call in (away.update_function_configuration, away.get_policy, away.list_tags):
            named = {"Resource": arn} if call == away.list_tags else {"FunctionName": arn}
            assert code_of(call, **named) == "AccessDeniedException"
        # The other account's administrators decide about their own people.
        user = other.client("iam").create_user(UserName="caller")["User"]
        key = other.client("iam").create_access_key(UserName="caller")["AccessKey"]
        theirs = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=server.region)
        client = theirs.client("lambda", endpoint_url=server.endpoint)
        assert code_of(client.invoke, FunctionName=arn) == "AccessDeniedException"
        statement = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        other.client("iam").put_user_policy(UserName="caller", PolicyName="own", PolicyDocument=document)
        assert invoke(client, arn) == server.account
        assert user["Arn"].split(":")[4] == other.number
    finally:
        home.remove_permission(FunctionName=function, StatementId="them")
    assert code_of(away.invoke, FunctionName=arn) == "AccessDeniedException"


def test_a_policy_that_is_put_whole_opens_and_shuts(server: CossetServer, other: Account, function: str) -> None:
    arn = f"arn:aws:lambda:{server.region}:{server.account}:function:{function}"
    home, away = server.client("lambda"), other.client("lambda")
    them = {"Effect": "Allow", "Principal": {"AWS": other.number}, "Action": "lambda:InvokeFunction", "Resource": arn}
    nobody = {"Effect": "Deny", "Principal": "*", "Action": "lambda:InvokeFunction", "Resource": arn}
    home.put_resource_policy(ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [them]}))
    assert invoke(away, arn) == server.account
    home.put_resource_policy(ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [them, nobody]}))
    for client in (away, home):
        assert code_of(client.invoke, FunctionName=arn) == "AccessDeniedException"
    home.delete_resource_policy(ResourceArn=arn)
    assert invoke(home, arn) == server.account
    assert code_of(away.invoke, FunctionName=arn) == "AccessDeniedException"


def test_a_layer_is_used_where_its_policy_says_so(server: CossetServer, other: Account) -> None:
    """By the policy on the very version; read and used, and nothing else."""
    home, away = server.client("lambda"), other.client("lambda")
    layer = f"l-{uuid.uuid4().hex[:8]}"
    arn = home.publish_layer_version(LayerName=layer, Content={"ZipFile": ECHO})["LayerVersionArn"]
    role = f"arn:aws:iam::{other.number}:role/layered"
    other.client("iam").create_role(RoleName="layered", AssumeRolePolicyDocument=LAMBDA_TRUST)
    wanted = {
        "FunctionName": "layered",
        "Runtime": "python3.12",
        "Handler": "index.handler",
        "Role": role,
        "Code": {"ZipFile": ECHO},
        "Layers": [arn],
    }
    assert code_of(away.get_layer_version_by_arn, Arn=arn) == "AccessDeniedException"
    assert code_of(away.create_function, **wanted) == "AccessDeniedException"
    home.add_layer_version_permission(
        LayerName=layer, VersionNumber=1, StatementId="s", Action="lambda:GetLayerVersion", Principal=other.number
    )
    assert away.get_layer_version_by_arn(Arn=arn)["LayerVersionArn"] == arn
    assert away.create_function(**wanted)["Layers"][0]["Arn"] == arn
    away.get_waiter("function_active_v2").wait(FunctionName="layered")
    away.delete_function(FunctionName="layered")
    assert code_of(away.delete_layer_version, LayerName=arn.rpartition(":")[0], VersionNumber=1) == (
        "AccessDeniedException"
    )
    home.remove_layer_version_permission(LayerName=layer, VersionNumber=1, StatementId="s")
    assert code_of(away.get_layer_version_by_arn, Arn=arn) == "AccessDeniedException"
    home.delete_layer_version(LayerName=layer, VersionNumber=1)


def test_regions_are_apart(server: CossetServer, function: str) -> None:
    away = server.client("lambda", region_name="eu-west-1")
    assert function not in [each["FunctionName"] for each in away.list_functions()["Functions"]]
    assert code_of(away.get_function, FunctionName=function) == "ResourceNotFoundException"
    made = make(away, function, f"arn:aws:iam::{server.account}:role/cosset-basic")
    assert made["FunctionArn"] == f"arn:aws:lambda:eu-west-1:{server.account}:function:{function}"
    away.delete_function(FunctionName=function)
    assert server.client("lambda").get_function(FunctionName=function)
    group = f"/aws/lambda/{function}"
    there = server.client("logs", region_name="eu-west-1").describe_log_groups(logGroupNamePrefix=group)
    assert there["logGroups"] == []


def test_what_was_asked_is_told_to_its_account_only(server: CossetServer, other: Account, function: str) -> None:
    status, body = other.own("ListDenied")
    assert status == 200
    assert json.loads(body)["denied"] == []


def test_only_the_first_account_adds_and_lists(server: CossetServer, other: Account) -> None:
    for operation in ("CreateAccount", "ListAccounts"):
        status, body = other.own(operation)
        assert (status, json.loads(body)["code"]) == (403, "AccessDeniedException")
    listed = [json.loads(line) for line in cosset(server, "account", "list", "--json").stdout.splitlines()]
    assert [each["account"] for each in listed if each["own"]] == [server.account]
    assert other.number in [each["account"] for each in listed]


def test_what_is_no_new_account(server: CossetServer, other: Account) -> None:
    for number, said in (
        (other.number, "already exists"),
        ("000000000000", "is the account of cosset up --dev"),
        ("12345", "twelve digits"),
    ):
        done = cosset(server, "account", "add", number)
        assert done.returncode == 1
        assert said in done.stderr
    assert "AKIA" not in cosset(server, "account", "add", "123456789012").stdout


def test_the_own_account_stays_the_own(new_server: Callable[..., CossetServer]) -> None:
    """Also where the development account was there first and an added one second."""
    server = new_server("--dev")
    added = Account(server, "210987654321")
    assert added.client("sts").get_caller_identity()["Account"] == "210987654321"
    # A role that nobody made stays in its account, and lets in nobody else.
    role = "arn:aws:iam::210987654321:role/made-up"
    made = added.client("sts").assume_role(RoleArn=role, RoleSessionName="session")
    assert made["AssumedRoleUser"]["Arn"] == "arn:aws:sts::210987654321:assumed-role/made-up/session"
    assert code_of(server.client("sts").assume_role, RoleArn=role, RoleSessionName="session") == "AccessDenied"
    theirs = "arn:aws:iam::000000000000:role/made-up"
    assert code_of(added.client("sts").assume_role, RoleArn=theirs, RoleSessionName="session") == "AccessDenied"
    make(added.client("lambda"), "whose", role)
    assert invoke(added.client("lambda"), "whose") == "210987654321"
    with pytest.raises(ClientError, match="Cross-account pass role is not allowed"):
        make(added.client("lambda"), "theirs", "arn:aws:iam::000000000000:role/cosset-basic")
    # Audit lets nobody over to another account.
    theirs = "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert code_of(added.client("lambda").invoke, FunctionName=theirs) == "AccessDeniedException"
    server.restart()
    assert server.account == "000000000000"
    assert invoke(added.client("lambda"), "whose") == "210987654321"
    assert server.client("lambda").list_functions()["Functions"] == []
