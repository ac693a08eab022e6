"""What Node in the jail is handed besides its output: the pipe for whole log records, and nothing more."""

import asyncio
import json
import os
import sys
from typing import Any

import pytest

from cosset.environments.api import Outcome
from cosset.environments.jail import tier
from cosset.environments.jail.ahead import standby_variables
from support.jail import event, jail

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the jail needs Linux and, for its full strength, root"
)

SOURCE = """
import {readlinkSync} from "node:fs";
const kind = (fd) => {
  try { return readlinkSync(`/proc/self/fd/${fd}`).replace(/:.*/, ""); } catch { return null; }
};
const kinds = [0, 1, 2, 3, 4].map(kind);
export const handler = async () => {
  console.log("one\\ntwo");
  return {kinds, named: process.env._LAMBDA_TELEMETRY_LOG_FD ?? null};
};
"""


def test_a_log_record_of_many_lines_is_one_event() -> None:
    async def run() -> None:
        async with jail() as inside:
            environment = await inside.start({"app.mjs": SOURCE}, runtime="nodejs22.x", memory_mb=1769)
            answer = await environment.invoke(event())
            assert answer.outcome is Outcome.SUCCESS, answer
            seen = json.loads(answer.payload)
            assert seen["kinds"][:4] == ["/dev/null", "pipe", "pipe", "pipe"]
            assert seen["kinds"][4] != "socket"  # no channel of the launcher's
            assert seen["named"] is None
            assert [line.split("\t")[-1] for line in inside.lines.events if "one" in line] == ["one\ntwo\n"]

    asyncio.run(run())


def test_a_bootstrap_of_ones_own_is_handed_its_output_alone() -> None:
    bootstrap = """#!/bin/sh
for fd in 0 1 2 3 4 5; do [ -e /proc/self/fd/$fd ] && echo "fd $fd"; done
echo "telemetry: ${_LAMBDA_TELEMETRY_LOG_FD-none}"
exit 1
"""

    async def run() -> None:
        async with jail() as inside:
            with pytest.raises(Exception, match="exit status 1"):
                await inside.start({"bootstrap": bootstrap}, runtime="provided.al2023")
            assert "telemetry: none\n" in inside.lines.events
            assert [line for line in inside.lines.events if line.startswith("fd ")] == ["fd 0\n", "fd 1\n", "fd 2\n"]

    asyncio.run(run())


SEEN = """
import {readdirSync, readlinkSync} from "node:fs";
import {createRequire} from "node:module";
const link = (fd) => { try { return readlinkSync(`/proc/self/fd/${fd}`); } catch { return ""; } };
const sockets = readdirSync("/proc/self/fd").filter((fd) => link(fd).startsWith("socket")).length;
const seen = {
  variables: {...process.env}, cwd: process.cwd(), argv: process.argv, options: process.execArgv, sockets,
  paths: createRequire("/var/task/x.js").resolve.paths("x"), offset: new Date(0).getTimezoneOffset(),
  locale: Intl.DateTimeFormat().resolvedOptions(), user: process.getuid(), umask: process.umask(),
  events: process.eventNames().filter((name) => typeof name === "string"), files: readdirSync("/tmp"),
};
export const handler = async () => seen;
"""


def seen_by_node(**variables: str) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        async with jail() as inside:
            spec = inside.spec({"app.mjs": SEEN}, runtime="nodejs22.x", memory_mb=1769, variables=variables)
            environment = await inside.tier.start(spec, inside.lines)
            seen: dict[str, Any] = json.loads((await environment.invoke(event())).payload)
            assert seen["variables"]["AWS_LAMBDA_FUNCTION_NAME"] == spec.function_name
            return seen

    return asyncio.run(run())


def test_a_process_that_has_waited_sees_what_any_other_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = seen_by_node(COLOUR="green")
    monkeypatch.setattr(tier, "standby_variables", lambda *_: {})
    begun_with_it = seen_by_node(COLOUR="green")
    # Since when the socket to the Runtime API is open is the one thing that may differ.
    assert {**waited, "sockets": 0} == {**begun_with_it, "sockets": 0}
    assert waited["sockets"] <= begun_with_it["sockets"]
    assert waited["variables"]["COLOUR"] == "green"
    assert not [name for name in waited["variables"] if "COSSET" in name]


@pytest.mark.parametrize(
    "variables",
    [{"NODE_OPTIONS": "--title=mine"}, {"TZ": "Asia/Tokyo"}, {"LANG": "de_DE.UTF-8"}, {"NODE_PATH": "/opt"}],
)
def test_what_node_reads_as_it_starts_is_there_when_it_starts(variables: dict[str, str]) -> None:
    """Such a function has a process of its own from the beginning."""
    assert standby_variables(variables, {"LANG": "en_US.UTF-8"}) == {}
    seen = seen_by_node(**variables)
    (name,) = variables
    assert seen["variables"][name] == variables[name]
    if name == "TZ":
        assert seen["offset"] == -540
