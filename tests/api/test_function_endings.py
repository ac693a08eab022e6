"""How functions end, as stock boto3 sees it, in every tier that this machine can give."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cosset.testing.server import CossetServer
from support.host import tier
from support.role import starter_role
from support.zip import make_zip

NAME = "endings"


@pytest.fixture(scope="module", params=["process", "jail"])
def server(request: pytest.FixtureRequest) -> Iterator[CossetServer]:
    if request.param == "jail" and tier() != "jail":
        pytest.skip("the jail tier needs Linux and root")
    with CossetServer(["--tier", request.param]) as running:
        yield running


@pytest.fixture
def call(server: CossetServer) -> Iterator[Callable[..., tuple[str | None, Any, str]]]:
    """Makes the function and invokes it: (FunctionError, payload, log tail)."""
    client = server.client("lambda")

    def make(
        files: dict[str, str], runtime: str, handler: str, payload: bytes = b"{}", mode: int = 0o644, **given: Any
    ):
        client.create_function(
            FunctionName=NAME,
            Runtime=runtime,
            Role=starter_role(server),
            Handler=handler,
            Code={"ZipFile": make_zip(files, mode=mode)},
            **{"Timeout": 10, "MemorySize": 512, **given},
        )
        client.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
        answer = client.invoke(FunctionName=NAME, LogType="Tail")
        tail = base64.b64decode(answer["LogResult"]).decode()
        return answer.get("FunctionError"), json.loads(answer["Payload"].read()), tail

    yield make
    client.delete_function(FunctionName=NAME)


def python(body: str) -> dict[str, str]:
    return {"app.py": f"def handler(event, context):\n    print('began')\n    {body}\n"}


def node(body: str) -> dict[str, str]:
    return {"app.mjs": f"export const handler = async (event) => {{ console.log('began'); {body} }};"}


@pytest.mark.parametrize(
    ("body", "error_type", "message"),
    [
        ("import sys; sys.exit(0)", "Runtime.ExitError", "Error: Runtime exited without providing a reason"),
        ("import os; os._exit(3)", "Runtime.ExitError", "Error: Runtime exited with error: exit status 3"),
        (
            "import os; os.kill(os.getpid(), 11)",
            "Runtime.ExitError",
            "Error: Runtime exited with error: signal: segmentation fault",
        ),
        ("import time; time.sleep(60)", "Sandbox.Timedout", "Error: Task timed out after 2.00 seconds"),
        ("import os; os.closerange(3, 200)", "Runtime.ExitError", "Error: Runtime exited with error"),
        (
            "return {1}",
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type set is not JSON",
        ),
        (
            "return 'x' * 7_000_000",
            "Function.ResponseSizeTooLarge",
            "exceeded maximum allowed payload size (6291556",
        ),
        ("raise KeyError('k')", "KeyError", "'k'"),
    ],
)
def test_python_functions(call, body, error_type, message):
    error, payload, tail = call(python(body), "python3.11", "app.handler", Timeout=2)
    assert error == "Unhandled"
    assert payload["errorType"] == error_type
    assert message in payload["errorMessage"]
    lines = tail.splitlines()
    assert "began" in lines
    assert any(line.startswith("END RequestId: ") for line in lines)
    assert lines[-1].startswith("REPORT RequestId: ") or "REPORT RequestId: " in tail


@pytest.mark.parametrize(
    ("body", "error_type", "message"),
    [
        ("process.exit(3);", "Runtime.ExitError", "Error: Runtime exited with error: exit status 3"),
        ("process.kill(process.pid, 'SIGSEGV'); for(;;);", "Runtime.ExitError", "signal: segmentation fault"),
        ("await new Promise((r) => setTimeout(r, 60000));", "Sandbox.Timedout", "Task timed out after 2.00 seconds"),
        ("for(;;);", "Sandbox.Timedout", "Task timed out after 2.00 seconds"),
        ("return 1n;", "Runtime.JSONStringifyError", "Unable to stringify response body"),
        ("return 'x'.repeat(7000000);", "Function.ResponseSizeTooLarge", "exceeded maximum allowed payload size"),
        ("throw new RangeError('r');", "RangeError", "r"),
        ("Promise.reject(new Error('e')); await new Promise((r) => setTimeout(r, 60000));",
         "Runtime.UnhandledPromiseRejection", "Error: e"),
    ],
)  # fmt: skip
def test_node_functions(call, body, error_type, message):
    error, payload, tail = call(node(body), "nodejs24.x", "app.handler", Timeout=2)
    assert error == "Unhandled"
    assert payload["errorType"] == error_type
    assert message in payload["errorMessage"]
    assert "\tINFO\tbegan\n" in tail


def test_a_good_function_follows_a_bad_one(call, server):
    assert call(python("import os; os._exit(1)"), "python3.11", "app.handler")[0] == "Unhandled"
    client = server.client("lambda")
    client.update_function_code(FunctionName=NAME, ZipFile=make_zip(python("return event")))
    client.get_waiter("function_updated_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
    assert client.invoke(FunctionName=NAME, Payload=b'"fine"')["Payload"].read() == b'"fine"'


@pytest.mark.parametrize(
    ("files", "runtime", "error_type", "message"),
    [
        ({"app.py": "import nope"}, "python3.11", "Runtime.ImportModuleError", "No module named 'nope'"),
        ({"app.py": ""}, "python3.11", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ({"app.py": "import os; os._exit(7)"}, "python3.11", "Runtime.ExitError", "exit status 7"),
        ({"app.js": "require('nope')"}, "nodejs24.x", "Runtime.ImportModuleError", "Cannot find module 'nope'"),
        ({"app.js": "process.exit(7)"}, "nodejs24.x", "Runtime.ExitError", "exit status 7"),
        ({"readme": "no bootstrap"}, "provided.al2023", "Runtime.InvalidEntrypoint", "RequestId: "),
        ({"bootstrap": "#!/bin/sh\nexit 7\n"}, "provided.al2023", "Runtime.ExitError", "exit status 7"),
    ],
)
def test_functions_that_do_not_begin(call, files, runtime, error_type, message):
    error, payload, tail = call(files, runtime, "app.handler", mode=0o755)
    assert error == "Unhandled"
    assert payload["errorType"] == error_type
    assert message in payload["errorMessage"]
    # AWS tries a failed Init once more, as part of the invocation.
    tries = [line for line in tail.splitlines() if line.startswith("INIT_REPORT Init Duration: ")]
    assert [line.partition("Phase: ")[2] for line in tries] == [
        f"{phase}\tStatus: error\tError Type: {error_type}" for phase in ("init", "invoke")
    ]
    assert f"Status: error\tError Type: {error_type}" in tail.splitlines()[-1]


PYTHON = {"app.py": "import os, sys\ndef handler(event, context):\n    return [os.environ.get('ADDED'), __name__]\n"}
NODE = {"app.mjs": "export const handler = async () => [process.env.ADDED, 'app'];"}
WRAPPER = '#!/bin/sh\nexport ADDED=yes\nexec "$@"\n'


@pytest.mark.parametrize(("files", "runtime"), [(PYTHON, "python3.12"), (NODE, "nodejs22.x")])
def test_a_wrapper_starts_the_runtime(call, files, runtime):
    error, payload, _ = call(
        {**files, "wrapper": WRAPPER},
        runtime,
        "app.handler",
        mode=0o755,
        Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrapper"}},
    )
    assert (error, payload) == (None, ["yes", "app"])


@pytest.mark.parametrize(("files", "runtime"), [(PYTHON, "python3.12"), (NODE, "nodejs22.x")])
def test_a_wrapper_that_is_not_there(call, files, runtime):
    # Recorded: TestLambdaErrors::test_lambda_runtime_wrapper_not_found.
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/idontexist.sh"}
    error, payload, tail = call(files, runtime, "app.handler", Environment={"Variables": variables})
    assert (error, payload["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert payload["errorMessage"].endswith(" Error: Runtime exited with error: exit status 127")
    assert "/idontexist.sh: does not exist\n" in tail


RESETS = """
import os, sys, tempfile, time

def handler(event, context):
    with open(tempfile.gettempdir() + "/seen", "a+") as file:
        file.write(event["how"] + " ")
        file.seek(0)
        seen = file.read().split()
    exec(event["code"])
    return [seen, os.environ["AWS_LAMBDA_LOG_STREAM_NAME"], os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]]
"""
WAYS = {
    "exit": ("sys.exit(1)", "Runtime.ExitError", "error\tError Type: Runtime.ExitError"),
    "abort": ("os.abort()", "Runtime.ExitError", "error\tError Type: Runtime.ExitError"),
    "memory": (
        "x = bytearray(1 << 29); time.sleep(60)",
        "Runtime.OutOfMemory",
        "error\tError Type: Runtime.OutOfMemory",
    ),
}


def test_a_reset_keeps_tmp_and_the_log_stream_and_says_what_aws_says(call, server):
    """AWS's page on the life cycle, "Failures during the invoke phase", in its newer style. Of a timeout, whose
    time the next Init has too: tests/security/test_jail_resets.py, tests/unit/invocation/test_execution.py."""

    def invoke(how: str, code: str) -> tuple[Any, list[str]]:
        payload = json.dumps({"how": how, "code": code}).encode()
        answer = client.invoke(FunctionName=NAME, Payload=payload, LogType="Tail")
        lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
        return json.loads(answer["Payload"].read()), [line for line in lines if not line.startswith("[")]

    client = server.client("lambda")
    call({"app.py": RESETS}, "python3.11", "app.handler", Timeout=60, MemorySize=256)
    first, _ = invoke("first", "pass")
    seen = first[0]
    for how, (code, error_type, status) in WAYS.items():
        error, lines = invoke(how, code)
        assert error["errorType"] == error_type
        assert [line.split(" ")[0] for line in lines] == ["START", "END", "REPORT"]
        assert lines[-1].endswith(f"\tStatus: {status}")
        again, lines = invoke("again", "pass")
        seen += [how, "again"]
        assert again == [seen, first[1], "on-demand"]
        assert [line.split(" ")[0] for line in lines] == ["START", "END", "REPORT"]
        assert "Init Duration" not in lines[-1]
    client.update_function_configuration(FunctionName=NAME, Timeout=61)
    client.get_waiter("function_updated_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
    changed, _ = invoke("changed", "pass")
    assert changed[0] == ["changed"]
    assert changed[1] != first[1]
