"""What caused what, and recorded events, are shut to strangers, to those whom IAM does not allow, and to others."""

import configparser
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cosset.cli.client import find_profile
from cosset.testing.server import CossetServer
from support.command import cosset
from support.role import starter_role
from support.zip import make_zip

SECRET = "only-for-its-own-account"
OPERATIONS = ("GetTrace", "GetMap", "GetRecordedEvent")


@dataclass(frozen=True)
class Caller:
    """Somebody with a key, in a region."""

    server: CossetServer
    key: tuple[str, str]
    region: str

    def own(self, operation: str, **params: Any) -> tuple[int, str]:
        url, body = f"{self.server.endpoint}/_cosset/api/{operation}", json.dumps(params).encode()
        signed = AWSRequest("POST", url, {"Content-Type": "application/json"}, body)
        SigV4Auth(Credentials(*self.key), "cosset", self.region).add_auth(signed)
        return _post(url, body, dict(signed.headers.items()))


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def owner(server: CossetServer) -> Caller:
    found = find_profile(server.data, server.environ)
    return Caller(server, (found.access_key_id, found.secret_access_key), found.region)


@pytest.fixture(scope="module")
def request_id(server: CossetServer) -> Iterator[str]:
    """Of an invocation that is on record, with its event."""
    client = server.client("lambda")
    client.create_function(
        FunctionName="recorded",
        Runtime="python3.12",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": make_zip({"index.py": "def handler(event, context):\n    return event\n"})},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="recorded")
    answer = client.invoke(FunctionName="recorded", Payload=json.dumps({"secret": SECRET}))
    yield answer["ResponseMetadata"]["RequestId"]
    client.delete_function(FunctionName="recorded")


def params_of(operation: str, request_id: str) -> dict[str, Any]:
    return {"GetTrace": {"id": request_id}, "GetRecordedEvent": {"request_id": request_id}}.get(operation, {})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_its_own_administrator_may(owner: Caller, request_id: str, operation: str) -> None:
    status, said = owner.own(operation, **params_of(operation, request_id))
    assert status == 200, said


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nobody_without_a_signature(server: CossetServer, request_id: str, operation: str) -> None:
    body = json.dumps(params_of(operation, request_id)).encode()
    status, said = _post(f"{server.endpoint}/_cosset/api/{operation}", body, {})
    assert status == 403
    assert request_id not in said


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nobody_whom_iam_does_not_allow(server: CossetServer, request_id: str, operation: str) -> None:
    iam, name = server.client("iam"), f"reader-{uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    caller = Caller(server, (key["AccessKeyId"], key["SecretAccessKey"]), server.region)
    status, said = caller.own(operation, **params_of(operation, request_id))
    assert status == 403
    assert f"cosset:{operation}" in said
    statement = {"Effect": "Allow", "Action": f"cosset:{operation}", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="allowed", PolicyDocument=document)
    assert caller.own(operation, **params_of(operation, request_id))[0] == 200


def test_no_other_account_and_no_other_region(server: CossetServer, owner: Caller, request_id: str) -> None:
    done = cosset(server, "account", "add", "--json")
    assert done.returncode == 0, done.stderr
    parser = configparser.RawConfigParser()
    parser.read(server.data / "aws" / "credentials", encoding="utf-8")
    keys = parser[json.loads(done.stdout)["profile"]]
    key = keys["aws_access_key_id"], keys["aws_secret_access_key"]
    for stranger in (Caller(server, key, owner.region), Caller(server, owner.key, "eu-central-1")):
        for operation in ("GetTrace", "GetRecordedEvent"):
            assert stranger.own(operation, **params_of(operation, request_id))[0] == 404
        status, said = stranger.own("GetMap", since_s=86_400)
        assert (status, json.loads(said)["edges"], json.loads(said)["oldest_ms"]) == (200, [], None)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("GetTrace", {}),
        ("GetTrace", {"id": ""}),
        ("GetTrace", {"id": 7}),
        ("GetTrace", {"id": "x" * 3_000}),
        ("GetMap", {"since_s": 0}),
        ("GetMap", {"since_s": True}),
        ("GetMap", {"since_s": "1h"}),
        ("GetMap", {"since_s": 10**30}),
        ("GetRecordedEvent", {"request_id": None}),
        ("GetRecordedEvent", {"request_id": ["x"]}),
    ],
)
def test_bad_parameters_are_named(owner: Caller, operation: str, params: dict[str, Any]) -> None:
    status, said = owner.own(operation, **params)
    assert (status, json.loads(said)["code"]) == (400, "ValidationException")


@pytest.mark.parametrize("name", ["\ud800", "\x00", "../../etc/passwd", "[", "%", "\u2028", "'; DROP TABLE x; --"])
def test_odd_names_are_only_not_there(owner: Caller, name: str) -> None:
    assert owner.own("GetTrace", id=name)[0] == 404
    assert owner.own("GetRecordedEvent", request_id=name)[0] == 404


def test_nobody_else_on_the_machine_reads_the_files(server: CossetServer, request_id: str, owner: Caller) -> None:
    assert owner.own("GetTrace", id=request_id)[0] == 200  # so all is written
    folder = server.data / "causes"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert {path.stat().st_mode & 0o077 for path in files} == {0}
    assert {path.stat().st_mode & 0o077 for path in (folder / "steps", folder / "events")} == {0}
