"""What a reset keeps: the disk behind /tmp, for the one environment that is started in the place of the old one."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.api import Environment, EnvironmentSpec, InitError, Outcome
from support.extensions import external
from support.jail import PATIENCE, Jail, event, jail
from support.small_disk import small_disk

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the jail needs Linux and, for its full strength, root"
)

APP = """
import os, sys, time

def look():
    with open("/tmp/mine") as file:
        held = file.read()
    open("/tmp/mine", "a").close()
    owners = {os.lstat(each).st_uid == os.getuid() for each in ("/tmp", "/tmp/mine", "/tmp/link", "/tmp/deep/er")}
    return [held, owners == {True}, sorted(os.listdir("/tmp")), os.readlink("/tmp/link"), oct(os.stat("/tmp").st_mode)]

def handler(event, context):
    if event == "look":
        return look()
    if event == "list":
        return os.listdir("/tmp")
    os.makedirs("/tmp/deep/er")
    os.symlink("/etc/passwd", "/tmp/link")
    with open("/tmp/mine", "w") as file:
        file.write("held")
    if os.fork() == 0:  # a daemon of its own session, which holds a file open for writing
        os.setsid()
        file = open("/tmp/mine", "a")
        while True:
            time.sleep(0.01)
    exec(event)
"""
KEPT = ["held", True, ["deep", "link", "mine"], "/etc/passwd", "0o41777"]
ENDS = {
    "timeout": ("time.sleep(600)", Outcome.TIMEOUT),
    "exit": ("sys.exit(1)", Outcome.EXIT),
    "abort": ("os.abort()", Outcome.EXIT),
    "memory": ("x = bytearray(1 << 30)", Outcome.OUT_OF_MEMORY),
    "everything inside": ("os.kill(-1, 9); os.kill(os.getpid(), 9)", Outcome.EXIT),
}


def in_jail(scenario: Callable[[Jail], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with jail(**options) as inside:
            await scenario(inside)

    asyncio.run(run())


async def reset(
    inside: Jail, code: str = "os._exit(1)", outcome: Outcome = Outcome.EXIT, **changes: Any
) -> Environment:
    """One that was."""
    environment = await inside.start({"app.py": APP}, **changes)
    timeout_s = 3 * PATIENCE if outcome is Outcome.TIMEOUT else 20 * PATIENCE
    answer = await environment.invoke(event(json.dumps(code).encode(), timeout_s=timeout_s))
    assert answer.outcome is outcome, answer
    return environment


def heir_of(spec: EnvironmentSpec, **changes: Any) -> EnvironmentSpec:
    return replace(spec, id=spec.id[::-1], predecessor=spec.id, **changes)


async def ask(inside: Jail, spec: EnvironmentSpec, what: str = "look") -> Any:
    environment = await inside.tier.start(spec, inside.lines)
    try:
        return json.loads((await environment.invoke(event(json.dumps(what).encode()))).payload)
    finally:
        await environment.shutdown()


def runtime_of(environment: Environment) -> int:
    pid: int = environment._process._memory._pid  # type: ignore[attr-defined]
    return pid


async def until_empty(folder: Path) -> None:
    """But for the folders of those that are prepared."""
    patience_s = time.monotonic() + 60 * PATIENCE
    while left := _full(folder):
        assert time.monotonic() < patience_s, left
        await asyncio.sleep(0.02)


def _full(folder: Path) -> list[str]:
    return [each.name for each in os.scandir(folder) if any(os.scandir(each))]


@pytest.mark.parametrize(
    ("host", "ends"),
    [({}, list(ENDS)), ({"has_images": False}, ["abort", "everything inside"]), ({"has_bare_init": False}, ["exit"])],
    ids=["disks", "folders", "an interpreter as init"],
)
def test_what_is_in_tmp_stays_for_the_next(host: dict[str, Any], ends: list[str]) -> None:
    async def end(inside: Jail, how: str) -> None:
        old = await reset(inside, *ENDS[how], memory_mb=128)
        assert await ask(inside, heir_of(old.spec)) == KEPT, how
        assert await ask(inside, heir_of(heir_of(old.spec)), "list") == [], how  # which has not been reset

    async def scenario(inside: Jail) -> None:
        await asyncio.gather(*(end(inside, how) for how in ends))
        await until_empty(inside.data / "scratch")

    in_jail(scenario, **host)


NODE = """
import fs from 'fs';
export const handler = async (event) => {
    fs.appendFileSync('/tmp/mine', 'x');
    if (event === 'os._exit(1)') process.exit(1);
    return fs.readFileSync('/tmp/mine', 'utf8');
};
"""


def test_in_environments_of_another_making() -> None:
    """A Node that waits for its function, and one with extensions, which are started anew too."""

    async def scenario(inside: Jail) -> None:
        layer = inside.folder({"extensions/watcher": external(python="/usr/bin/env python3")})
        for files, changes in (
            ({"app.mjs": NODE}, {"runtime": "nodejs22.x"}),
            ({"app.py": APP}, {"layer_dirs": (layer,)}),
        ):
            old = await inside.start(files, memory_mb=512, **changes)
            assert (await old.invoke(event(b'"os._exit(1)"'))).outcome is Outcome.EXIT
            heir = await inside.tier.start(heir_of(old.spec), inside.lines)
            answer = await heir.invoke(event(b'"look"'))
            assert json.loads(answer.payload) in ("xx", KEPT)
            if not answer.is_settled:
                await heir.settle(answer)
            await heir.shutdown()
        assert inside.lines.text.count('"shutdownReason": "failure"') == 1
        assert inside.lines.text.count("EXTENSION\tName: watcher\tState: Ready") == 2

    in_jail(scenario)


def test_of_one_reset_after_the_other() -> None:
    """Also when the one in between does not begin; each has what all before had."""
    source = "import os\nopen('/tmp/tries', 'a').write('x')\nif os.path.getsize('/tmp/tries') == 2: os._exit(7)\n"
    source += "def handler(event, context):\n    if os.path.getsize('/tmp/tries') < 3: os._exit(1)\n"
    source += "    return open('/tmp/tries').read()"

    async def scenario(inside: Jail) -> None:
        first = await inside.start({"app.py": source})
        assert (await first.invoke(event())).outcome is Outcome.EXIT
        second = heir_of(first.spec)
        with pytest.raises(InitError):
            await inside.tier.start(second, inside.lines)
        third = await inside.tier.start(replace(second, id="third", predecessor=second.id), inside.lines)
        assert (await third.invoke(event())).payload == b'"xxx"'
        await third.shutdown()

    in_jail(scenario)


def test_only_the_one_in_its_place_gets_it() -> None:
    async def scenario(inside: Jail) -> None:
        old = await reset(inside)
        heir = heir_of(old.spec)
        assert await ask(inside, replace(heir, id="a", predecessor=None), "list") == []
        assert await ask(inside, replace(heir, id="b", predecessor="nobody"), "list") == []
        assert await ask(inside, replace(heir, id="c", ephemeral_storage_mb=600), "list") == []
        assert await ask(inside, replace(heir, id="d", code_dir=inside.folder({"app.py": APP})), "list") == []
        assert await ask(inside, replace(heir, id="e", layer_dirs=(inside.folder({"x": ""}),)), "list") == []
        alive = await inside.start({"app.py": APP})
        await alive.invoke(event(b'"1"'))
        assert await ask(inside, heir_of(alive.spec), "list") == []
        assert await ask(inside, heir) == KEPT
        assert await ask(inside, replace(heir, id="f"), "list") == []  # it is another's now
        assert sorted(json.loads((await alive.invoke(event(b'"list"'))).payload)) == ["deep", "link", "mine"]
        await alive.shutdown()

    in_jail(scenario)


def test_its_uid_is_nobody_elses_meanwhile() -> None:
    async def scenario(inside: Jail) -> None:
        old = await reset(inside)
        others = [await inside.start({"app.py": APP}) for _ in range(3)]
        heir = await inside.tier.start(heir_of(old.spec), inside.lines)
        uids = [os.stat(f"/proc/{runtime_of(environment)}").st_uid for environment in (heir, *others)]
        assert len(set(uids)) == 4, uids
        for environment in (heir, *others):
            await environment.shutdown()

    in_jail(scenario)


@pytest.mark.parametrize("host", [{}, {"has_images": False}], ids=["disks", "folders"])
def test_nothing_is_kept_of_others(host: dict[str, Any]) -> None:
    """Of those that were let go, and of one that ended when it had nothing to do."""

    async def scenario(inside: Jail) -> None:
        idle = await inside.start({"app.py": APP})
        await idle.invoke(event(b'"1"'))
        await idle.shutdown()
        assert await ask(inside, heir_of(idle.spec), "list") == []
        idle = await inside.start({"app.py": APP})
        await idle.invoke(event(b'"1"'))
        os.kill(runtime_of(idle), signal.SIGKILL)
        with contextlib.suppress(TimeoutError):  # where it is frozen already, and cannot die of it
            await asyncio.wait_for(idle._over.wait(), 5)  # type: ignore[attr-defined]
        await idle.shutdown()
        assert await ask(inside, heir_of(idle.spec), "list") == []
        forgotten = await reset(inside)
        inside.tier.forget(forgotten.spec.id)
        inside.tier.forget("nobody")
        assert await ask(inside, heir_of(forgotten.spec), "list") == []
        await until_empty(inside.data / "scratch")

    in_jail(scenario, **host)


@pytest.mark.parametrize("host", [{}, {"has_images": False}], ids=["disks", "folders"])
def test_nobody_comes_for_it(host: dict[str, Any]) -> None:
    """It is erased then; and at the end of the launcher at once."""
    folders = []

    async def scenario(inside: Jail) -> None:
        folders.append(inside.data / "scratch")
        patience_s = time.monotonic() + 60 * PATIENCE
        while await ask(inside, heir_of((await reset(inside)).spec), "list"):  # it was quicker
            assert time.monotonic() < patience_s
        await until_empty(inside.data / "scratch")

    async def end_at_once(inside: Jail) -> None:
        folders.append(inside.data / "scratch")
        await reset(inside)

    in_jail(scenario, keeps_disks=False, **host)
    in_jail(end_at_once, **host)
    assert not any(folder.exists() and os.listdir(folder) for folder in folders)


def test_the_room_is_that_of_one() -> None:
    source = "import os\ndef fill(name, megabytes):\n    written = 0\n    try:\n"
    source += "        with open('/tmp/' + name, 'wb', buffering=0) as file:\n            while written < megabytes:\n"
    source += "                written += file.write(b'x' * (1 << 20)) / (1 << 20)\n    except OSError: pass\n"
    source += "    return round(written)\ndef handler(event, context):\n"
    source += "    if event: fill('a', 400); os._exit(1)\n    return fill('b', 400)"

    async def scenario(inside: Jail) -> None:
        old = await inside.start({"app.py": source})
        assert (await old.invoke(event(b"1", timeout_s=60 * PATIENCE))).outcome is Outcome.EXIT
        heir = await inside.tier.start(heir_of(old.spec), inside.lines)
        assert 90 <= json.loads((await heir.invoke(event(b"0", timeout_s=60 * PATIENCE))).payload) <= 140
        await heir.shutdown()

    in_jail(scenario)


HOSTILE = """
import socket
for name in ("lost+found", "cosset", "proc", ".cosset", "x" * 255):
    os.symlink("/proc/self/root/../../../../etc", "/tmp/" + name)
os.mkfifo("/tmp/pipe")
for fd in range(3, 64):  # keep the disk mounted from outside, by a file on its way to whoever listens
    try:
        sock = socket.socket(fileno=os.dup(fd))
        socket.send_fds(sock, [b"x"], [os.open("/tmp/mine", os.O_RDWR)])
    except OSError:
        continue
os.chmod("/tmp/deep", 0)
os.chmod("/tmp", 0)
os._exit(1)
"""


@pytest.mark.parametrize("host", [{}, {"has_images": False}], ids=["disks", "folders"])
def test_tricks_in_it_hurt_nobody(host: dict[str, Any]) -> None:
    """Whoever furnishes the next environment follows nothing of it. Its own /tmp may suffer."""

    async def scenario(inside: Jail) -> None:
        old = await reset(inside, HOSTILE)
        places = ("/etc", "/etc/passwd", inside.data, inside.data / "scratch")
        before = [(os.stat(place).st_mode, os.stat(place).st_uid) for place in places]
        found = await ask(inside, heir_of(old.spec), "list")
        assert found == [] or len(found) == 9
        assert before == [(os.stat(place).st_mode, os.stat(place).st_uid) for place in places]
        await until_empty(inside.data / "scratch")

    in_jail(scenario, **host)


def test_the_kept_goes_before_anybody_is_ended_for_room(tmp_path: Path) -> None:
    source = "def handler(event, context):\n    with open('/tmp/a', 'wb', 0) as file:\n"
    source += (
        "        for _ in range(event): file.write(b'x' * (1 << 20))\n    if event == 50: exit(1)\n    return 'well'"
    )

    async def scenario(inside: Jail) -> None:
        old = await inside.start({"app.py": source})
        assert (await old.invoke(event(b"50", timeout_s=60 * PATIENCE))).outcome is Outcome.EXIT
        other = await inside.start({"app.py": source})
        assert (await other.invoke(event(b"45", timeout_s=60 * PATIENCE))).payload == b'"well"'
        patience_s = time.monotonic() + 60 * PATIENCE
        while os.statvfs(disk.path).f_bavail * os.statvfs(disk.path).f_frsize < 64 << 20:
            assert time.monotonic() < patience_s
            await asyncio.sleep(0.02)
        assert (await other.invoke(event(b"1"))).payload == b'"well"'
        await other.shutdown()

    tmp_path.chmod(0o755)
    with small_disk(tmp_path / "disk", size_mb=150) as disk:
        disk.path.chmod(0o755)
        in_jail(scenario, data=disk.path, min_free_mb=64)
