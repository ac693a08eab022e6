"""Java as AWS serves it: forms of handlers, where classes are found, ends and logs. Through the public door."""

import io
import json
import zipfile
from collections.abc import Callable

import pytest

from cosset.testing.server import CossetServer
from support.deployed import Deployed
from support.programs import Programs
from support.role import starter_role
from support.zip import make_zip


@pytest.fixture
def function(deploy: Callable[..., Deployed], java: Programs) -> Callable[..., Deployed]:
    """Of the compiled classes, without those of `dependency`."""

    def make(handler: str, files: dict[str, bytes] | None = None, **more: object) -> Deployed:
        classes = {path: code for path, code in java.classes().items() if path.startswith("example/")}
        return deploy("java17", handler, {**classes, **(files or {})}, **more)

    return make


@pytest.fixture
def dependency(java: Programs) -> bytes:
    """A jar with the classes that `Greeting` needs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as jar:
        for path, code in java.classes().items():
            if path.startswith("dependency/"):
                jar.writestr(path, code)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("handler", "event", "answer"),
    [
        ("example.Points::sum", {"x": 2, "y": 3}, {"sum": 5}),
        ("example.Streams", "madam adam", "mada madam"),
        ("example.Streams::handleRequest", "madam adam", "mada madam"),
    ],
)
def test_every_form_of_handler(function: Callable[..., Deployed], handler: str, event: object, answer: object) -> None:
    answered = function(handler).invoke(event)
    assert (answered.payload, answered.error) == (answer, None)


def test_a_jar_in_lib_and_a_jar_in_a_layer(
    function: Callable[..., Deployed], dependency: bytes, deploy: Callable[..., Deployed]
) -> None:
    brought = function("example.Greeting", {"lib/words.jar": dependency})
    assert brought.invoke("World").payload == "Hello World!"
    client = brought.server.client("lambda")
    content = make_zip({"java/lib/words.jar": dependency})
    layer = client.publish_layer_version(LayerName="words", Content={"ZipFile": content})["LayerVersionArn"]
    assert function("example.Greeting::handleRequest", Layers=[layer]).invoke("World").payload == "Hello World!"


def test_the_context_and_its_memory(function: Callable[..., Deployed]) -> None:
    deployed = function("example.Probe::handle")
    answered = deployed.invoke({"do": "context"})
    seen = answered.payload
    assert isinstance(seen, dict), answered
    assert seen.pop("id") in answered.log
    assert seen.pop("arn").endswith(f":function:{deployed.name}")
    assert 0.8 * 512 < seen.pop("heap") < 0.87 * 512
    assert seen == {"function": deployed.name, "deadline": True, "memory": 512, "tmp": 0}


def test_an_exception_has_awss_shape(function: Callable[..., Deployed]) -> None:
    deployed = function("example.Probe::handle")
    answered = deployed.invoke({"do": "fail"})
    assert answered.error == "Unhandled"
    told = answered.payload
    assert isinstance(told, dict), answered
    assert (told["errorType"], told["errorMessage"]) == ("java.lang.IllegalStateException", "as asked")
    assert told["stackTrace"][0].startswith("example.Probe.handle(Probe.java:")
    # AWS's client answers first and logs then.
    assert deployed.logs("as asked: java.lang.IllegalStateException")


def test_a_heap_that_is_full_and_a_process_that_ends(function: Callable[..., Deployed]) -> None:
    deployed = function("example.Probe::handle")
    full = deployed.invoke({"do": "fill"})
    assert full.error == "Unhandled"
    assert isinstance(full.payload, dict)
    assert full.payload["errorType"] == "java.lang.OutOfMemoryError"
    ended = deployed.invoke({"do": "exit"})
    assert isinstance(ended.payload, dict)
    assert ended.payload["errorType"] == "Runtime.ExitError"
    assert ended.payload["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")
    assert deployed.invoke({"do": "context"}).error is None


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("example.Nowhere", "Class not found: example.Nowhere"),
        (
            "example.Probe::nothing",
            "No public method named nothing with appropriate method signature found on class example.Probe",
        ),
        ("example.Greeting", "dependency/Words"),
    ],
)
def test_what_is_not_there(function: Callable[..., Deployed], handler: str, message: str) -> None:
    answered = function(handler).invoke("x")
    assert answered.error == "Unhandled"
    assert isinstance(answered.payload, dict)
    assert answered.payload["errorMessage"] == message


def test_records_in_json_and_options_of_its_own(function: Callable[..., Deployed]) -> None:
    variables = {"JAVA_TOOL_OPTIONS": "-Xmx100m -Dcolour=green"}
    config = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO"}
    deployed = function("example.Probe::handle", LoggingConfig=config, Environment={"Variables": variables})
    seen = deployed.invoke({"do": "context"}).payload
    assert isinstance(seen, dict)
    assert 80 < seen["heap"] <= 100
    name = "sts.us-east-1.amazonaws.com"
    records = []
    for line in deployed.invoke({"name": name}).log.splitlines():
        if line.startswith("{"):
            records.append(json.loads(line))
    (logged,) = (each for each in records if "logged by Java" in str(each.get("message")))
    assert logged["message"] == "logged by Java\nin two lines"
    assert logged["AWSRequestId"]


def test_without_awss_client_it_is_said(new_server: Callable[..., CossetServer]) -> None:
    """As for any runtime that this machine cannot serve: the function is there, its call says what is missing."""
    server = new_server("--dev")
    client = server.client("lambda")
    client.create_function(
        FunctionName="j",
        Runtime="java17",
        Handler="a.B",
        Role=starter_role(server),
        Code={"ZipFile": make_zip({"a": ""})},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="j", WaiterConfig={"Delay": 1})
    with pytest.raises(client.exceptions.ClientError, match="cosset runtimes install java"):
        client.invoke(FunctionName="j")
