"""/tmp: a disk of its own for each environment, as large as it asked for, and nothing of it left afterwards."""

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.api import Outcome
from cosset.environments.launcher.images import Images
from cosset.environments.launcher.scratch import Scratch
from cosset.runtimes.sealing import loops
from support.jail import Jail, event, jail
from support.small_disk import small_disk

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the jail needs Linux and, for its full strength, root"
)

FILL = """
import os
def fill(name, megabytes):
    written = 0
    try:
        with open("/tmp/" + name, "wb", buffering=0) as file:
            while written < megabytes:
                written += file.write(b"x" * (1 << 20)) / (1 << 20)
    except OSError as error:
        return [round(written), error.errno]
    return [round(written), 0]
"""


def in_jail(scenario: Callable[[Jail], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with jail(**options) as inside:
            await scenario(inside)

    asyncio.run(run())


def loop_devices(data: Path) -> list[str]:
    """What files in this data folder are attached to."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            found.append(backing.read_text())
        except OSError:
            continue
    return [file for file in found if file.startswith(str(data))]


def _backing_file(minor: int) -> str:
    (device,) = [
        each for each in Path("/sys/block").glob("loop*") if (each / "dev").read_text().strip() == f"7:{minor}"
    ]
    return (device / "loop/backing_file").read_text()


@pytest.mark.parametrize("size_mb", [512, 700])
def test_caps_the_sum_of_all_files(size_mb: int) -> None:
    """Also where memory is a quarter of it: what is written goes to the disk."""
    source = FILL + "def handler(event, context): return [fill('a', 300), fill('b', 1000), fill('c', 1)]"

    async def scenario(inside: Jail) -> None:
        answer = await inside.run(source, memory_mb=128, ephemeral_storage_mb=size_mb, timeout_s=60)
        assert answer.outcome is Outcome.SUCCESS, answer
        (first, none), (second, full), (third, still_full) = json.loads(answer.payload)
        assert (first, none, full, third, still_full) == (300, 0, errno.ENOSPC, 0, errno.ENOSPC)
        assert size_mb <= first + second <= size_mb * 1.05

    in_jail(scenario)


@pytest.mark.parametrize("size_mb", [512, 10_240])
def test_says_how_much_room_there_is_and_bounds_inodes(size_mb: int) -> None:
    source = "import os\ndef handler(event, context):\n    s = os.statvfs('/tmp')\n"
    source += "    return [s.f_bavail * s.f_frsize >> 20, s.f_favail, os.listdir('/tmp'), oct(os.stat('/tmp').st_mode)]"

    async def scenario(inside: Jail) -> None:
        answer = await inside.run(source, ephemeral_storage_mb=size_mb)
        room_mb, inodes, files, mode = json.loads(answer.payload)
        assert size_mb <= room_mb <= size_mb * 1.05
        assert size_mb * 64 <= inodes <= size_mb * 70
        assert (files, mode) == ([], "0o41777")

    in_jail(scenario)


def test_a_flood_of_empty_files_ends_at_the_inodes() -> None:
    source = "import os\ndef handler(event, context):\n    try:\n        for number in range(10**6):\n"
    source += "            os.close(os.open('/tmp/%d' % number, os.O_CREAT))\n"
    source += "    except OSError as error: return [number, error.errno]"

    async def scenario(inside: Jail) -> None:
        answer = await inside.run(source, memory_mb=1769, timeout_s=60)
        number, code = json.loads(answer.payload)
        assert code == errno.ENOSPC
        assert 30_000 < number < 40_000

    in_jail(scenario)


def test_is_kept_while_warm_and_empty_for_the_next() -> None:
    source = "import os\ndef handler(event, context):\n    open('/tmp/x', 'a').write('x')\n"
    source += "    return [os.path.getsize('/tmp/x'), os.listdir('/tmp')]"

    async def scenario(inside: Jail) -> None:
        for _ in range(2):
            environment = await inside.start({"app.py": source})
            for count in (1, 2):
                assert json.loads((await environment.invoke(event())).payload) == [count, ["x"]]
            await environment.shutdown()

    in_jail(scenario)


def test_nothing_is_left_of_it() -> None:
    source = FILL + "def handler(event, context): return [fill('a', 100), os.minor(os.stat('/tmp').st_dev)]"

    async def scenario(inside: Jail) -> None:
        environments = [await inside.start({"app.py": source}) for _ in range(3)]
        answers = [json.loads((await environment.invoke(event())).payload) for environment in environments]
        files = {_backing_file(number) for _, number in answers}
        assert len(files) == 3
        assert files <= set(loop_devices(inside.data))
        for environment in environments:
            await environment.shutdown()
        assert not files & set(loop_devices(inside.data))
        assert os.listdir(inside.data / "scratch") == []
        await inside.tier.close()

    folders: list[Path] = []

    async def and_after(inside: Jail) -> None:
        folders.append(inside.data)
        await scenario(inside)

    in_jail(and_after)
    assert loop_devices(folders[0]) == []


def test_nothing_is_left_when_everything_is_killed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    script = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from support.jail import jail, event
async def main():
    async with jail(Path(sys.argv[1])) as inside:
        writing = "import os\\ndef handler(e, c):\\n open('/tmp/x', 'w').write('x' * (50 << 20))\\n"
        writing += " if not e: os._exit(1)"
        environment = await inside.start({"app.py": writing})
        await environment.invoke(event(b"1"))
        await (await inside.start({"app.py": writing})).invoke(event(b"0"))  # what it leaves waits for another
        print(inside.launcher_pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    command = [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parents[1])]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        launcher = int(owner.stdout.readline())
        assert loop_devices(tmp_path)
        os.kill(launcher, signal.SIGKILL)
        deadline_s = time.monotonic() + 240
        while left := loop_devices(tmp_path):
            assert time.monotonic() < deadline_s, left
            time.sleep(0.02)
    finally:
        owner.kill()
        owner.communicate()
    assert os.listdir(tmp_path / "scratch") == []
    in_jail(_do_nothing, data=tmp_path)


async def _do_nothing(inside: Jail) -> None:
    await inside.run("def handler(event, context): pass")


def test_whoever_fills_the_hosts_disk_is_ended_and_the_others_go_on(tmp_path: Path) -> None:
    """Images are sparse: their sum may be more than the disk has."""
    source = FILL + "def handler(event, context): return fill('a', event)"

    async def scenario(inside: Jail) -> None:
        small = await inside.start({"app.py": source})
        await small.invoke(event(b"5"))
        large = await inside.start({"app.py": source})
        answer = await large.invoke(event(b"400", timeout_s=60))
        if answer.outcome is Outcome.SUCCESS:  # it was still in the page cache
            answer = await large.invoke(event(b"400", timeout_s=60))
        assert answer.outcome is Outcome.EXIT
        assert (await small.invoke(event(b"5"))).payload == b"[5, 0]"
        await small.shutdown()

    tmp_path.chmod(0o755)
    with small_disk(tmp_path / "disk", size_mb=160) as disk:
        disk.path.chmod(0o755)
        in_jail(scenario, data=disk.path, min_free_mb=64)


def test_without_images_single_files_are_capped(capfd: pytest.CaptureFixture[str]) -> None:
    source = "import os\ndef handler(event, context):\n    try: os.truncate(os.open('/tmp/x', 65), (512 << 20) + 1)\n"
    source += "    except OSError as error: return error.errno"

    async def scenario(inside: Jail) -> None:
        for _ in range(2):
            assert json.loads((await inside.run(source)).payload) == errno.EFBIG
        assert loop_devices(inside.data) == []

    in_jail(scenario, has_images=False)
    assert capfd.readouterr().err.count("only single files in /tmp are capped") == 1


def test_no_device_is_promised_twice_though_none_is_attached_yet(tmp_path: Path) -> None:
    images = Images(Scratch(tmp_path), is_root=True)
    made = [image for image in (images.make(512) for _ in range(3)) if image is not None]
    assert len({image.number for image in made}) == 3
    first, second, third = made
    loops.configure(first.loop_fd, first.file_fd)
    with pytest.raises(loops.TakenError):
        loops.configure(first.loop_fd, second.file_fd)
    file = f"#{os.fstat(first.file_fd).st_ino} (deleted)"
    assert any(each.strip().endswith(file) for each in loop_devices(tmp_path))
    for image in (first, second, third):
        image.release()
    assert all(image.is_detached() for image in (second, third))
    patience_s = time.monotonic() + 240
    while not first.is_detached() and time.monotonic() < patience_s:
        time.sleep(0.01)
    assert first.is_detached()
