"""Functions with extensions, as stock boto3 sees them, in every tier that this machine can give."""

import base64
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cosset.testing.server import CossetServer
from support.extensions import external
from support.host import tier
from support.logged import messages
from support.patience import until
from support.role import starter_role
from support.zip import make_zip

NAME = "extended"
PYTHON = "/usr/bin/env python{}.{}".format(*sys.version_info[:2])


@pytest.fixture(scope="module", params=["process", "jail"])
def server(request: pytest.FixtureRequest) -> Iterator[CossetServer]:
    if request.param == "jail" and tier() != "jail":
        pytest.skip("the jail tier needs Linux and root")
    with CossetServer(["--tier", request.param]) as running:
        yield running


@pytest.fixture
def deploy(server: CossetServer) -> Iterator[Callable[..., Any]]:
    """Makes the function with an extension; gives the client."""
    client = server.client("lambda")

    def make(extension: str, body: str = "return 1", **given: Any) -> Any:
        content = make_zip({"extensions/watcher": extension}, mode=0o755)
        layer = client.publish_layer_version(LayerName="watcher", Content={"ZipFile": content})
        client.create_function(
            FunctionName=NAME,
            Runtime="python3.11",
            Role=starter_role(server),
            Handler="app.handler",
            Code={"ZipFile": make_zip({"app.py": f"def handler(event, context):\n    {body}\n"})},
            Layers=[layer["LayerVersionArn"]],
            **{"Timeout": 60, "MemorySize": 512, **given},
        )
        client.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
        return client

    yield make
    client.delete_function(FunctionName=NAME)


def lines_of(server: CossetServer, wanted: int) -> list[str]:
    """The function's log, when it has so many REPORT lines."""
    group = f"/aws/lambda/{NAME}"
    until(lambda: sum(line.startswith("REPORT") for line in messages(server, group)) >= wanted)
    return messages(server, group)


def test_the_log_has_extensions_and_their_time(server: CossetServer, deploy: Callable[..., Any]) -> None:
    client = deploy(external(python=PYTHON, at_event="time.sleep(0.5)"))
    answer = client.invoke(FunctionName=NAME, LogType="Tail")
    assert json.loads(answer["Payload"].read()) == 1
    tail = base64.b64decode(answer["LogResult"]).decode()
    report = next(line for line in tail.splitlines() if line.startswith("REPORT"))
    assert float(report.split("Duration: ")[1].split(" ")[0]) >= 500
    assert "FunctionError" not in client.invoke(FunctionName=NAME)
    lines = lines_of(server, 2)
    assert "EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE,SHUTDOWN]\n" in lines
    events = [json.loads(line)["event"] for line in lines if '"eventType": "INVOKE"' in line]
    assert len(events) == 2


def test_an_extension_that_crashes_at_start(server: CossetServer, deploy: Callable[..., Any]) -> None:
    client = deploy("#!/bin/sh\nexit 0\n")
    answer = client.invoke(FunctionName=NAME, LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    error = json.loads(answer["Payload"].read())
    assert error["errorType"] == "Extension.Crash"
    assert error["errorMessage"].endswith(" Error: exit code 0")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "\tPhase: init\tStatus: error\tError Type: Extension.Crash\n" in tail
    assert "\tPhase: invoke\tStatus: error\tError Type: Extension.Crash\n" in tail
    assert "EXTENSION\tName: watcher\tState: Exited\tEvents: []\n" in tail


def test_an_extension_that_crashes_with_an_event(server: CossetServer, deploy: Callable[..., Any]) -> None:
    client = deploy(external(python=PYTHON, at_event="os._exit(2)"), "import time; time.sleep(50)")
    answer = client.invoke(FunctionName=NAME, LogType="Tail")
    error = json.loads(answer["Payload"].read())
    assert (error["errorType"], answer["FunctionError"]) == ("Extension.Crash", "Unhandled")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "\tStatus: error\tError Type: Extension.Crash\n" in tail
