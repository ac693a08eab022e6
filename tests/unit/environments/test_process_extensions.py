"""Real extensions in the process tier: their part in Init, Invoke and Shutdown."""

import asyncio
import json
import socket
from functools import partial

import pytest

from cosset.clock import SystemClock
from cosset.environments.api import EnvironmentState, InitError, Outcome
from cosset.environments.process import ProcessTier
from cosset.runtimes.catalogue import Catalogue
from support.extensions import external, subscriber
from support.written import Lines, event_for, run, spec_for

CATALOGUE = Catalogue()
FUNCTION = "def handler(event, context):\n    print('handled')\n    return 1\n"


@pytest.fixture
def given(tmp_path):
    """A spec of a Python function, with a layer of these extensions."""

    def make(extensions, source=FUNCTION, **changes):
        code, layer = tmp_path / "code", tmp_path / "layer"
        (layer / "extensions").mkdir(parents=True)
        code.mkdir()
        (code / "app.py").write_text(source)
        for name, text in extensions.items():
            (layer / "extensions" / name).write_text(text)
            (layer / "extensions" / name).chmod(0o755)
        return spec_for(code, layer_dirs=(layer,), **changes)

    return make


def in_tier(body):
    return run(partial(ProcessTier, CATALOGUE, SystemClock()), body)


def told(lines):
    """What the extensions said, in order."""
    return [json.loads(line) for line in lines.messages if line.startswith("{")]


async def settled(environment, event):
    answer = await environment.invoke(event)
    return answer if answer.is_settled else await environment.settle(answer)


def test_an_extension_takes_part_in_every_phase(given):
    lines, event = Lines(), event_for()
    spec = given({"watcher": external()}, variables={"MINE": "own"})

    async def body(tier):
        environment = await tier.start(spec, lines)
        answer = await settled(environment, event)
        assert (answer.outcome, answer.payload) == (Outcome.SUCCESS, b"1")
        assert environment.state is EnvironmentState.READY
        await environment.shutdown()

    in_tier(body)
    registered, invoked, shut_down = told(lines)
    assert registered == {
        "registered": {
            "functionName": spec.function_name,
            "functionVersion": "$LATEST",
            "handler": "app.handler",
            "accountId": spec.account,
        },
        "status": 200,
        "handler": None,
        "mine": "own",
    }
    assert invoked["event"] == {
        "eventType": "INVOKE",
        "deadlineMs": event.deadline_ms,
        "requestId": event.request_id,
        "invokedFunctionArn": event.invoked_arn,
        "tracing": {"type": "X-Amzn-Trace-Id", "value": event.trace_id},
    }
    assert (shut_down["event"]["eventType"], shut_down["event"]["shutdownReason"]) == ("SHUTDOWN", "spindown")
    assert "EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE,SHUTDOWN]\n" in lines.messages


def test_the_answer_does_not_wait_for_extensions_and_the_environment_does(given):
    spec = given({"slow": external(at_event="time.sleep(0.4)")})

    async def body(tier):
        environment = await tier.start(spec, Lines())
        answer = await environment.invoke(event_for())
        assert not answer.is_settled
        assert environment.state is EnvironmentState.BUSY
        final = await environment.settle(answer)
        assert environment.state is EnvironmentState.READY
        assert final.duration_ms > answer.duration_ms
        await environment.shutdown()

    in_tier(body)


@pytest.mark.parametrize(
    ("extension", "error_type", "message"),
    [
        (external(before="sys.exit(3)"), "Extension.Crash", "exit code 3"),
        ("#!/bin/sh\nexit 0\n", "Extension.Crash", "exit code 0"),
        ("no program", "Extension.LaunchError", "fork/exec /opt/extensions/bad: exec format error"),
        (
            external(before="report('init'); sys.exit(1)"),
            "Extension.InitError",
            "exit code 1",
        ),
    ],
)
def test_init_fails_with_an_extension(given, extension, error_type, message):
    async def body(tier):
        with pytest.raises(InitError) as raised:
            await tier.start(given({"bad": extension}), Lines())
        assert (raised.value.error_type, raised.value.message) == (error_type, message)
        assert json.loads(raised.value.payload_for("r")) == {
            "errorType": error_type,
            "errorMessage": f"RequestId: r Error: {message}",
        }

    in_tier(body)


@pytest.mark.parametrize(
    ("at_event", "error_type"),
    [
        ("os._exit(7)", "Extension.Crash"),
        (
            "report('exit'); os._exit(7)",
            "Extension.ExitError",
        ),
    ],
)
def test_an_extension_that_crashes_ends_the_invocation(given, at_event, error_type):
    source = "import time\ndef handler(event, context):\n    time.sleep(30)\n"

    async def body(tier):
        environment = await tier.start(given({"bad": external(at_event=at_event)}, source), Lines())
        answer = await environment.invoke(event_for())
        assert (answer.outcome, answer.error_type) == (Outcome.EXIT, error_type)
        assert json.loads(answer.payload)["errorMessage"].endswith("Error: exit code 7")
        assert environment.state is EnvironmentState.SHUTDOWN

    in_tier(body)


@pytest.mark.parametrize(
    ("handler", "timeout_s", "reason", "outcome"),
    [
        ("import time; time.sleep(30)", 1, "timeout", Outcome.TIMEOUT),
        ("import os; os._exit(2)", 10, "failure", Outcome.EXIT),
    ],
)
def test_extensions_are_told_why_the_environment_is_reset(given, handler, timeout_s, reason, outcome):
    lines = Lines()
    spec = given({"watcher": external()}, f"def handler(event, context):\n    {handler}\n", timeout_s=timeout_s)

    async def body(tier):
        environment = await tier.start(spec, lines)
        answer = await environment.invoke(event_for(timeout_s=timeout_s))
        assert answer.outcome is outcome

    in_tier(body)
    assert told(lines)[-1]["event"]["shutdownReason"] == reason


def test_an_init_that_fails_is_a_failure_to_extensions_too(given):
    lines = Lines()

    async def body(tier):
        with pytest.raises(InitError) as raised:
            await tier.start(given({"watcher": external()}, "import nothing_of_the_kind"), lines)
        assert raised.value.error_type == "Runtime.ImportModuleError"

    in_tier(body)
    assert told(lines)[-1]["event"]["shutdownReason"] == "failure"


def test_an_extension_that_outstays_the_timeout_ends_the_environment(given):
    spec = given({"slow": external(at_event="time.sleep(30)")}, timeout_s=1)

    async def body(tier):
        environment = await tier.start(spec, Lines())
        answer = await environment.invoke(event_for(timeout_s=1))
        assert (answer.outcome, answer.payload) == (Outcome.SUCCESS, b"1")
        final = await environment.settle(answer)
        assert final.outcome is Outcome.TIMEOUT
        assert environment.state is EnvironmentState.SHUTDOWN

    in_tier(body)


def test_the_runtime_is_asked_to_end_where_there_are_extensions(given):
    source = (
        "import signal, sys\n"
        "def end(*_):\n    print('asked to end', flush=True)\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n" + FUNCTION
    )
    lines = Lines()

    async def body(tier):
        environment = await tier.start(given({"watcher": external()}, source), lines)
        await settled(environment, event_for())
        await environment.shutdown()

    in_tier(body)
    assert "asked to end\n" in lines.messages
    assert told(lines)[-1]["event"]["shutdownReason"] == "spindown"


def test_an_extension_that_never_registers_ends_init_in_time(given):
    spec = given({"silent": "#!/bin/sh\nexec sleep 60\n"}, init_timeout_s=1)

    async def body(tier):
        with pytest.raises(InitError) as raised:
            await tier.start(spec, Lines())
        assert raised.value.status == "timeout"

    in_tier(body)


def test_far_too_many_extensions_are_not_started(given):
    spec = given({f"e{number}": "#!/bin/sh\n" for number in range(65)})

    async def body(tier):
        with pytest.raises(InitError) as raised:
            await tier.start(spec, Lines())
        assert raised.value.error_type == "Extension.TooManyExtensions"

    in_tier(body)


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_subscriber_is_brought_telemetry(given, kind):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    subscription = "subscribe({'protocol': 'TCP', 'port': PORT})\n" if kind == "tcp" else ""
    text = subscriber(kind, port, host="127.0.0.1", subscription=subscription)
    lines = Lines()

    async def body(tier):
        environment = await tier.start(given({"taker": text}), lines)
        await settled(environment, event_for())
        await environment.shutdown()

    in_tier(body)
    (telemetry,) = (each["telemetry"] for each in told(lines) if "telemetry" in each)
    kinds = [each["type"] for each in telemetry]
    assert kinds.index("platform.initStart") < kinds.index("function") < kinds.index("platform.report")


def test_nobody_waits_where_nobody_has_registered(given):
    async def body(tier):
        environment = await tier.start(given({}), Lines())
        assert (await environment.invoke(event_for())).is_settled
        await asyncio.wait_for(environment.shutdown(), 60)

    in_tier(body)
