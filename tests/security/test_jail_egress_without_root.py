"""The way to the internet that a user without root gets: slirp4netns, and rules inside the environment. In networks
of the test's own, as for root."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.launcher import egress, slirp
from support.internet import HOST, PORT, PUBLIC, SPECIAL, Internet, internet
from support.processes import left_of
from support.visitor import LOOK_UP, VISITOR

TESTS = Path(__file__).parents[1]
UID = 12346
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root has networks of the test's own"),
    pytest.mark.skipif(not all(map(shutil.which, ("nft", "ip", "slirp4netns"))), reason="missing: slirp4netns"),
]

OPEN_TUN = "mount -t tmpfs -o mode=755 none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec "
"""As most distributions have it: for everybody. Without it for root alone."""
SCRIPT = """
import asyncio, json, os, sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/security"]
from support.jail import event, jail
source, questions = sys.argv[2], json.loads(sys.argv[3])

async def ask(inside, wanted, *, memory_mb=1769, variables={}):
    environment = await inside.start({"app.py": source}, memory_mb=memory_mb, variables=variables)
    answer = await environment.invoke(event(json.dumps(wanted).encode(), timeout_s=30))
    await environment.shutdown()
    return json.loads(answer.payload)

async def main():
    found = {}
    for allowed in ([], ["10.0.0.0/24"]):
        async with jail(egress_to=allowed, has_cpu_quota=False, nameservers=lambda: []) as inside:
            found[json.dumps(allowed)] = await ask(inside, questions)
            found["processes"] = int(os.popen("pgrep -c -U " + str(os.getuid()) + " slirp4netns").read())
            if not allowed:
                found["off"] = await ask(inside, questions, variables={"COSSET_EGRESS": "off"})
    print(json.dumps(found))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def net() -> Iterator[Internet]:
    with internet() as made:
        yield made


def as_user(net: Internet, *arguments: str, setup: str = OPEN_TUN) -> "subprocess.CompletedProcess[str]":
    python = [sys.executable, str(TESTS / "support" / "unprivileged.py"), str(UID), *arguments]
    command = ["nsenter", f"--net={net.host}", "unshare", "--mount", "sh", "-c", setup + shlex.join(python)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=120)


QUESTIONS = [["visit", address, PORT] for address in (PUBLIC, HOST, "127.0.0.1", "10.0.2.2", *SPECIAL, "2001:db8::7")]


@pytest.fixture(scope="module")
def found(net: Internet) -> dict[str, Any]:
    ran = as_user(net, "-c", SCRIPT, str(TESTS), VISITOR + LOOK_UP, json.dumps(QUESTIONS))
    assert ran.returncode == 0, ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


def reached(answers: list[Any]) -> list[str]:
    return [address for (_, address, _), answer in zip(QUESTIONS, answers, strict=True) if isinstance(answer, str)]


def test_reaches_public_addresses_and_nothing_else(found: dict[str, Any]) -> None:
    assert reached(found["[]"]) == [PUBLIC]
    assert found["[]"][0] == HOST  # it came as the host


def test_reaches_private_networks_that_the_owner_names(found: dict[str, Any]) -> None:
    assert reached(found['["10.0.0.0/24"]']) == [PUBLIC, "10.0.0.5"]


def test_a_function_may_go_without(found: dict[str, Any]) -> None:
    assert reached(found["off"]) == []


def test_nothing_of_it_is_left(found: dict[str, Any]) -> None:
    assert found["processes"] >= 1  # there was something
    named = subprocess.run(["pgrep", "-U", str(UID), "slirp4netns"], capture_output=True, text=True)
    assert left_of(map(int, named.stdout.split())) == []


def test_says_what_is_missing(net: Internet) -> None:
    script = "from cosset.environments.launcher import slirp\ntry: print(slirp.check())\n"
    script += "except Exception as error: print(type(error).__name__, error)"
    hidden = "mount -t tmpfs -o mode=700 none /dev/net && exec "
    no_rules = OPEN_TUN.replace("exec ", "mount --bind /usr/bin/false /usr/sbin/nft && exec ")
    for setup, words in (
        (OPEN_TUN, "('/usr/bin/slirp4netns', "),
        (hidden, "EgressError egress without root needs /dev/net/tun to be open for this user"),
        (no_rules, "EgressError egress without root needs rules of nft in a user namespace"),
    ):
        ran = as_user(net, "-c", script, setup=setup)
        assert words in ran.stdout, ran.stderr


def test_the_doctor_says_how_it_is_weaker(net: Internet) -> None:
    script = "from cosset.environments.jail import host\n"
    script += "print([(f.level.value, f.detail) for f in host.inspect(wants_egress=True) if f.name == 'egress'])"
    assert (
        "[('weaker', 'Functions can be let to the internet: --egress, by slirp4netns"
        in as_user(net, "-c", script).stdout
    )
    hidden = as_user(net, "-c", script, setup="mount -t tmpfs -o mode=700 none /dev/net && exec ").stdout
    assert "[('missing', 'Functions cannot be let to the internet: egress without root needs /dev/net/tun" in hidden


def test_without_the_program_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(egress.EgressError, match="package slirp4netns"):
        slirp.check()


def test_knows_the_hosts_own_addresses(tmp_path: Path) -> None:
    trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.2\n        /32 host LOCAL\n     |-- 192.0.2.255\n"
    (tmp_path / "trie").write_text(trie + "        /32 link BROADCAST\n" + trie.partition("\n")[2])
    assert slirp.own_addresses(tmp_path / "trie") == ["192.0.2.2"]
    assert "127.0.0.1" in slirp.own_addresses()
