"""The init that is no interpreter: what it has, what is seen of it, what it does for orphans and tells of failures."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.jail import Jail, event, jail
from support.processes import children

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or os.uname().machine != "x86_64",
    reason="the jail needs Linux and, for its full strength, root; machine code is there for x86_64",
)

ORPHANS = """
import os, time
def handler(event, context):
    for _ in range(5):
        if os.fork() == 0:
            if os.fork() == 0:
                time.sleep(0.02)
            os._exit(0)
        os.wait()
    for _ in range(500):
        left = [each for each in os.listdir("/proc") if each.isdigit() and int(each) > 2]
        if not left:
            break
        time.sleep(0.02)
    return left
"""
SIGNALS = """
import os, signal
def handler(event, context):
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGCHLD, signal.SIGINT, signal.SIGSYS):
        os.kill(1, number)
    return os.path.exists("/proc/1/stat")
"""
FAILING = """
import os, socket
from cosset.runtimes.sealing import alone, cell, channel
ours, theirs = channel.pair()
made = alone.Alone(cell.Cell((80, 80), b"", lambda *_: None))
forked = made.fork({"uid": 12345, "disk_bytes": 1}, {"channel": theirs.fileno()}, [ours])
print(channel.receive(ours)[0])
"""


def inits(inside: Jail) -> list[int]:
    found = [each for spawner in children(inside.launcher_pid) for each in children(spawner)]
    return [each for each in found if Path(f"/proc/{each}/comm").read_text() == "init\n"]


def status_of(pid: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


def test_it_has_nothing_and_is_hardly_there() -> None:
    async def scenario() -> None:
        async with jail() as inside:
            environment = await inside.start({"app.py": "def handler(event, context): pass"})
            await environment.invoke(event())
            for init in inits(inside):
                for _ in range(5_000):  # one that is being prepared is on its way there
                    if (status := status_of(init))["Seccomp"] == "2":
                        break
                    await asyncio.sleep(0.02)
                assert [status[f"Cap{each}"] for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")] == ["0" * 16] * 5
                assert status["NoNewPrivs"] == "1"
                assert os.stat(f"/proc/{init}/mem").st_uid == 0  # not dumpable
                assert "0" not in status["Uid"].split()
                assert len(os.listdir(f"/proc/{init}/fd")) == 1
                assert int(status["VmRSS"].split()[0]) < 200
            await environment.shutdown()

    asyncio.run(scenario())


def test_what_is_orphaned_does_not_stay() -> None:
    async def scenario() -> None:
        async with jail() as inside:
            assert json.loads((await inside.run(ORPHANS)).payload) == []

    asyncio.run(scenario())


def test_no_signal_from_inside_ends_it() -> None:
    async def scenario() -> None:
        async with jail() as inside:
            assert (await inside.run(SIGNALS)).payload == b"true"

    asyncio.run(scenario())


def test_the_call_that_fails_is_told_by_name() -> None:
    told = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, timeout=60, check=True)
    assert "bind port 80: Address already in use" in told.stdout
