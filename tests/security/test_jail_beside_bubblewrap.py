"""The jail beside bubblewrap, which others have looked at for ten years: whatever that hides or refuses, with all
namespaces and no capabilities on a minimal root, the jail hides or refuses too. The same probes run in both."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.jail import event, jail

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="the jail at its full strength needs root"),
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="missing: bubblewrap"),
]

HERE = Path(__file__).parent
PREFIX = str(Path(os.path.realpath(sys.executable)).parents[1])
LEFT_OUT = ["/usr", "/var/lang", PREFIX]
"""The system's programs and the interpreter, which are there in both."""
OWN = ("/var/task/", "/var/runtime/", "/etc/ssl/", "/etc/pki/", "/etc/alternatives/", "/proc/sys/net/")
"""What the jail shows and a minimal root does not: the function, the runtime, the authorities, and all settings
of its own network, because that belongs to a user namespace above its own."""
OWN_FILES = {
    "/etc/environment",
    *("/dev/stdin", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf"),
    *("/etc/ld.so.cache", "/etc/mime.types", "/etc/protocols", "/etc/services", "/etc/ssl/openssl.cnf"),
}
RUN = "import json, sys; sys.path.insert(0, '/var/task'); import app; "
RUN += "print(json.dumps(app.handler(json.load(sys.stdin), None)))"
QUESTION = {
    "paths": ["/etc/shadow", "/proc/kcore", "/proc/kmsg", "/proc/1/environ", "/dev/sda", "/dev/mem", "/sys/kernel"],
    "targets": ["/var/task/x", "/usr/x", "/x", "/etc/passwd", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"],
    "addresses": [["127.0.0.1", 22], ["169.254.169.254", 80], ["1.1.1.1", 53]],
    "limits": [],
    "left_out": LEFT_OUT,
}
NOT_THERE = ["seccomp", "ptrace", "unshare user", "unshare mount", "clone user", "chroot", "personality"]
"""Calls that bubblewrap lets through, after which the probe would be another process, or its init halted."""


def under_bubblewrap(code: Path) -> dict[str, Any]:
    links = [folder for folder in ("/bin", "/lib", "/lib64", "/sbin") if os.path.islink(folder)]
    command = ["bwrap", "--unshare-all", "--unshare-user", "--uid", "993", "--gid", "990", "--cap-drop", "ALL"]
    command += ["--die-with-parent", "--new-session", "--clearenv", "--ro-bind", "/usr", "/usr", "--proc", "/proc"]
    command += ["--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind", str(code), "/var/task", "--chdir", "/var/task"]
    for link in links:
        command += ["--symlink", os.readlink(link), link]
    if not PREFIX.startswith("/usr"):
        command += ["--ro-bind", PREFIX, PREFIX]
    command += ["--remount-ro", "/", os.path.realpath(sys.executable), "-c", RUN]
    question = json.dumps(QUESTION | {"skip": NOT_THERE})
    ran = subprocess.run(command, input=question, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


@pytest.fixture(scope="module", params=["inside.py", "walk_inside.py"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any, Any]:
    """The name of the probe, what it found in the jail, and what under bubblewrap."""
    source = (HERE / request.param).read_text()
    code = tmp_path_factory.mktemp("code")
    (code / "app.py").write_text(source)

    async def in_jail() -> Any:
        async with jail() as inside:
            environment = await inside.start({"app.py": source}, memory_mb=1769)
            answer = await environment.invoke(event(json.dumps(QUESTION).encode(), timeout_s=60))
            return json.loads(answer.payload)

    return request.param, asyncio.run(in_jail()), under_bubblewrap(code)


def test_whatever_it_refuses_is_refused(both: tuple[str, Any, Any]) -> None:
    probe, ours, theirs = both
    if probe == "inside.py":
        asked = 0
        for kind in ("refused", "absent", "unreadable", "unwritable", "sockets", "connections", "init"):
            for what, answer in theirs[kind].items():
                asked += 1
                assert isinstance(ours[kind][what], int) or not isinstance(answer, int), (kind, what, ours[kind][what])
        assert asked > 40
        assert isinstance(ours["raw"], int)
        assert isinstance(ours["setuid"], int)
        assert ours["interfaces"] == theirs["interfaces"] == ["lo"]
        assert len(ours["processes"]) <= len(theirs["processes"])


def test_whatever_it_hides_is_hidden(both: tuple[str, Any, Any]) -> None:
    probe, ours, theirs = both
    if probe == "walk_inside.py":
        assert "/var/task/app.py" in ours["readable"]  # it did look
        more = set(ours["readable"]) - set(theirs["readable"]) - OWN_FILES
        assert sorted(path for path in more if not path.startswith(OWN)) == []
        writable = set(ours["writable"]) - set(theirs["writable"])
        assert writable <= {"/tmp", "/dev/stdin"}
        assert set(ours["capabilities"]) == {"0" * 16}
        host = {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")}
        apart = {name for name in theirs["namespaces"] if theirs["namespaces"][name] != host[name]}
        assert apart >= {"user", "mnt", "net", "pid", "ipc", "uts"}
        assert {name for name in apart if ours["namespaces"][name] == host[name]} == set()
