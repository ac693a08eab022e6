"""Many environments at once: what the host has not, some go without; and a kill amid them leaves nothing."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.api import InitError, TierUnavailableError
from cosset.environments.environment import RunningEnvironment
from cosset.environments.launcher.run_folder import key_of
from support.jail import Jail, event, jail
from support.processes import children

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the jail needs Linux and, for its full strength, root"
)

SOURCE = {"app.py": "def handler(event, context): return event"}


def groups(data: Path) -> list[str]:
    name = f"cosset-{key_of(data.resolve())}"
    return [path for path, _, _ in os.walk("/sys/fs/cgroup") if name in path]


IDENTITY = """
import resource, threading
def handler(event, context):
    numbers = [threading.main_thread().native_id, threading.get_native_id()]
    return [numbers, [resource.getrlimit(each) for each in range(15)], open("/proc/self/mounts").read().count(chr(10))]
"""
SEAL = ("Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters")
NAMESPACES = ("user", "mnt", "net", "ipc", "uts", "pid", "cgroup")


def seal_of(pid: int) -> dict[str, str]:
    for name in NAMESPACES:
        assert os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}")
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: fields[name].strip() for name in SEAL}


def processes_of_function(launcher_pid: int) -> tuple[int, int]:
    """The init and the runtime of the only one: beside its init where that is no interpreter, and otherwise its child.
    What is prepared is still root's."""
    begun = [each for spawner in children(launcher_pid) for each in children(spawner)]
    begun = [each for each in begun if os.stat(f"/proc/{each}").st_uid != 0]
    (head,) = (each for each in begun if Path(f"/proc/{each}/comm").read_text() != "init\n")
    if below := children(head):
        return head, below[0]
    own_uid = os.stat(f"/proc/{head}").st_uid
    return next(each for each in begun if each != head and os.stat(f"/proc/{each}").st_uid == own_uid), head


async def look(inside: Jail) -> tuple[bool, list[dict[str, str]], list[Any]]:
    """Whether init and runtime share their users; how each is sealed; what the function sees of itself."""
    environment = await inside.start({"app.py": IDENTITY})
    init, runtime = processes_of_function(inside.launcher_pid)
    is_at_once = os.readlink(f"/proc/{init}/ns/user") == os.readlink(f"/proc/{runtime}/ns/user")
    assert os.stat(f"/proc/{init}/maps").st_uid == 0, "the init shows itself"
    seals = [seal_of(init), seal_of(runtime)]
    seen = json.loads((await environment.invoke(event())).payload)
    await environment.shutdown()
    return is_at_once, seals, seen


@pytest.mark.parametrize("has_bare_init", [True, False])
def test_who_was_waited_for_is_sealed_as_who_was_prepared(has_bare_init: bool) -> None:
    async def scenario() -> None:
        async with jail(has_bare_init=has_bare_init) as inside:
            is_at_once, waited_for, seen_waited_for = await look(inside)
            assert is_at_once
            for _ in range(10):  # one whose loop device somebody else has taken is followed by one that is waited for
                for _ in range(3_000):
                    if await inside.launcher.count_spares():
                        break
                    await asyncio.sleep(0.05)
                is_at_once, prepared, seen_prepared = await look(inside)
                if is_at_once is has_bare_init:
                    break
            assert is_at_once is has_bare_init
            assert waited_for == prepared
            assert seen_waited_for == seen_prepared
            assert seen_prepared[0] == [2, 2]

    asyncio.run(scenario())


def test_few_files_may_be_open_and_the_launcher_lives_on() -> None:
    async def scenario() -> None:
        async with jail(open_files=150) as inside:
            made = await asyncio.gather(*(inside.start(SOURCE) for _ in range(20)), return_exceptions=True)
            refused = [each for each in made if isinstance(each, BaseException)]
            running = [each for each in made if isinstance(each, RunningEnvironment)]
            assert refused  # fourteen are more than may be alive, however fast they come and start
            assert running
            for each in refused:
                assert isinstance(each, TierUnavailableError)
                assert "no more files may be open" in str(each)
            for environment in running:
                assert (await environment.invoke(event(b"1"))).payload == b"1"
                await environment.shutdown()
            again = await inside.start(SOURCE)
            assert (await again.invoke(event(b"2"))).payload == b"2"
            await again.shutdown()

    asyncio.run(scenario())


def test_a_kill_amid_a_burst_leaves_nothing_to_the_next_start(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    async def burst() -> None:
        async with jail(tmp_path) as inside:
            await (await inside.start(SOURCE)).shutdown()
            starts = [asyncio.ensure_future(inside.start(SOURCE)) for _ in range(12)]
            await asyncio.wait(starts, return_when=asyncio.FIRST_COMPLETED)
            os.kill(inside.launcher_pid, signal.SIGKILL)
            ends = await asyncio.gather(*starts, return_exceptions=True)
            for each in ends:
                assert isinstance(each, (RunningEnvironment, TierUnavailableError, InitError)), each

    async def next_start() -> None:
        async with jail(tmp_path) as inside:
            assert (await inside.run(SOURCE["app.py"], b"3")).payload == b"3"

    asyncio.run(burst())
    asyncio.run(next_start())
    assert groups(tmp_path) == []
    assert os.listdir(tmp_path / "scratch") == []
    assert not any(str(tmp_path) in line for line in Path("/proc/self/mountinfo").read_text().splitlines())
