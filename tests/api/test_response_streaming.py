"""Responses that come while the function makes them, as stock boto3 reads them, in every tier of this machine."""

import base64
import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from cosset.testing.server import CossetServer
from support.host import tier
from support.logged import messages
from support.patience import until
from support.role import starter_role
from support.zip import make_zip


@pytest.fixture(scope="module", params=["process", "jail"])
def server(request: pytest.FixtureRequest) -> Iterator[CossetServer]:
    if request.param == "jail" and tier() != "jail":
        pytest.skip("the jail tier needs Linux and root")
    with CossetServer(["--tier", request.param]) as running:
        yield running


@pytest.fixture(scope="module")
def make(server: CossetServer) -> Callable[..., str]:
    """Makes a function and waits for it; its name."""
    client, names = server.client("lambda"), iter(range(1000))

    def create(files: dict[str, str], runtime: str, **given: Any) -> str:
        name = f"streams-{next(names)}"
        client.create_function(
            FunctionName=name,
            Runtime=runtime,
            Role=starter_role(server),
            Handler="app.handler",
            Code={"ZipFile": make_zip(files)},
            **{"Timeout": 60, "MemorySize": 512, **given},
        )
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        return name

    return create


def node(body: str) -> dict[str, str]:
    return {"app.mjs": f"export const handler = awslambda.streamifyResponse(async (event, stream) => {{ {body} }});"}


def read(server: CossetServer, name: str, **given: Any) -> tuple[bytes, dict[str, str]]:
    """The whole response, and what InvokeComplete says."""
    answer = server.client("lambda").invoke_with_response_stream(FunctionName=name, **given)
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    with closing(answer["EventStream"]):
        events = list(answer["EventStream"])
    assert [next(iter(event)) for event in events[:-1]] == ["PayloadChunk"] * (len(events) - 1)
    return b"".join(event["PayloadChunk"]["Payload"] for event in events[:-1]), events[-1]["InvokeComplete"]


def test_the_first_chunk_comes_before_the_function_has_ended(server: CossetServer, make: Callable[..., str]) -> None:
    source = "stream.write('first'); await new Promise((r) => setTimeout(r, event.wait)); stream.end(`${Date.now()}`);"
    name = make(node(source), "nodejs22.x")
    client = server.client("lambda")
    for wait_ms in (1_000, 10_000):  # a busy machine may take the shorter time to bring a chunk
        payload = json.dumps({"wait": wait_ms})
        answer = client.invoke_with_response_stream(FunctionName=name, Payload=payload, LogType="Tail")
        with closing(answer["EventStream"]):
            events = iter(answer["EventStream"])
            assert next(events)["PayloadChunk"]["Payload"] == b"first"
            received_ms = time.time() * 1000
            ended_ms = int(next(events)["PayloadChunk"]["Payload"])
            end = next(events)["InvokeComplete"]
        if received_ms < ended_ms:
            break
    assert received_ms < ended_ms
    tail = base64.b64decode(end["LogResult"]).decode()
    assert f"START RequestId: {answer['ResponseMetadata']['RequestId']} Version: $LATEST" in tail
    assert "REPORT RequestId: " in tail
    assert client.invoke(FunctionName=name, Payload=b'{"wait": 0}')["Payload"].read().startswith(b"first")


def test_ten_megabytes_stream_which_no_whole_answer_may_have(server: CossetServer, make: Callable[..., str]) -> None:
    source = """
    for (let i = 0; i < 160; i++) {
      if (!stream.write(Buffer.alloc(65536, i))) await new Promise((r) => stream.once('drain', r));
    }
    stream.end();"""
    name = make(node(source), "nodejs22.x")
    body, end = read(server, name)
    assert body == b"".join(bytes([i]) * 65536 for i in range(160))
    assert end == {}
    whole = server.client("lambda").invoke(FunctionName=name)
    assert json.loads(whole["Payload"].read())["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_function_that_does_not_stream_answers_in_one_chunk(server: CossetServer, make: Callable[..., str]) -> None:
    name = make(
        {"app.py": "def handler(event, context):\n    return {'got': event} if event else 1 / 0\n"}, "python3.13"
    )
    assert read(server, name, Payload=b"7") == (b'{"got": 7}', {})
    body, end = read(server, name, Payload=b"0")
    assert (body, end["ErrorCode"]) == (b"", "Unhandled")
    assert json.loads(end["ErrorDetails"])["errorType"] == "ZeroDivisionError"


@pytest.mark.parametrize(
    ("source", "error_type", "message"),
    [
        ("throw new RangeError('r');", "RangeError", "r"),
        ("process.exit(3);", "Runtime.ExitError", "exit status 3"),
        ("await new Promise((r) => setTimeout(r, 60000));", "Sandbox.Timedout", "Task timed out after 2.00 seconds"),
    ],
)
def test_how_a_stream_breaks_off(
    server: CossetServer, make: Callable[..., str], source: str, error_type: str, message: str
) -> None:
    wait = "await new Promise((r) => setTimeout(r, 200));"
    name = make(node(f"if (event.end) {{ stream.end('x'); return; }} stream.write('half'); {wait} {source}"),
                "nodejs22.x", Timeout=2 if "Timedout" in error_type else 30)  # fmt: skip
    body, end = read(server, name, LogType="Tail")
    assert (body, end["ErrorCode"]) == (b"half", "Unhandled")
    details = json.loads(end["ErrorDetails"])
    assert (details["errorType"], message in details["errorMessage"]) == (error_type, True)
    assert "REPORT RequestId: " in base64.b64decode(end["LogResult"]).decode()
    assert read(server, name, Payload=b'{"end": 1}') == (b"x", {})


def test_what_keeps_a_function_from_running_is_an_ordinary_error(
    server: CossetServer, make: Callable[..., str]
) -> None:
    client = server.client("lambda")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke_with_response_stream(FunctionName="nobody")
    name = make(node("stream.end();"), "nodejs22.x")
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        client.invoke_with_response_stream(FunctionName=name, Payload=b"{")
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(client.exceptions.TooManyRequestsException):
        client.invoke_with_response_stream(FunctionName=name)


def test_a_client_that_leaves_stops_nothing(server: CossetServer, make: Callable[..., str]) -> None:
    source = """
    for (let i = 0; i < (event.n ?? 600); i++) {
      if (!stream.write(Buffer.alloc(65536))) await new Promise((r) => stream.once('drain', r));
    }
    console.log('to the end'); stream.end();"""
    name = make(node(source), "nodejs22.x")
    with closing(start_reading(server, name)) as connection, connection.getresponse() as answer:
        assert answer.read(1000)
    group = f"/aws/lambda/{name}"
    until(lambda: "REPORT RequestId: " in "".join(messages(server, group)))
    assert "to the end" in "".join(messages(server, group))
    assert len(read(server, name, Payload=b'{"n": 2}')[0]) == 2 * 65536
    streams = server.client("logs").describe_log_streams(logGroupName=group)["logStreams"]
    assert len(streams) == 1  # the same environment, taken back when the stream had ended


def start_reading(server: CossetServer, name: str) -> http.client.HTTPConnection:
    """A signed InvokeWithResponseStream whose answer is still to be read."""
    path = f"/2021-11-15/functions/{name}/response-streaming-invocations"
    request = AWSRequest("POST", f"{server.endpoint}{path}", data=b"{}")
    SigV4Auth(server.session().get_credentials(), "lambda", server.region).add_auth(request)
    connection = http.client.HTTPConnection(server.endpoint.removeprefix("http://"))
    connection.request("POST", path, b"{}", dict(request.headers))
    return connection
