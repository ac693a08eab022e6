"""AWS's own host names inside environments: code that knows of no AWS_ENDPOINT_URL reaches Cosset.

Unmodified clients in functions on a live server. What the names and certificates are for themselves: tests/unit.
"""

import json
import uuid
from collections.abc import Callable, Iterator

import pytest

from cosset.testing.server import CossetServer
from support.host import tier
from support.role import starter_role
from support.zip import make_zip

pytestmark = pytest.mark.skipif(tier() != "jail", reason="only in the jail do names lead to Cosset")

BOTO3 = """
import os
os.environ.pop("AWS_ENDPOINT_URL", None)
import boto3
def handler(event, context):
    client = boto3.client("sts")
    return [client.meta.endpoint_url, client.get_caller_identity()["Arn"]]
"""
URLLIB = """
import urllib.error, urllib.request
def handler(event, context):
    try:
        return urllib.request.urlopen(event).status
    except urllib.error.HTTPError as answer:
        return [answer.code, answer.headers["x-amzn-requestid"] is not None, answer.read().decode()]
    except OSError as error:
        return str(error)
"""
NODE = """
export const handler = async (event) => {
  const answer = await fetch(event);
  return [answer.status, answer.headers.has("x-amzn-requestid"), await answer.text()];
};
"""
RAW = """
import socket, ssl
def handler(event, context):
    found = {}
    for name in event["names"]:
        try:
            with socket.create_connection(("127.0.0.1", 443), 5) as plain:
                with ssl.create_default_context().wrap_socket(plain, server_hostname=name) as made:
                    found[name] = made.version()
        except ssl.SSLError as error:
            found[name] = error.reason
    for name in event["lookups"]:
        try:
            found[name] = sorted({each[4][0] for each in socket.getaddrinfo(name, 443)})
        except socket.gaierror as error:
            found[name] = error.errno
    return found
"""

Run = Callable[..., object]


@pytest.fixture(scope="module")
def run(server: CossetServer) -> Iterator[Run]:
    client = server.client("lambda")
    made = []

    def invoke(source: str, event: object = None, *, node: bool = False, **variables: str) -> object:
        name = f"endpoints-{uuid.uuid4().hex[:8]}"
        client.create_function(
            FunctionName=name,
            Runtime="nodejs24.x" if node else "python3.13",
            Role=starter_role(server),
            Handler="index.handler",
            Code={"ZipFile": make_zip({"index.mjs" if node else "index.py": source})},
            Timeout=60,
            MemorySize=1769,
            Environment={"Variables": variables},
        )
        made.append(name)
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload

    yield invoke
    for name in made:
        client.delete_function(FunctionName=name)


def test_boto3_needs_no_endpoint_url(run: Run) -> None:
    endpoint, arn = run(BOTO3)
    assert endpoint == "https://sts.us-east-1.amazonaws.com"
    assert ":assumed-role/" in arn


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_plain_urllib_trusts_it(run: Run, scheme: str) -> None:
    code, is_ours, text = run(URLLIB, f"{scheme}://sts.us-east-1.amazonaws.com/")
    assert (code, is_ours) == (403, True)
    assert "MissingAuthenticationToken" in text


def test_nodes_fetch_trusts_it(run: Run) -> None:
    code, is_ours, text = run(NODE, "https://sts.us-east-1.amazonaws.com/", node=True)
    assert (code, is_ours) == (403, True)
    assert "MissingAuthenticationToken" in text


def test_curl_trusts_it(run: Run) -> None:
    """It reads the bundle, where Python looks authorities up by their hash."""
    source = "import subprocess\ndef handler(event, context):\n"
    source += "    ran = subprocess.run(['curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', event],"
    source += " capture_output=True, text=True)\n    return [ran.returncode, ran.stdout, ran.stderr]\n"
    assert run(source, "https://sts.us-east-1.amazonaws.com/") == [0, "403", ""]


def test_a_bucket_in_the_host_name_is_s3s(run: Run) -> None:
    code, _, text = run(URLLIB, "https://my.bucket.s3.eu-west-1.amazonaws.com/key")
    assert code == 404
    assert "<Error><Code>NoSuchBucket</Code>" in text


def test_certificates_are_for_awss_names_alone(run: Run) -> None:
    good = ["sts.amazonaws.com", "my.bucket.with.dots.s3.eu-west-1.amazonaws.com", "lambda.us-east-1.api.aws"]
    bad = ["example.com", "amazonaws.com.example.com", "notamazonaws.com", "localhost"]
    found = run(RAW, {"names": good + bad, "lookups": []})
    assert {found[name] for name in good} == {"TLSv1.3"}
    assert {found[name] for name in bad} <= {"TLSV1_UNRECOGNIZED_NAME", "UNEXPECTED_EOF_WHILE_READING"}


def test_names_lead_to_the_environment_itself_or_nowhere(run: Run) -> None:
    ours = ["sqs.us-east-1.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn", "a.localhost"]
    found = run(RAW, {"names": [], "lookups": [*ours, "example.com"]})
    assert [found[name] for name in ours] == [["127.0.0.1"]] * len(ours)
    assert isinstance(found["example.com"], int)


def test_a_function_may_have_the_real_ones(run: Run) -> None:
    """There is no way to them here: it is told so in its log, and nothing of Cosset's answers in their place."""
    source = RAW + "\nimport os\nlook = handler\ndef handler(event, context):\n"
    source += "    names = ('AWS_ENDPOINT_URL', 'AWS_CA_BUNDLE')\n"
    source += "    return [look(event, context), [name for name in names if name in os.environ]]\n"
    found, variables = run(source, {"names": [], "lookups": ["sts.amazonaws.com"]}, COSSET_AWS_ENDPOINTS="real")
    assert isinstance(found["sts.amazonaws.com"], int)
    assert variables == []
    refused = "import socket\ndef handler(event, context):\n"
    refused += "    return [socket.socket().connect_ex(('127.0.0.1', port)) for port in (443, 80)]"
    assert run(refused, COSSET_AWS_ENDPOINTS="real") == [111, 111]
