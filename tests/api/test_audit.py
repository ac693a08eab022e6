"""What functions ask for, on live servers: counted in audit mode, and turned into the least policy in both modes."""

import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.command import cosset
from support.zip import make_zip

LISTER = make_zip(
    {
        "index.py": """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    try:
        boto3.client("lambda").get_function(FunctionName=event["function"])
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "ok"
"""
    }
)


def make_function(server: CossetServer, role: str) -> str:
    client, name = server.client("lambda"), f"f-{uuid.uuid4().hex[:8]}"
    client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Handler="index.handler",
        Role=f"arn:aws:iam::{server.account}:role/{role}",
        Code={"ZipFile": LISTER},
        Timeout=30,
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    return name


def invoke(server: CossetServer, name: str) -> Any:
    answer = server.client("lambda").invoke(FunctionName=name, Payload=json.dumps({"function": name}).encode())
    return json.loads(answer["Payload"].read())


def test_audit_counts_what_enforcing_would_deny(new_server: Callable[..., CossetServer]) -> None:
    server = new_server("--dev")
    name = make_function(server, "cosset-basic")
    arn = f"arn:aws:lambda:{server.region}:{server.account}:function:{name}"
    assert [invoke(server, name) for _ in range(2)] == ["ok", "ok"]
    status = cosset(server, "status", "--json")
    found = json.loads(status.stdout)
    assert found["iam"] == "audit"
    assert json.loads(found["health"]["detail"])["would_have_been_denied"] == 2
    (denied,) = found["denied"]
    del denied["last_ms"]
    assert denied == {
        "subject": arn,
        "action": "lambda:GetFunction",
        "resource": arn,
        "denied": 2,
        "reason": "because no identity-based policy allows the lambda:GetFunction action",
    }
    shown = cosset(server, "status").stdout
    assert "IAM audit, 2 calls would have been denied:" in shown
    assert f"2  {arn}: lambda:GetFunction on {arn}" in shown


def test_the_suggested_policy_is_what_the_function_needs(server: CossetServer) -> None:
    iam, role = server.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    name = make_function(server, role)
    nothing = cosset(server, "policy", "suggest", name)
    assert (nothing.returncode, "has made no calls yet" in nothing.stderr) == (1, True)
    assert invoke(server, name) == "AccessDeniedException"
    suggested = cosset(server, "policy", "suggest", name)
    assert suggested.returncode == 0, suggested.stderr
    arn = f"arn:aws:lambda:{server.region}:{server.account}:function:{name}"
    assert json.loads(suggested.stdout)["Statement"] == [
        {"Effect": "Allow", "Action": ["lambda:GetFunction"], "Resource": [arn]}
    ]
    iam.put_role_policy(RoleName=role, PolicyName="least", PolicyDocument=suggested.stdout)
    assert invoke(server, name) == "ok"


def test_who_may_not_know(server: CossetServer) -> None:
    iam, user = server.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    environ = {name: value for name, value in server.environ.items() if not name.startswith("AWS_")}
    environ |= {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_REGION": server.region,
    }
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=server.region)
    with pytest.raises(ClientError):
        session.client("lambda", endpoint_url=server.endpoint).list_functions()
    done = subprocess.run(
        [sys.executable, "-m", "cosset.cli", "policy", "suggest", "any"],
        env=environ,
        cwd=server.root,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1
    assert "is not authorized to perform: cosset:ListAccess" in done.stderr
