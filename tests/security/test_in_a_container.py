"""Root in a container that an engine started by default is not root enough: Cosset says what is missing and refuses.
With what docs/containers.md asks for it is. No engine is needed: support/contained.py takes the same rights away."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="missing: Linux, and a root to take rights from"
)

SERVES = """
import json, sys
sys.path.insert(0, sys.argv[1])
from cosset.testing.server import CossetServer
from support.role import starter_role
from support.zip import make_zip
with CossetServer(["--tier", sys.argv[2]]) as server:
    client = server.client("lambda")
    package = {"ZipFile": make_zip({"app.py": "import os\\ndef handler(event, context): return os.getuid()"})}
    given = {"Runtime": "python3.11", "Handler": "app.handler", "Role": starter_role(server), "Code": package}
    client.create_function(FunctionName="f", **given)
    client.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
    print(client.invoke(FunctionName="f")["Payload"].read().decode())
"""
LAUNCHES = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from cosset.environments.api import TierUnavailableError
from support.jail import jail
async def main():
    async with jail() as inside:
        try:
            await inside.run("def handler(event, context): return 1")
        except TierUnavailableError as refused:
            print(refused)
asyncio.run(main())
"""


@pytest.fixture
def data() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cosset-test-") as folder:
        yield Path(folder) / "data"


def contained(*arguments: str, given: bool = False) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TESTS / "support" / "contained.py"), *(["--given"] if given else [])]
    environment = {**os.environ, "HOME": "/nonexistent"}
    return subprocess.run(
        [*command, sys.executable, *arguments], capture_output=True, text=True, cwd="/", timeout=120, env=environment
    )


def findings(*, given: bool, data: Path) -> tuple[int, dict[str, dict[str, str]]]:
    told = contained("-m", "cosset.cli", "doctor", "--json", "--data", str(data), "--port", "0", given=given)
    return told.returncode, {each["name"]: each for each in json.loads(told.stdout)}


def test_doctor_says_what_a_container_must_be_given(data: Path) -> None:
    status, found = findings(given=False, data=data)
    assert status == 1
    assert found["namespaces"]["level"] == "missing"
    assert "--cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt seccomp=unconfined" in found["namespaces"]["fix"]
    assert (found["cgroups"]["level"], found["disks"]["level"]) == ("weaker", "weaker")


def test_with_that_everything_is_there(data: Path) -> None:
    status, found = findings(given=True, data=data)
    assert status == 0
    for name in ("root", "namespaces", "seccomp", "cgroups", "freezing", "disks"):
        assert found[name]["level"] == "ok", found[name]
    served = contained("-c", SERVES, str(TESTS), "jail", given=True)
    assert (served.stdout.strip(), served.stderr) == ("993", "")


def test_without_it_no_environment_is_made() -> None:
    refused = contained("-c", LAUNCHES, str(TESTS))
    expected = (
        "tier jail needs namespaces, and this root may not make any (Operation not permitted): see `cosset doctor`"
    )
    assert expected in refused.stdout, refused


def test_up_says_why_it_does_not_start_where_its_server_would_see_nothing(data: Path) -> None:
    """Where Python, Cosset or the data lie in a closed folder, as below /root."""
    data.parent.chmod(0o700)
    told = contained("-m", "cosset.cli", "up", "--no-profile", "--port", "0", "--data", str(data))
    assert told.returncode == 1
    assert "this root may not make a mount namespace" in told.stderr
    assert "Traceback" not in told.stderr
