"""What is begun before a function is there leaves no trace in it: modules, randomness, time zone, files."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.jail.ahead import SdkUse
from support.jail import Jail, jail
from support.processes import children

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the jail needs Linux and, for its full strength, root"
)

NAMES_SDK = """
import sys
loaded = sorted({name.partition(".")[0] for name in sys.modules})
import boto3, urllib3
def handler(event, context):
    return {"loaded": loaded, "boto3": boto3.__file__, "urllib3": urllib3.__file__}
"""


SHOWS_ITSELF = """
import gc, logging, os, signal, sys, threading, time
def shown(handlers):
    return [(type(each).__name__, type(each.formatter).__name__) for each in handlers]
def handler(event, context):
    return {
        "modules": sorted(sys.modules),
        "path": sys.path,
        "finders": sorted(sys.path_importer_cache),
        "variables": sorted(os.environ),
        "argv": sys.argv,
        "logging": shown(logging.getLogger().handlers) + [logging.getLogger().level, len(logging._handlerList)],
        "streams": [type(sys.stdout).__name__, type(sys.stdout.stream).__name__, type(sys.stderr.stream).__name__],
        "descriptors": sorted(os.listdir("/proc/self/fd")),
        "threads": [threading.active_count(), threading.main_thread().native_id],
        "signals": [str(signal.getsignal(number)) for number in range(1, 32)],
        "zone": time.tzname,
        "bytecode": [sys.dont_write_bytecode, sys.pycache_prefix, __cached__],
        "files": [os.getcwd(), os.listdir("/tmp"), os.umask(0o22)],
        "garbage": [gc.isenabled(), gc.garbage, gc.callbacks],
    }
"""


async def answer(inside: Jail, files: Mapping[str, str], **changes: Any) -> Any:
    return json.loads((await inside.run_files(files, **changes)).payload)


async def answer_with_sdk(inside: Jail) -> Any:
    """The first starts are served without; a Python that has the SDK loaded follows, when it has had the time."""
    for _ in range(2_000):
        found = await answer(inside, {"app.py": NAMES_SDK})
        if "boto3" in found["loaded"]:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("the SDK was never loaded beforehand")


def test_the_sdk_is_loaded_only_for_who_names_it_and_never_wins() -> None:
    async def run() -> None:
        async with jail() as inside:
            found = await answer_with_sdk(inside)
            assert found["boto3"].startswith("/var/runtime/boto3/")
            plain = "import sys\ndef handler(event, context): return 'urllib3' in sys.modules"
            assert await answer(inside, {"app.py": plain}) is False
            source = "import urllib3, getpass  # and not boto3\n"
            source += "def handler(event, context): return [urllib3.__file__, getpass.__file__]"
            own = await answer(inside, {"app.py": source, "urllib3.py": ""})
            assert own[0] == "/var/task/urllib3.py"
            layer = inside.folder({"python/urllib3/__init__.py": ""})
            layered = await answer(inside, {"app.py": source}, layer_dirs=(layer,))
            assert layered[0] == "/opt/python/urllib3/__init__.py"
            # Of the standard library, too, what AWS's own bootstrap has not loaded already.
            assert (await answer(inside, {"app.py": source, "getpass.py": ""}))[1] == "/var/task/getpass.py"
            unchanged = await answer(inside, {"app.py": source})
            assert unchanged[0].startswith("/var/runtime/")

    asyncio.run(run())


def test_environments_from_one_fork_share_no_randomness_and_no_state() -> None:
    source = """
import multiprocessing, os, random, secrets, ssl, sys, tempfile, time, uuid
drawn = [random.random(), secrets.token_hex(8), str(uuid.uuid4()), ssl.RAND_bytes(8).hex(),
         next(tempfile._get_candidate_names()), bytes(multiprocessing.current_process().authkey).hex()]
def handler(event, context):
    return {"drawn": drawn, "zone": time.tzname[0], "files": os.listdir("/tmp"), "colour": os.environ.get("COLOUR")}
import boto3
"""

    async def run() -> None:
        async with jail() as inside:
            await answer_with_sdk(inside)
            first = await answer(inside, {"app.py": source}, variables={"TZ": "Asia/Tokyo", "COLOUR": "green"})
            second = await answer(inside, {"app.py": source})
            assert not set(first["drawn"]) & set(second["drawn"])
            assert (first["zone"], second["zone"]) == ("JST", "UTC")
            assert first["files"] == second["files"] == []
            assert (first["colour"], second["colour"]) == ("green", None)

    asyncio.run(run())


def test_no_function_sees_whether_its_start_was_rehearsed() -> None:
    """A node's first environment has not rehearsed, those that are prepared after it have."""

    async def run() -> None:
        async with jail() as inside:
            files = {"app.py": SHOWS_ITSELF}
            first = await answer(inside, files)
            for _ in range(3):
                for _ in range(2_000):
                    if _prepared(inside):
                        break
                    await asyncio.sleep(0.05)
                assert await answer(inside, files) == first

    asyncio.run(run())


def test_in_doubt_the_sdk_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import boto3")
    (tmp_path / "layer/python/lib/python3.11/site-packages").mkdir(parents=True)
    layer = tmp_path / "layer"
    assert SdkUse().is_wanted(tmp_path, [layer], {})
    assert not SdkUse().is_wanted(tmp_path, [], {"PYTHONPATH": "/var/task/vendor"})
    assert not SdkUse().is_wanted(tmp_path, [], {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrap"})
    (tmp_path / "layer/python/lib/python3.11/site-packages/certifi").mkdir()
    assert not SdkUse().is_wanted(tmp_path, [layer], {})
    (tmp_path / "vendor/more/urllib3").mkdir(parents=True)
    assert not SdkUse().is_wanted(tmp_path, [], {})
    (tmp_path / "vendor/more/urllib3").rename(tmp_path / "vendor/more/another")
    assert SdkUse().is_wanted(tmp_path, [], {})
    (tmp_path / "vendor/paths.py").write_text("sys.path.append(archive)")
    assert not SdkUse().is_wanted(tmp_path, [], {})
    (tmp_path / "vendor/paths.py").unlink()
    (tmp_path / "queue.py").write_text("")
    assert not SdkUse().is_wanted(tmp_path, [], {})


def test_a_prepared_environment_that_was_killed_costs_no_invocation() -> None:
    source = "def handler(event, context): return 1"

    async def run() -> None:
        async with jail() as inside:
            await inside.run(source)
            for _ in range(5):
                for init in _prepared(inside):
                    with suppress(ProcessLookupError):  # it has ended meanwhile
                        os.kill(init, signal.SIGKILL)
                assert (await inside.run(source)).payload == b"1"

    asyncio.run(run())


def _prepared(inside: Jail) -> list[int]:
    """Their inits are still root's."""
    found = []
    for spawner in children(inside.launcher_pid):
        with suppress(FileNotFoundError):  # one that ends meanwhile
            found += [init for init in children(spawner) if os.stat(f"/proc/{init}").st_uid == 0]
    return found
