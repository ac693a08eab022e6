"""Policies decide calls on a live server: a user of Lambda, a function's own credentials, boundaries, other callers."""

import json
import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.role import LAMBDA_TRUST
from support.zip import make_zip

ECHO = make_zip({"index.py": "def handler(event, context):\n    return event\n"})
# Does with the function's own credentials what it is told, and answers the error's code.
CALLER = make_zip(
    {
        "index.py": """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    client = boto3.client(event["service"], **event.get("client", {}))
    try:
        getattr(client, event["call"])(**event["params"])
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["Error"]["Message"]]
    return ["ok", ""]
"""
    }
)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


class Person:
    """A new user of the server, and its clients."""

    def __init__(self, server: CossetServer) -> None:
        self.server = server
        self.iam = server.client("iam")
        self.name = f"user-{uuid.uuid4().hex[:8]}"
        self.arn = self.iam.create_user(UserName=self.name)["User"]["Arn"]
        self._key = self.iam.create_access_key(UserName=self.name)["AccessKey"]

    def client(self, service: str) -> Any:
        session = boto3.Session(self._key["AccessKeyId"], self._key["SecretAccessKey"], region_name=self.server.region)
        return session.client(service, endpoint_url=self.server.endpoint)

    def may(self, *statements: dict[str, Any]) -> None:
        self.iam.put_user_policy(UserName=self.name, PolicyName="own", PolicyDocument=document(*statements))

    def remove(self) -> None:
        for arn in self.iam.list_attached_user_policies(UserName=self.name)["AttachedPolicies"]:
            self.iam.detach_user_policy(UserName=self.name, PolicyArn=arn["PolicyArn"])
        for name in self.iam.list_user_policies(UserName=self.name)["PolicyNames"]:
            self.iam.delete_user_policy(UserName=self.name, PolicyName=name)
        self.iam.delete_access_key(UserName=self.name, AccessKeyId=self._key["AccessKeyId"])
        self.iam.delete_user(UserName=self.name)


@pytest.fixture
def ada(server: CossetServer) -> Any:
    person = Person(server)
    yield person
    person.remove()


@pytest.fixture
def role(server: CossetServer) -> Any:
    """A role for functions; gives its name and ARN."""
    iam, name = server.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=LAMBDA_TRUST)["Role"]["Arn"]
    yield name, arn
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def refused(call: Any, **params: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    response = caught.value.response
    return response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


def make_function(client: Any, name: str, role_arn: str, code: bytes = ECHO) -> str:
    made = client.create_function(
        FunctionName=name, Runtime="python3.12", Role=role_arn, Handler="index.handler", Code={"ZipFile": code}
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    return str(made["FunctionArn"])


def test_a_user_with_the_managed_policy_for_lambda(ada: Person, server: CossetServer, role: tuple[str, str]) -> None:
    client, name = ada.client("lambda"), f"managed-{uuid.uuid4().hex[:8]}"
    arn = f"arn:aws:lambda:{server.region}:{server.account}:function:{name}"
    given = {
        "FunctionName": name,
        "Runtime": "python3.12",
        "Role": role[1],
        "Handler": "i.h",
        "Code": {"ZipFile": ECHO},
    }
    assert refused(client.create_function, **given) == (
        "AccessDeniedException",
        f"User: {ada.arn} is not authorized to perform: lambda:CreateFunction on resource: {arn} because no "
        "identity-based policy allows the lambda:CreateFunction action",
        403,
    )
    ada.may(allow("lambda:*"))
    code, message, _ = refused(client.create_function, **given)
    assert code == "AccessDeniedException"
    assert f"not authorized to perform: iam:PassRole on resource: {role[1]} because no identity-based" in message
    ada.iam.attach_user_policy(UserName=ada.name, PolicyArn="arn:aws:iam::aws:policy/AWSLambda_FullAccess")
    try:
        make_function(client, name, role[1])
        assert client.invoke(FunctionName=name, Payload=b'{"a":1}')["Payload"].read() == b'{"a": 1}'
        assert refused(ada.client("iam").create_user, UserName="x")[0] == "AccessDenied"
        assert refused(ada.client("logs").delete_log_group, logGroupName="/aws/lambda/x")[::2] == (
            "AccessDeniedException",
            400,
        )
        ada.may({"Effect": "Deny", "Action": "lambda:Invoke*", "Resource": "*"})
        assert refused(client.invoke, FunctionName=name)[1].endswith(
            f"on resource: {arn} with an explicit deny in an identity-based policy"
        )
    finally:
        server.client("lambda").delete_function(FunctionName=name)


def test_conditions_on_where_the_call_comes_from(ada: Person) -> None:
    client = ada.client("lambda")
    ada.may(allow("lambda:ListFunctions", Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}))
    client.list_functions()
    ada.may(allow("lambda:ListFunctions", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
    assert refused(client.list_functions)[0] == "AccessDeniedException"
    ada.may(allow("lambda:ListFunctions", Condition={"StringEquals": {"aws:RequestedRegion": ada.server.region}}))
    client.list_functions()
    ada.may(allow("lambda:ListFunctions", Condition={"Bool": {"aws:SecureTransport": "true"}}))
    assert refused(client.list_functions)[0] == "AccessDeniedException"


def test_a_function_may_what_its_role_may(server: CossetServer, role: tuple[str, str]) -> None:
    client, name = server.client("lambda"), f"caller-{uuid.uuid4().hex[:8]}"
    arn = make_function(client, name, role[1], CALLER)

    def ask(service: str, call: str, **params: Any) -> list[str]:
        event = json.dumps({"service": service, "call": call, "params": params})
        answer = client.invoke(FunctionName=name, Payload=event)
        result = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, result
        return list(result)

    try:
        code, message = ask("lambda", "get_function", FunctionName=name)
        assert code == "AccessDeniedException"
        assert message.startswith(
            f"User: arn:aws:sts::{server.account}:assumed-role/{role[0]}/{name} is not authorized"
        )
        server.client("iam").put_role_policy(
            RoleName=role[0], PolicyName="own", PolicyDocument=document(allow("lambda:GetFunction", arn))
        )
        assert ask("lambda", "get_function", FunctionName=name) == ["ok", ""]
        assert ask("lambda", "list_functions")[0] == "AccessDeniedException"
        assert ask("iam", "list_users")[0] == "AccessDenied"
    finally:
        client.delete_function(FunctionName=name)


def test_a_policy_on_the_function_suffices(ada: Person, server: CossetServer, role: tuple[str, str]) -> None:
    client, name = server.client("lambda"), f"granted-{uuid.uuid4().hex[:8]}"
    make_function(client, name, role[1])
    try:
        assert refused(ada.client("lambda").invoke, FunctionName=name)[0] == "AccessDeniedException"
        grant = {"FunctionName": name, "StatementId": "ada", "Action": "lambda:InvokeFunction"}
        client.add_permission(Principal=ada.arn, **grant)
        assert ada.client("lambda").invoke(FunctionName=name, Payload=b"1")["Payload"].read() == b"1"
        assert refused(ada.client("lambda").get_function, FunctionName=name)[0] == "AccessDeniedException"
        client.remove_permission(FunctionName=name, StatementId="ada")
        assert refused(ada.client("lambda").invoke, FunctionName=name)[0] == "AccessDeniedException"
        # To the account is to nobody in it: its own policies decide.
        client.add_permission(Principal=server.account, **grant)
        assert refused(ada.client("lambda").invoke, FunctionName=name)[0] == "AccessDeniedException"
    finally:
        client.delete_function(FunctionName=name)


def test_malformed_policies_are_refused_when_they_are_written(ada: Person) -> None:
    for statement in (
        allow("s3:*", Condition={"StringEqual": {"k": "v"}}),
        allow("s3:*", Condition={"IpAddress": {"aws:SourceIp": "everywhere"}}),
        allow("s3:*") | {"NotAction": "s3:*"},
    ):
        assert refused(
            ada.iam.put_user_policy, UserName=ada.name, PolicyName="own", PolicyDocument=document(statement)
        )[::2] == ("MalformedPolicyDocument", 400)


def test_audit_says_and_lets_through(new_server: Any) -> None:
    server = new_server("--dev")
    person = Person(server)
    person.client("lambda").list_functions()
    assert "would have been denied" in server.log()
    assert "because no identity-based policy allows the lambda:ListFunctions action" in server.log()
