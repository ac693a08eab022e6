"""What Node in the jail is handed besides its output: the pipe for whole log records, and nothing more."""

import asyncio
import json
import os
import sys

import pytest

from cosset.environments.api import Outcome
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
