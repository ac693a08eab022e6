"""Whatever a function brings wins over what was loaded before it came: from its zip, from a layer, from a folder that
it adds itself, and from what it makes while it runs. Each in an environment that may have the AWS SDK loaded already.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping

import pytest

from support.jail import Jail, jail

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="missing: the jail with its full strength: Linux, and root"
)

PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
"""What managed Python carries and one with the SDK has loaded."""
LOADED = "import sys\nNAMES = set(sys.modules)\nimport boto3\ndef handler(event, context): return 'boto3' in NAMES"
PLACES = ("", "python/", "python/lib/python{}.{}/site-packages/".format(*sys.version_info[:2]))


async def warm(inside: Jail) -> None:
    """Until functions that name the SDK get a Python that has it."""
    for _ in range(2_000):
        if (await inside.run(LOADED)).payload == b"true":
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the SDK was never loaded beforehand")


async def places(inside: Jail, name: str, source: str) -> Mapping[str, object]:
    """Where the module comes from, by how it is brought."""
    asks = f"# boto3\n{source}\nimport {name}\ndef handler(event, context): return {name}.MINE"
    found = {}
    brought = {
        "module": {f"{name}.py": "MINE = 1"},
        "package": {f"{name}/__init__.py": "MINE = 1"},
    }
    for how, files in brought.items():
        found[how] = json.loads((await inside.run_files({"app.py": asks, **files})).payload)
    for place in PLACES[1:]:
        layer = inside.folder({f"{place}{name}/__init__.py": "MINE = 1"})
        found[place] = json.loads((await inside.run_files({"app.py": asks}, layer_dirs=(layer,))).payload)
    vendored = f"import sys\nsys.path.insert(0, '/var/task/vendor/more')\n{asks}"
    files = {"app.py": vendored, f"vendor/more/{name}/__init__.py": "MINE = 1"}
    found["vendored"] = json.loads((await inside.run_files(files)).payload)
    added = f"import moves\n{asks}"
    moves = "import sys\nsys.path.insert(0, '/opt/vendor')"
    layer = inside.folder({f"vendor/{name}.py": "MINE = 1", "python/moves.py": moves})
    found["by a layer"] = json.loads((await inside.run_files({"app.py": added}, layer_dirs=(layer,))).payload)
    made = f"import os, sys\nopen('/tmp/{name}.py', 'w').write('MINE = 1')\nsys.path.insert(0, '/tmp')\n{asks}"
    found["made"] = json.loads((await inside.run_files({"app.py": made})).payload)
    return found


def test_everything_that_managed_python_carries_can_be_brought() -> None:
    async def run() -> None:
        async with jail() as inside:
            await warm(inside)
            for name in PACKAGES:
                found = await places(inside, name, "")
                assert set(found.values()) == {1}, (name, found)
            # And nothing of theirs has reached those that bring nothing.
            source = "import boto3, urllib3\ndef handler(event, context): return [boto3.__file__, urllib3.__file__]"
            files = json.loads((await inside.run(source)).payload)
            assert all(file.startswith("/var/runtime/") for file in files), files

    asyncio.run(run())
