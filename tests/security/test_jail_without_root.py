"""The jail that a user without root gets: the same code in a user namespace (docs/decisions/0006: what is weaker)."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.jail import host

TESTS = Path(__file__).parents[1]
UID = 12345

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail needs Linux")

SCRIPT = """
import asyncio, json, sys
from dataclasses import replace
sys.path.insert(0, sys.argv[1])
from support.jail import event, jail

async def main():
    found = {}
    async with jail(has_cpu_quota=False) as inside:
        environment = await inside.start({"app.py": open(sys.argv[2]).read()}, memory_mb=1769)
        question = {"paths": ["/etc/shadow", str(inside.data)], "targets": ["/var/task/x", "/x"],
                    "addresses": [["1.1.1.1", 53]], "limits": ["MEMLOCK"]}
        found["attack"] = json.loads((await environment.invoke(event(json.dumps(question).encode()))).payload)
        await environment.shutdown()
        hungry = "def handler(e, c):\\n kept = []\\n while True: kept.append(bytearray(1 << 22))"
        answer = await inside.run(hungry, memory_mb=128)
        found["hungry"] = [answer.outcome.value, answer.error_type]
        layers = tuple(inside.folder({"python/shared.py": "NAME = %r" % name}) for name in ("first", "second"))
        answer = await inside.run("import shared\\ndef handler(e, c): return shared.NAME", layer_dirs=layers)
        found["layered"] = json.loads(answer.payload)
        node = {"app.mjs": "export const handler = async (event) => event;"}
        environment = await inside.start(node, runtime="nodejs22.x", memory_mb=1769)
        found["node"] = json.loads((await environment.invoke(event(b'"yes"'))).payload)
        found["peak_mb"] = (await environment.invoke(event())).max_memory_mb
        await environment.shutdown()
        resetting = "import os\\ndef handler(e, c):\\n open('/tmp/x', 'a').write('x')\\n"
        resetting += " return open('/tmp/x').read() if e else os._exit(1)"
        old = await inside.start({"app.py": resetting})
        await old.invoke(event(b"0"))
        heir = await inside.tier.start(replace(old.spec, id="heir", predecessor=old.spec.id), inside.lines)
        found["kept"] = json.loads((await heir.invoke(event(b"1"))).payload)
        await heir.shutdown()
    print(json.dumps(found))

asyncio.run(main())
"""


def as_user(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python as a plain user: ourselves, or another one when we are root."""
    command = [sys.executable, *arguments]
    if os.geteuid() == 0:
        command = [sys.executable, str(TESTS / "support" / "unprivileged.py"), str(UID), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=120)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    seen = as_user("-c", "from cosset.environments.jail import host; print(host.is_available(host.inspect()))")
    if seen.stdout.strip() != "True":
        pytest.skip(f"no user namespaces for a user without root here {seen.stderr}")
    with tempfile.NamedTemporaryFile("w", suffix=".py") as attack:
        attack.write((TESTS / "security" / "inside.py").read_text())
        attack.flush()
        os.chmod(attack.name, 0o644)
        ran = as_user("-c", SCRIPT, str(TESTS), attack.name)
    assert ran.returncode == 0, ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


def test_seals_as_with_root(found: dict[str, Any]) -> None:
    attack = found["attack"]
    assert set(attack["refused"].values()) == {1}
    assert attack["processes"] == [1, 2]
    assert attack["hidden"] == []
    assert attack["interfaces"] == ["lo"]
    assert attack["ids"][:4] == [993, 993, 990, 990]
    assert {int(attack["status"][name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (attack["status"]["NoNewPrivs"], attack["status"]["Seccomp"]) == ("1", "2")
    assert not [result for result in attack["unreadable"].values() if str(result).startswith("done")]
    assert not [result for result in attack["unwritable"].values() if str(result).startswith("done")]
    assert attack["init"] == dict.fromkeys(attack["init"], 13)


def test_ends_what_outgrows_its_memory(found: dict[str, Any]) -> None:
    assert found["hungry"] == ["out_of_memory", "Runtime.OutOfMemory"]


def test_serves_layers_and_node(found: dict[str, Any]) -> None:
    assert found["layered"] == "second"
    assert found["node"] == "yes"
    assert found["peak_mb"] > 10


def test_keeps_what_is_in_tmp_over_a_reset(found: dict[str, Any]) -> None:
    assert found["kept"] == "xx"


def test_says_what_is_weaker() -> None:
    script = "from cosset.environments.jail import host\n"
    script += "print([(f.name, f.level.value, bool(f.fix)) for f in host.inspect()])"
    seen = as_user("-c", script)
    assert seen.returncode == 0, seen.stderr
    assert "('root', 'weaker', True)" in seen.stdout


def test_says_what_root_has_here() -> None:
    levels = {finding.name: finding.level for finding in host.inspect()}
    isolation = {"root", "namespaces", "seccomp", "cgroups", "freezing", "disks", "egress", "overlay", "kernel"}
    assert set(levels) == isolation
    assert (levels["root"] is host.Level.OK) == (os.geteuid() == 0)
