"""Extensions in the jail: external ones in Python and in shell, internal ones in Python and Node, and subscribers."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cosset.environments.api import Answer, Environment, EnvironmentState, Event, InitError, Outcome
from support.extensions import SHELL, external, subscriber
from support.jail import Jail, event, jail

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the jail needs Linux and, for its full strength, root"
)

FUNCTION = {"app.py": "def handler(event, context):\n    print('handled')\n    return 1\n"}
PYTHON = "/usr/bin/env python{}.{}".format(*sys.version_info[:2])


def in_jail(scenario: Callable[[Jail], Awaitable[None]]) -> None:
    async def run() -> None:
        async with jail() as inside:
            await scenario(inside)

    asyncio.run(run())


async def start(inside: Jail, extensions: dict[str, str], files: Any = None, **changes: object) -> Environment:
    layer = inside.folder({f"extensions/{name}": text for name, text in extensions.items()})
    return await inside.start(files or FUNCTION, **{"layer_dirs": (layer,), "memory_mb": 1769, **changes})


async def settled(environment: Environment, given: Event | None = None) -> Answer:
    answer = await environment.invoke(given or event())
    return answer if answer.is_settled else await environment.settle(answer)


def told(inside: Jail) -> list[dict[str, Any]]:
    return [json.loads(line) for line in inside.lines.events if line.startswith("{")]


def test_an_external_extension_lives_beside_the_function() -> None:
    seen = "tell(uid=os.getuid(), cwd=os.getcwd(), fds=sorted(os.listdir('/proc/self/fd'))[:4], pids=len([p for p in os.listdir('/proc') if p.isdigit()]))"  # noqa: E501

    async def scenario(inside: Jail) -> None:
        environment = await start(inside, {"watcher": external(python=PYTHON, before=seen)})
        given = event()
        answer = await settled(environment, given)
        assert (answer.outcome, answer.payload) == (Outcome.SUCCESS, b"1")
        await environment.shutdown()
        registered, found, invoked, shut_down = told(inside)
        assert registered["status"] == 200
        assert registered["handler"] is None
        assert found == {"uid": 993, "cwd": "/", "fds": ["0", "1", "2", "3"], "pids": 3}
        assert invoked["event"]["requestId"] == given.request_id
        assert shut_down["event"]["shutdownReason"] == "spindown"
        assert "EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE,SHUTDOWN]\n" in inside.lines.events
        assert "handled\n" in inside.lines.events

    in_jail(scenario)


@pytest.mark.parametrize(
    ("text", "error_type", "message"),
    [
        ("#!/bin/sh\necho leaving\nexit 4\n", "Extension.Crash", "exit code 4"),
        ("#!/nowhere\n", "Extension.LaunchError", "fork/exec /opt/extensions/bad: no such file or directory"),
    ],
)
def test_init_fails_with_an_extension_and_leaves_nothing(text: str, error_type: str, message: str) -> None:
    async def scenario(inside: Jail) -> None:
        with pytest.raises(InitError) as raised:
            await start(inside, {"bad": text})
        assert (raised.value.error_type, raised.value.message) == (error_type, message)

    in_jail(scenario)


@pytest.mark.parametrize(
    ("handler", "timeout_s", "reason", "outcome"),
    [
        ("import time; time.sleep(30)", 1, "timeout", Outcome.TIMEOUT),
        ("import os; os._exit(2)", 10, "failure", Outcome.EXIT),
        ("x = bytearray(10**9)", 10, "failure", Outcome.OUT_OF_MEMORY),
    ],
)
def test_extensions_are_told_why_the_environment_is_reset(
    handler: str, timeout_s: int, reason: str, outcome: Outcome
) -> None:
    async def scenario(inside: Jail) -> None:
        files = {"app.py": f"def handler(event, context):\n    {handler}\n"}
        watcher = {"watcher": external(python=PYTHON)}
        environment = await start(inside, watcher, files, timeout_s=timeout_s, memory_mb=256)
        answer = await environment.invoke(event(timeout_s=timeout_s))
        assert answer.outcome is outcome
        assert environment.state is EnvironmentState.SHUTDOWN
        assert told(inside)[-1]["event"]["shutdownReason"] == reason

    in_jail(scenario)


NODE = {"app.mjs": "export const handler = async () => 1;"}
BOOTSTRAP = """#!/bin/bash
ask() {
    exec 3<>"/dev/tcp/${AWS_LAMBDA_RUNTIME_API/:/\\/}"
    printf '%s /2018-06-01/runtime/invocation/%s HTTP/1.1\\r\\nHost: x\\r\\n' "$1" "$2" >&3
    printf 'Content-Length: %d\\r\\nConnection: close\\r\\n\\r\\n%s' "${#3}" "$3" >&3
    cat <&3
    exec 3>&-
}
while event=$(ask GET next ''); do
    id=$(grep -i '^Lambda-Runtime-Aws-Request-Id:' <<< "$event" | tr -d '\\r' | cut -d' ' -f2)
    ask POST "$id/response" 1 > /dev/null
    sleep 0.3
    echo "went on after the response"
done
"""


@pytest.mark.parametrize(
    ("files", "changes"),
    [(NODE, {"runtime": "nodejs22.x"}), ({"bootstrap": BOOTSTRAP}, {"runtime": "provided.al2023"})],
    ids=["node", "provided"],
)
def test_extensions_of_every_runtime_are_waited_for_and_not_frozen(files: Any, changes: Any) -> None:
    async def scenario(inside: Jail) -> None:
        slow = external(python="/usr/bin/env python3", at_event="time.sleep(0.4)\ntell(woke=True)")
        environment = await start(inside, {"slow": slow}, files, **changes)
        answer = await environment.invoke(event())
        assert (answer.payload, answer.is_settled) == (b"1", False)
        assert (await environment.settle(answer)).outcome is Outcome.SUCCESS
        assert {"woke": True} in told(inside)
        await environment.shutdown()
        assert told(inside)[-1]["event"]["eventType"] == "SHUTDOWN"

    in_jail(scenario)


def test_a_runtime_is_not_frozen_before_it_asks_for_the_next_event() -> None:
    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"bootstrap": BOOTSTRAP}, runtime="provided.al2023", memory_mb=1769)
        assert (await environment.invoke(event())).is_settled
        for _ in range(5_000):
            if "went on after the response\n" in inside.lines.events:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("it was frozen")

    in_jail(scenario)


def test_an_external_extension_in_shell() -> None:
    async def scenario(inside: Jail) -> None:
        environment = await start(inside, {"shell.sh": SHELL})
        assert (await settled(environment)).payload == b"1"
        assert (await settled(environment)).payload == b"1"
        await environment.shutdown()
        told = [line for line in inside.lines.events if line.startswith("shell got ")]
        assert ["INVOKE" in line for line in told] == [True, True, False]
        assert '"shutdownReason":"spindown"' in told[-1]

    in_jail(scenario)


INTERNAL_PYTHON = """
import http.client, json, os, signal, sys, threading
BASE = "/2020-01-01/extension/"
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

def call(method, path, body=None, **headers):
    api.request(method, BASE + path, body, headers)
    answer = api.getresponse()
    return answer, answer.read()

own = {"Lambda-Extension-Name": "own"}
refused, body = call("POST", "register", json.dumps({"events": ["INVOKE", "SHUTDOWN"]}), **own)
print("refused", refused.status, json.loads(body)["errorType"])
answer, _ = call("POST", "register", json.dumps({"events": ["INVOKE"]}), **own)
me = {"Lambda-Extension-Identifier": answer.getheader("Lambda-Extension-Identifier")}

def live():
    while True:
        print("own got", json.loads(call("GET", "event/next", **me)[1])["eventType"], flush=True)

threading.Thread(target=live, daemon=True).start()

def end(*_):
    print("asked to end", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, end)

def handler(event, context):
    return 1
"""

INTERNAL_NODE = """
const base = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2020-01-01/extension/`;
const answer = await fetch(base + "register", {
  method: "POST", body: JSON.stringify({events: ["INVOKE"]}), headers: {"Lambda-Extension-Name": "own"},
});
const me = {"Lambda-Extension-Identifier": answer.headers.get("Lambda-Extension-Identifier")};
(async () => {
  for (;;) {
    const event = await (await fetch(base + "event/next", {headers: me})).json();
    console.log("own got", event.eventType);
  }
})();
process.on("SIGTERM", () => { console.log("asked to end"); process.exit(0); });
export const handler = async () => 1;
"""


@pytest.mark.parametrize(
    ("files", "changes"),
    [({"app.py": INTERNAL_PYTHON}, {}), ({"app.mjs": INTERNAL_NODE}, {"runtime": "nodejs22.x"})],
    ids=["python", "node"],
)
def test_an_internal_extension_has_events_and_no_shutdown(files: dict[str, str], changes: dict[str, Any]) -> None:
    async def scenario(inside: Jail) -> None:
        environment = await inside.start(files, memory_mb=1769, **changes)
        for _ in range(2):
            assert (await settled(environment)).payload == b"1"
        await environment.shutdown()
        text = inside.lines.text
        assert text.count("own got INVOKE") == 2
        assert "SHUTDOWN" not in text
        assert "asked to end" in text
        assert "EXTENSION\tName: own\tState: Ready\tEvents: [INVOKE]\n" in inside.lines.events
        assert ("refused 403 Extension.InvalidEventType" in text) == ("app.py" in files)

    in_jail(scenario)


KINDS = ["platform.initStart", "platform.initRuntimeDone", "platform.initReport", "platform.start", "function",
         "platform.runtimeDone", "platform.report"]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "subscription"), [("http", ""), ("tcp", "subscribe({'protocol': 'TCP', 'port': PORT})\n")]
)
def test_a_subscriber_is_brought_everything_in_order(kind: str, subscription: str) -> None:
    async def scenario(inside: Jail) -> None:
        text = subscriber(kind, 4243, subscription=subscription, python=PYTHON)
        environment = await start(inside, {"taker": text})
        given = event()
        await settled(environment, given)
        await environment.shutdown()
        (subscribed,) = (each for each in told(inside) if "subscribed" in each)
        assert subscribed == {"subscribed": "OK", "status": 200}
        (telemetry,) = (each["telemetry"] for each in told(inside) if "telemetry" in each)
        found = [each["type"] for each in telemetry]
        assert [each for each in found if each in KINDS] == KINDS
        assert {"platform.telemetrySubscription", "platform.extension"} <= set(found)
        records = {each["type"]: each["record"] for each in telemetry}
        assert records["function"] == "handled\n"
        assert records["platform.report"]["requestId"] == given.request_id
        assert records["platform.report"]["status"] == "success"
        assert records["platform.runtimeDone"]["metrics"]["producedBytes"] == 1
        assert any(line.startswith("TELEMETRY\tName: taker\tState: Subscribed") for line in inside.lines.events)

    in_jail(scenario)


def test_the_logs_api_speaks_in_its_own_words() -> None:
    wanted = (
        "subscribe({'protocol': 'TCP', 'port': PORT}, '/2020-08-15/logs', '2021-03-18')\n"
        "subscribe({'protocol': 'TCP', 'port': PORT})\n"
    )

    async def scenario(inside: Jail) -> None:
        environment = await start(inside, {"taker": subscriber("tcp", 4243, subscription=wanted, python=PYTHON)})
        await settled(environment)
        await environment.shutdown()
        answers = [each for each in told(inside) if "subscribed" in each]
        assert [each["status"] for each in answers] == [200, 403]
        (telemetry,) = (each["telemetry"] for each in told(inside) if "telemetry" in each)
        assert [each["type"] for each in telemetry] == [
            "platform.logsSubscription", "platform.extension", "platform.start", "function", "platform.runtimeDone",
            "platform.end", "platform.report",
        ]  # fmt: skip

    in_jail(scenario)


def test_nobody_registers_when_init_is_over() -> None:
    source = "import http.client, json, os\ndef handler(event, context):\n" + (
        "    api = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])\n"
        "    api.request('POST', '/2020-01-01/extension/register', '{}', {'Lambda-Extension-Name': 'late'})\n"
        "    answer = api.getresponse()\n"
        "    return [answer.status, json.loads(answer.read())['errorType']]\n"
    )

    async def scenario(inside: Jail) -> None:
        answer = await inside.run(source)
        assert json.loads(answer.payload) == [403, "Extension.RegistrationClosed"]

    in_jail(scenario)


def test_functions_of_every_runtime_know_where_the_runtime_api_is() -> None:
    source = "import os, socket\ndef handler(event, context):\n" + (
        "    socket.create_connection(os.environ['AWS_LAMBDA_RUNTIME_API'].split(':')).close()\n"
        "    return [os.environ['AWS_LAMBDA_RUNTIME_API'], socket.gethostbyname('sandbox.localdomain')]\n"
    )

    async def scenario(inside: Jail) -> None:
        answer = await inside.run(source)
        assert json.loads(answer.payload) == ["127.0.0.1:9001", "127.0.0.1"]

    in_jail(scenario)
