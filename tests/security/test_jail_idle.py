"""Between invocations nothing inside runs, and what is frozen can still be ended, by whoever."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.api import Environment, EnvironmentGoneError, Outcome
from cosset.environments.launcher import hierarchies, run_folder
from support.jail import Jail, event, jail
from support.patience import until, until_nothing

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the jail needs Linux and, for its full strength, root"
)

COUNTER = """
import threading, time
counted = 0
def count():
    global counted
    while True:
        counted += 1
        time.sleep(0.001)
threading.Thread(target=count, daemon=True).start()
def handler(event, context):
    first = counted
    while counted == first:
        time.sleep(0.001)
    return [first, counted]
"""
VERSIONS = pytest.mark.parametrize("freezer_version", [1, 2])


def in_jail(scenario: Callable[[Jail], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with jail(**options) as inside:
            await scenario(inside)

    asyncio.run(run())


async def counted(environment: Environment) -> list[int]:
    """Before and after the thread has run during an invocation."""
    answer = await environment.invoke(event())
    assert answer.outcome is Outcome.SUCCESS, answer
    return json.loads(answer.payload)


async def frozen(inside: Jail) -> list[Path]:
    """The groups of this jail that are frozen, as soon as there is one."""
    while not (found := [group for group in environment_groups(inside.data) if _is_frozen(group)]):
        await asyncio.sleep(0.01)
    return found


def cpu_ns(groups: Iterable[Path]) -> int:
    """What the processes of these groups have had so far, thread by thread."""
    pids = {pid for group in groups for pid in (group / "cgroup.procs").read_text().split()}
    tasks = [task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


async def without_end(environment: Environment) -> None:
    while True:
        await environment.invoke(event(b"0"))


def _is_frozen(group: Path) -> bool:
    for name, state in (("freezer.state", "FROZEN"), ("cgroup.events", "frozen 1")):
        with suppress(OSError):  # of the other version, or a group that goes
            return state in (group / name).read_text().splitlines()
    return False


def _members(group: Path) -> list[str]:
    try:
        return (group / "cgroup.procs").read_text().split()
    except OSError:  # the group is gone, or goes
        return []


def environment_groups(data: Path) -> list[Path]:
    name = run_folder.group_name(run_folder.key_of(data))
    found = []
    for mount in ("freezer", "unified", ""):
        above = Path("/sys/fs/cgroup") / mount / name
        found += [group for group in above.glob("*") if group.is_dir()]
    return found


@VERSIONS
def test_a_background_thread_gets_no_cpu_between_invocations(freezer_version: int) -> None:
    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": COUNTER}, memory_mb=1769)
        for _ in range(3):
            before, after = await counted(environment)
            assert after > before
            groups = await frozen(inside)
            had_ns = cpu_ns(groups)
            assert had_ns > 0
            await asyncio.sleep(0.2)
            assert cpu_ns(groups) == had_ns

    in_jail(scenario, freezer_version=freezer_version)


@VERSIONS
def test_every_call_is_answered_however_near_to_the_freezing(freezer_version: int) -> None:
    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": "def handler(event, context): return event"}, memory_mb=1769)
        for step in range(40):
            await asyncio.sleep(0.045 + step * 0.0005)
            answer = await environment.invoke(event(str(step).encode(), timeout_s=5))
            assert answer.payload == str(step).encode()

    in_jail(scenario, freezer_version=freezer_version)


@VERSIONS
def test_a_frozen_environment_shuts_down(freezer_version: int) -> None:
    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": COUNTER})
        await frozen(inside)
        await environment.shutdown()
        # But the one that is kept prepared for nobody.
        assert all(not _is_frozen(group) for group in environment_groups(inside.data))

    in_jail(scenario, freezer_version=freezer_version)


@VERSIONS
def test_a_frozen_program_is_thawed_through_the_runtime_api(freezer_version: int) -> None:
    async def scenario(inside: Jail) -> None:
        source = "exports.handler = async (event) => event;"
        environment = await inside.start({"app.js": source}, runtime="nodejs22.x", memory_mb=1769)
        for number in (b"1", b"2"):
            await frozen(inside)
            assert (await environment.invoke(event(number))).payload == number

    in_jail(scenario, freezer_version=freezer_version)


def test_what_the_kernel_kills_frozen_is_noticed() -> None:
    """As when the whole machine is out of memory. Version 1 lets only those die that its own killer has chosen."""

    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": COUNTER})
        await frozen(inside)
        for group in environment_groups(inside.data):
            for pid in _members(group) if _is_frozen(group) else ():
                os.kill(int(pid), signal.SIGKILL)
        with pytest.raises(EnvironmentGoneError):
            await without_end(environment)
        assert (await inside.run("def handler(event, context): return 1")).payload == b"1"

    if not (Path("/sys/fs/cgroup/unified").exists() or Path("/sys/fs/cgroup/cgroup.controllers").exists()):
        pytest.skip("missing: cgroup version 2")
    in_jail(scenario)


def test_memory_is_still_capped_after_thawing() -> None:
    source = "kept = []\ndef handler(event, context):\n    if event: kept.append(b'x' * (event << 20))\n    return 1"

    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": source}, memory_mb=128)
        await environment.invoke(event(b"1"))
        await frozen(inside)
        assert (await environment.invoke(event(b"400"))).outcome is Outcome.OUT_OF_MEMORY

    in_jail(scenario)


@VERSIONS
def test_frozen_environments_end_with_a_killed_launcher(tmp_path: Path, freezer_version: int) -> None:
    tmp_path.chmod(0o755)
    script = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from support.jail import jail
async def main():
    async with jail(Path(sys.argv[1]), freezer_version=int(sys.argv[3])) as inside:
        await inside.start({"app.py": "def handler(event, context): pass"})
        print(inside.launcher_pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    command = [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parents[1]), str(freezer_version)]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        launcher = int(owner.stdout.readline())
        until(lambda: any(_is_frozen(group) for group in environment_groups(tmp_path)))
        groups = environment_groups(tmp_path)
        os.kill(launcher, signal.SIGKILL)
        until_nothing(lambda: [group for group in groups if _members(group)])
    finally:
        owner.kill()
        owner.communicate()

    async def scenario(inside: Jail) -> None:
        await inside.run("def handler(event, context): pass")  # the next launcher clears up before it serves

    in_jail(scenario, data=tmp_path, freezer_version=freezer_version)
    for hierarchy in hierarchies.detect():
        assert not (hierarchy.parent / run_folder.group_name(run_folder.key_of(tmp_path))).exists()
