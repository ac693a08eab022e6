"""`cosset up --dev` as a laptop has it: the key that everyone knows, examples copied from elsewhere, several regions.

With the stock AWS CLI and stock boto3, configured by nothing but the environment.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from cosset.testing.server import CossetServer
from support.zip import make_zip

AWS = Path(sys.executable).parent / "aws"
SOURCE = """
import os, boto3
def handler(event, context):
    me = boto3.client("sts").get_caller_identity()["Arn"]
    return [context.invoked_function_arn, os.environ["AWS_REGION"], me]
"""
ROLES = [
    "arn:aws:iam::000000000000:role/anything",
    "arn:aws:iam::123456789012:role/execution_role",
    "arn:aws:iam::123456789012:role/service-role/MyTestFunction-role-tges6bf4",
]


@pytest.fixture(scope="module")
def laptop() -> Any:
    from support.host import tier

    with CossetServer(["--dev", "--tier", tier()]) as running:
        yield running


def client(
    laptop: CossetServer, service: str, region: str = "us-east-1", key: str = "test", secret: str = "test"
) -> Any:
    return boto3.client(
        service,
        endpoint_url=laptop.endpoint,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


def create(laptop: CossetServer, name: str, role: str, region: str = "us-east-1") -> None:
    functions = client(laptop, "lambda", region)
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role=role,
        Code={"ZipFile": make_zip({"app.py": SOURCE})},
        Timeout=30,
    )
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})


def test_it_says_who_it_is(laptop: CossetServer) -> None:
    assert (laptop.account, laptop.ready["iam"]) == ("000000000000", "audit")
    assert client(laptop, "sts").get_caller_identity()["Account"] == "000000000000"


@pytest.mark.parametrize("role", ROLES)
def test_any_role_will_do_whosesoever(laptop: CossetServer, role: str) -> None:
    name = f"copied-{ROLES.index(role)}"
    create(laptop, name, role)
    functions = client(laptop, "lambda")
    assert functions.get_function_configuration(FunctionName=name)["Role"] == role
    arn, region, me = json.load(functions.invoke(FunctionName=name)["Payload"])
    assert arn == f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    assert region == "us-east-1"
    assert me == f"arn:aws:sts::000000000000:assumed-role/{role.rpartition('/')[2]}/{name}"
    for other in ROLES:
        assert functions.update_function_configuration(FunctionName=name, Role=other)["Role"] == other
        functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1})


def test_without_dev_a_role_of_another_account_is_refused_as_on_aws(server: CossetServer) -> None:
    functions = server.client("lambda")
    with pytest.raises(functions.exceptions.ClientError) as refused:
        functions.create_function(
            FunctionName="copied",
            Runtime="python3.13",
            Handler="app.handler",
            Role=ROLES[1],
            Code={"ZipFile": make_zip({"app.py": SOURCE})},
        )
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def test_regions_are_worlds_of_their_own(laptop: CossetServer) -> None:
    for region in ("eu-west-1", "ap-southeast-2"):
        create(laptop, "everywhere", ROLES[0], region)
        answer = json.load(client(laptop, "lambda", region).invoke(FunctionName="everywhere")["Payload"])
        assert answer[:2] == [f"arn:aws:lambda:{region}:000000000000:function:everywhere", region]
    client(laptop, "lambda", "eu-west-1").delete_function(FunctionName="everywhere")
    found = {
        region: [each["FunctionName"] for each in client(laptop, "lambda", region).list_functions()["Functions"]]
        for region in ("eu-west-1", "ap-southeast-2", "sa-east-1")
    }
    assert found == {"eu-west-1": [], "ap-southeast-2": ["everywhere"], "sa-east-1": []}
    groups = client(laptop, "logs", "sa-east-1").describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]
    assert groups == []


@pytest.mark.parametrize(
    ("key", "secret", "code"),
    [("test", "wrong", "SignatureDoesNotMatch"), ("AKIAIOSFODNN7EXAMPLE", "test", "InvalidClientTokenId")],
)
def test_other_keys_are_none(laptop: CossetServer, key: str, secret: str, code: str) -> None:
    sts = client(laptop, "sts", key=key, secret=secret)
    with pytest.raises(sts.exceptions.ClientError) as refused:
        sts.get_caller_identity()
    assert refused.value.response["Error"]["Code"] == code


@pytest.fixture
def aws(laptop: CossetServer, tmp_path: Path) -> Callable[..., Any]:
    """The AWS CLI with a laptop's four variables and no file."""
    if not AWS.exists():
        pytest.skip("missing: the AWS CLI; make install brings it")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": laptop.endpoint,
        "HOME": str(tmp_path),
    }

    def run(*arguments: str) -> Any:
        done = subprocess.run([AWS, *arguments], env=environ, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    return run


def test_an_example_copied_into_a_shell(aws: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "function.zip").write_bytes(make_zip({"app.py": SOURCE}))
    made = aws(
        *["lambda", "create-function", "--function-name", "my-function", "--zip-file", "fileb://function.zip"],
        *["--timeout", "30"],
        *["--handler", "app.handler", "--runtime", "python3.13", "--role", "arn:aws:iam::123456789012:role/lambda-ex"],
    )
    assert made["FunctionArn"] == "arn:aws:lambda:eu-central-1:000000000000:function:my-function"
    aws("lambda", "wait", "function-active-v2", "--function-name", "my-function")
    assert aws("lambda", "invoke", "--function-name", "my-function", "out.json")["StatusCode"] == 200
    assert json.loads((tmp_path / "out.json").read_text())[1] == "eu-central-1"
