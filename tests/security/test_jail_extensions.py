"""Extensions in the jail: external ones in Python and in shell, internal ones in Python and Node, and subscribers."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cosset.environments.api import Answer, Environment, EnvironmentState, Event, InitError, Outcome
from support.extensions import external
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
