"""Clients that are no SDK: curl signing by itself, and a presigned address opened by anything that speaks HTTP.

Checked by hand besides, since they come from registries: the AWS SDK for JavaScript v3 does the same main job, its
waiters and its response stream included.
"""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator

import pytest

from cosset.testing.server import CossetServer
from support.role import starter_role
from support.zip import make_zip

CURL = shutil.which("curl")
SOURCE = "def handler(event, context):\n    return event\n"


@pytest.fixture(scope="module")
def function(server: CossetServer) -> Iterator[str]:
    name = f"odd-{uuid.uuid4().hex[:8]}"
    client = server.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=starter_role(server),
        Handler="app.handler",
        Code={"ZipFile": make_zip({"app.py": SOURCE})},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    yield name
    client.delete_function(FunctionName=name)


@pytest.fixture
def curl(server: CossetServer) -> Callable[..., tuple[int, str]]:
    """Runs `curl --aws-sigv4` as the administrator; gives the status and the body."""
    if CURL is None:
        pytest.skip("missing: curl")
    if "--aws-sigv4" not in subprocess.run([CURL, "--help", "all"], capture_output=True, text=True).stdout:
        pytest.skip("missing: a curl that signs (7.75 or newer)")
    keys = server.credentials

    def run(path: str, *arguments: str, service: str = "lambda") -> tuple[int, str]:
        command = [CURL, "--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}"]
        command += ["--aws-sigv4", f"aws:amz:{server.region}:{service}"]
        command += ["--user", f"{keys.access_key_id}:{keys.secret_access_key}", *arguments, server.endpoint + path]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--header", "Transfer-Encoding: chunked"],
        ["--header", "Expect: 100-continue"],
        ["--http1.0"],
        ["--http2"],
        ["--header", "Content-Type: application/json"],
    ],
)
def test_curl_invokes(curl: Callable[..., tuple[int, str]], function: str, arguments: list[str]) -> None:
    path = f"/2015-03-31/functions/{function}/invocations"
    status, body = curl(path, *arguments, "--data", '{"a": "b"}')
    assert (status, json.loads(body)) == (200, {"a": "b"})


def test_curl_sends_an_event(curl: Callable[..., tuple[int, str]], function: str) -> None:
    path = f"/2015-03-31/functions/{function}/invocations"
    assert curl(path, "--header", "X-Amz-Invocation-Type: Event", "--data", "1") == (202, "")


def test_curl_speaks_every_protocol(curl: Callable[..., tuple[int, str]], server: CossetServer, function: str) -> None:
    status, body = curl("/2015-03-31/functions?MaxItems=50")
    assert status == 200
    assert function in [each["FunctionName"] for each in json.loads(body)["Functions"]]
    status, body = curl("/", "--data", "Action=GetCallerIdentity&Version=2011-06-15", service="sts")
    assert status == 200
    assert f"<Account>{server.account}</Account>" in body
    headers = ["Content-Type: application/x-amz-json-1.1", "X-Amz-Target: Logs_20140328.DescribeLogGroups"]
    status, body = curl("/", *(f"-H{header}" for header in headers), "--data", "{}", service="logs")
    assert (status, list(json.loads(body))) == (200, ["logGroups"])


def test_curl_is_told_what_is_wrong(curl: Callable[..., tuple[int, str]]) -> None:
    status, body = curl("/2015-03-31/functions/nobody")
    assert (status, json.loads(body)["Type"]) == (404, "User")
    # Signed for another service, to which it means nothing.
    assert curl("/2015-03-31/functions/nobody", service="sts") == (404, "<UnknownOperationException/>")


def test_a_presigned_address_opens_with_nothing_but_http(server: CossetServer, function: str) -> None:
    identity = server.client("sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    with urllib.request.urlopen(identity) as answer:
        assert server.account in answer.read().decode()
    code = server.client("lambda").get_function(FunctionName=function)["Code"]["Location"]
    with urllib.request.urlopen(code) as answer:
        assert answer.read() == make_zip({"app.py": SOURCE})
    for broken in (identity[:-1] + ("0" if identity[-1] != "0" else "1"), code[:-1] + "!"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(broken)
        refused.value.close()
        assert refused.value.code == 403
