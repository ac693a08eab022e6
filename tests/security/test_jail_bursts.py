"""Many environments at once: what the host has not, some go without; and a kill amid them leaves nothing."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from cosset.environments.api import InitError, TierUnavailableError
from cosset.environments.environment import RunningEnvironment
from cosset.environments.launcher.run_folder import key_of
from support.jail import event, jail

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the jail needs Linux and, for its full strength, root"
)

SOURCE = {"app.py": "def handler(event, context): return event"}


def groups(data: Path) -> list[str]:
    name = f"cosset-{key_of(data.resolve())}"
    return [path for path, _, _ in os.walk("/sys/fs/cgroup") if name in path]


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
