"""What a function borrows of its role: it ends when the role does, and nobody borrows what they may not pass."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.command import cosset
from support.role import LAMBDA_TRUST
from support.zip import make_zip

# Says how its own call ended, with the credentials that its environment was made with.
ASKS = make_zip(
    {
        "index.py": """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    try:
        return boto3.client("lambda").get_function(FunctionName=context.function_name)["Configuration"]["FunctionName"]
    except ClientError as error:
        return error.response["Error"]["Code"]
"""
    }
)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


class Borrower:
    """A role, and a function that lives by it."""

    def __init__(self, server: CossetServer) -> None:
        self.name = f"borrower-{uuid.uuid4().hex[:8]}"
        self.server = server
        self.iam, self.client = server.client("iam"), server.client("lambda")
        self.role_arn = self.make_role()
        self.client.create_function(**self.given(self.name, self.role_arn))
        self.wait(self.name)

    def given(self, name: str, role_arn: str) -> dict[str, Any]:
        code = {"ZipFile": ASKS}
        return {
            "FunctionName": name,
            "Runtime": "python3.13",
            "Role": role_arn,
            "Handler": "index.handler",
            "Code": code,
        }

    def wait(self, name: str) -> None:
        self.client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

    def make_role(self, trust: str = LAMBDA_TRUST) -> str:
        made = self.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=trust)
        self.put("may", allow("lambda:GetFunction"))
        return str(made["Role"]["Arn"])

    def put(self, name: str, *statements: dict[str, Any]) -> None:
        self.iam.put_role_policy(RoleName=self.name, PolicyName=name, PolicyDocument=document(*statements))

    def remove_role(self) -> None:
        for name in self.iam.list_role_policies(RoleName=self.name)["PolicyNames"]:
            self.iam.delete_role_policy(RoleName=self.name, PolicyName=name)
        self.iam.delete_role(RoleName=self.name)

    def ask(self) -> str:
        return str(json.load(self.client.invoke(FunctionName=self.name)["Payload"]))

    def close(self) -> None:
        self.client.delete_function(FunctionName=self.name)
        self.remove_role()


@pytest.fixture
def borrower(server: CossetServer) -> Iterator[Borrower]:
    made = Borrower(server)
    try:
        yield made
    finally:
        made.close()


def refused(call: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_warm_function_loses_its_rights_with_its_role(borrower: Borrower) -> None:
    assert borrower.ask() == borrower.name
    borrower.put("may", allow("s3:*"))
    assert borrower.ask() == "AccessDeniedException"
    borrower.put("may", allow("lambda:GetFunction"))
    assert borrower.ask() == borrower.name
    borrower.remove_role()
    assert borrower.ask() == "UnrecognizedClientException"
    # A successor of the same name is another role: what was borrowed of the old one stays nothing.
    borrower.make_role()
    assert borrower.ask() == "UnrecognizedClientException"


def test_sessions_are_revoked_by_policy(borrower: Borrower) -> None:
    """As the console's "Revoke active sessions": what was issued before a time is denied."""
    assert borrower.ask() == borrower.name
    until = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    older = {"DateLessThan": {"aws:TokenIssueTime": until}}
    borrower.put("revoke", {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": older})
    assert borrower.ask() == "AccessDeniedException"
    borrower.put("revoke", {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": older})
    assert borrower.ask() == borrower.name


def test_a_role_is_passed_by_those_who_may(borrower: Borrower, server: CossetServer) -> None:
    name = f"eve-{uuid.uuid4().hex[:8]}"
    iam = server.client("iam")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=server.region)
    client = session.client("lambda", endpoint_url=server.endpoint)
    strong = iam.create_role(RoleName=name, AssumeRolePolicyDocument=LAMBDA_TRUST)["Role"]["Arn"]
    to_ec2 = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    try:
        for passing in (
            [],
            [allow("iam:PassRole", strong, Condition=to_ec2)],
            [allow("iam:PassRole", strong + "x"), allow("iam:PassRole", borrower.role_arn)],
            [allow("iam:PassRole", strong.replace(name, name.upper()))],
        ):
            text = document(allow("lambda:*"), *passing)
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=text)
            for call, params in (
                (client.create_function, borrower.given(name, strong)),
                (client.update_function_configuration, {"FunctionName": borrower.name, "Role": strong}),
            ):
                code, message = refused(call, **params)
                assert code == "AccessDeniedException"
                assert f"iam:PassRole on resource: {strong}" in message
        # What the function has already may stay without being passed again.
        client.update_function_configuration(FunctionName=borrower.name, Description="changed")
    finally:
        iam.delete_role(RoleName=name)
        iam.delete_user_policy(UserName=name, PolicyName="p")
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName=name)


def test_a_role_that_lambda_may_not_assume_is_refused(borrower: Borrower, server: CossetServer) -> None:
    cannot = "The role defined for the function cannot be assumed by Lambda."
    name = f"other-{uuid.uuid4().hex[:8]}"
    only_one = json.loads(LAMBDA_TRUST)
    source = f"arn:aws:lambda:{server.region}:{server.account}:function:{name}"
    only_one["Statement"][0]["Condition"] = {"ArnEquals": {"aws:SourceArn": source}}
    nobody = LAMBDA_TRUST.replace("lambda.amazonaws.com", "ec2.amazonaws.com")
    for trust in (nobody, document({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}), only_one):
        text = trust if isinstance(trust, str) else json.dumps(trust)
        borrower.iam.update_assume_role_policy(RoleName=borrower.name, PolicyDocument=text)
        given = borrower.given(name + "x", borrower.role_arn)
        assert refused(borrower.client.create_function, **given) == ("InvalidParameterValueException", cannot)
    borrower.client.create_function(**borrower.given(name, borrower.role_arn))
    borrower.wait(name)
    borrower.client.delete_function(FunctionName=name)
    borrower.iam.update_assume_role_policy(RoleName=borrower.name, PolicyDocument=LAMBDA_TRUST)


def test_a_role_of_another_account_is_not_borrowed(borrower: Borrower, server: CossetServer) -> None:
    made = json.loads(cosset(server, "account", "add", "--no-profile", "--json").stdout)
    theirs = boto3.Session(made["access_key_id"], made["secret_access_key"], region_name=server.region)
    client = theirs.client("lambda", endpoint_url=server.endpoint)
    code, _ = refused(client.create_function, **borrower.given(borrower.name, borrower.role_arn))
    assert code == "AccessDeniedException"
    assert refused(client.invoke, FunctionName=f"{server.account}:{borrower.name}")[0] == "AccessDeniedException"
    # One side is not enough, whichever it is.
    permission = {"FunctionName": borrower.name, "Action": "lambda:InvokeFunction", "StatementId": "s"}
    borrower.client.add_permission(**permission, Principal=made["account"])
    iam = theirs.client("iam", endpoint_url=server.endpoint)
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    user = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=server.region)
    calls = user.client("lambda", endpoint_url=server.endpoint)
    arn = f"arn:aws:lambda:{server.region}:{server.account}:function:{borrower.name}"
    assert (
        refused(user.client("lambda", endpoint_url=server.endpoint).invoke, FunctionName=arn)[0]
        == "AccessDeniedException"
    )
    text = document(allow("lambda:InvokeFunction", arn))
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=text)
    assert json.load(calls.invoke(FunctionName=arn)["Payload"]) == borrower.name
    borrower.client.remove_permission(FunctionName=borrower.name, StatementId="s")
    assert (
        refused(user.client("lambda", endpoint_url=server.endpoint).invoke, FunctionName=arn)[0]
        == "AccessDeniedException"
    )


def test_what_a_dead_function_had_is_worth_nothing(server: CossetServer) -> None:
    """Credentials that somebody carried out of an environment: good as long as the role is."""
    leak = make_zip({"index.py": "import os\ndef handler(e, c):\n    return {k: v for k, v in os.environ.items()}\n"})
    name = f"leaks-{uuid.uuid4().hex[:8]}"
    iam, client = server.client("iam"), server.client("lambda")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=LAMBDA_TRUST)["Role"]["Arn"]
    client.create_function(
        FunctionName=name, Runtime="python3.13", Role=arn, Handler="index.handler", Code={"ZipFile": leak}
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    found = json.load(client.invoke(FunctionName=name)["Payload"])
    keys = (found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"], found["AWS_SESSION_TOKEN"])
    outside = boto3.Session(*keys, region_name=server.region).client("sts", endpoint_url=server.endpoint)
    assert outside.get_caller_identity()["Arn"].endswith(f"assumed-role/{name}/{name}")
    client.delete_function(FunctionName=name)
    iam.delete_role(RoleName=name)
    assert refused(outside.get_caller_identity)[0] == "InvalidClientTokenId"
