"""The variables that each kind of runtime finds in the jail, against AWS's list of predefined ones; its trace header.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

import asyncio
import json
import os
import sys

import pytest

from support.jail import event, jail

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the jail needs Linux and, for its full strength, root"
)

OF_ALL = {
    "_HANDLER": "app.handler",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_LAMBDA_FUNCTION_NAME": "greetingsOnDemand",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/greetingsOnDemand",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/21/[$LATEST]0123456789abcdef",
    "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
    "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
}
ALSO = {"PATH", "LD_LIBRARY_PATH"}
TRACE = "Root=1-5f35ae12-0c0fec141ab77a00bc047aa2;Parent=2be948a625588e32;Sampled=1"

BOOTSTRAP = """#!/bin/bash
ask() {
    exec 3<>"/dev/tcp/${AWS_LAMBDA_RUNTIME_API/:/\\/}"
    printf '%s /2018-06-01/runtime/invocation/%s HTTP/1.1\\r\\nHost: x\\r\\n' "$1" "$2" >&3
    printf 'Content-Length: %d\\r\\nConnection: close\\r\\n\\r\\n%s' "${#3}" "$3" >&3
    cat <&3
    exec 3>&-
}
header() { grep -i "^$1:" <<< "$event" | tr -d '\\r' | cut -d' ' -f2-; }
event=$(ask GET next '')
lines=$(env | grep -v '^BASH_FUNC' | sed 's/"/\\\\"/g; s/\\(.*\\)/"\\1",/' | tr -d '\\n')
trace=$(header Lambda-Runtime-Trace-Id)
ask POST "$(header Lambda-Runtime-Aws-Request-Id)/response" "[$lines\\"_X_AMZN_TRACE_ID=$trace\\"]" > /dev/null
sleep 60
"""
PYTHON = "import os\ndef handler(event, context):\n    return [f'{k}={v}' for k, v in os.environ.items()]\n"
NODE = "export const handler = async () => Object.entries(process.env).map(([k, v]) => `${k}=${v}`);"


@pytest.mark.parametrize(
    ("files", "runtime", "its_own"),
    [
        (
            {"app.py": PYTHON},
            "python{}.{}".format(*sys.version_info[:2]),
            {"AWS_EXECUTION_ENV": "AWS_Lambda_python{}.{}".format(*sys.version_info[:2]), "PYTHONPATH": "/var/runtime"},
        ),
        ({"app.mjs": NODE}, "nodejs22.x", {"AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x", "NODE_PATH": None}),
        ({"bootstrap": BOOTSTRAP}, "provided.al2023", {"AWS_EXECUTION_ENV": None}),
    ],
    ids=["python", "node", "provided"],
)
def test_predefined_variables(files: dict[str, str], runtime: str, its_own: dict[str, str | None]) -> None:
    async def run() -> None:
        async with jail() as inside:
            environment = await inside.start(files, runtime=runtime, memory_mb=1769)
            answer = await environment.invoke(event(trace_id=TRACE))
            found = dict(line.split("=", 1) for line in json.loads(answer.payload))
            assert {name: found.get(name) for name in OF_ALL} == OF_ALL
            assert found.keys() >= ALSO
            assert found["_X_AMZN_TRACE_ID"] == TRACE
            for name, value in its_own.items():
                if name == "NODE_PATH":
                    assert found[name].endswith(":/var/runtime:/var/task")
                else:
                    assert found.get(name) == value

    asyncio.run(run())
