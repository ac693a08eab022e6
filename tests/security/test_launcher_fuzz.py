"""The launcher against a server that has been taken over: whatever comes over its socket, it goes on serving, does
nothing beyond its own folders, and keeps nothing. Seeded, and raw: the client sends only good ones."""

import array
import contextlib
import json
import os
import random
import select
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.launcher import trust
from cosset.runtimes.sealing import channel
from support.jail import LAUNCHER

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root has privileges to be misused"
)

SOURCE = "def handler(event, context): return 1\n"
# Three of the longest still fit into a message: one that is too long ends the conversation.
TEXTS = [
    *("", "x", "../x", "/etc", "/", ".", "..", "a" * 40_000, "\0", "\ud800", "e\u0301", "$(id)", "-n", "python3.11"),
    *("/proc/1/root", "/dev/null", "/etc/shadow", "/usr/bin/python3", "/\ud800/python3.11", "/tmp/../etc", "//etc"),
]
VALUES: list[Any] = [None, True, False, 0, 1, -1, 2**63, 1.5, [], {}, [[]], {"a": {}}, *TEXTS]
OPERATIONS = ["spawn", "kill", "throttle", "supervise", "prepare", "message", "drain", "fork", "", None, [], {}, 7]


class Raw:
    """A launcher process, and the server's end of its socket."""

    def __init__(self, process: "subprocess.Popen[bytes]", control: socket.socket, data: Path) -> None:
        self.process = process
        self.control = control
        self.data = data
        self._heard: deque[dict[str, Any]] = deque()
        control.setblocking(False)

    def send(self, message: Any, fds: int = 0) -> None:
        with open(os.devnull) as null:
            given = array.array("i", [null.fileno()] * fds)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, given)] if fds else []
            data = message if isinstance(message, bytes) else json.dumps(message).encode()
            while True:
                self.listen()  # or both sides would wait for the other to read
                try:
                    self.control.sendmsg([data], rights)
                    return
                except BlockingIOError:
                    select.select([self.control], [self.control], [], 30)

    def listen(self, patience_s: float = 0) -> None:
        """Takes what is there, or comes in time."""
        while select.select([self.control], [], [], patience_s)[0]:
            received = channel.receive(self.control)
            assert received is not None, "the launcher has gone"
            for fd in received[1]:
                os.close(fd)
            self._heard.append(received[0])
            patience_s = 0

    def hear(self, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Every answer up to the one that is waited for."""
        for _ in range(10_000):
            if not self._heard:
                self.listen(30)
            assert self._heard, "it never came"
            answer = self._heard.popleft()
            if until(answer):
                return answer
        raise AssertionError("it never came")

    def good(self, name: str) -> dict[str, Any]:
        interpreter = os.path.realpath(sys.executable)
        root = {"kind": "python", "interpreter": interpreter, "modules": None}
        code = {"id": name, "code": str(self.data / "code"), "layers": [], "memory_mb": 256, "disk_mb": 512}
        function = {"environment": {"_HANDLER": "app.handler"}, "command": []}
        return {"op": "spawn", **root, **code, **function, "predecessor": None, "reset": True}

    def serves(self, name: str) -> None:
        """A plain request after all that: the launcher has read everything before it."""
        self.send(self.good(name), fds=3)
        heard = self.hear(lambda answer: answer.get("id") == name)
        assert heard["event"] == "started", heard
        self.send({"op": "kill", "id": name})
        self.hear(lambda answer: answer == {"event": "gone", "id": name})

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@contextlib.contextmanager
def raw_launcher() -> Iterator[Raw]:
    with tempfile.TemporaryDirectory(prefix="cosset-test-") as folder:
        data = Path(folder).resolve()
        data.chmod(0o755)
        (data / "scratch").mkdir(mode=0o711)
        (data / "code").mkdir()
        (data / "code" / "app.py").write_text(SOURCE)
        ours, theirs = channel.pair()
        command = [sys.executable, "-c", LAUNCHER, str(theirs.fileno()), str(data)]
        command.append(json.dumps({"min_free_mb": 0, "egress_to": None}))
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdout=subprocess.DEVNULL)
        theirs.close()
        try:
            yield Raw(process, ours, data)
        finally:
            ours.close()
            code = process.wait(60)
        assert code == 0


@pytest.fixture(scope="module")
def launcher() -> Iterator[Raw]:
    with raw_launcher() as running:
        running.serves("first")
        yield running


@pytest.mark.parametrize("seed", range(4))
def test_survives_requests_that_no_server_would_make(launcher: Raw, seed: int) -> None:
    dice = random.Random(seed)
    before = set(os.listdir("/"))
    for number in range(150):
        message = launcher.good(f"fuzz-{seed}-{number}")
        message["op"] = dice.choice(OPERATIONS)
        for name in dice.sample(sorted(message), dice.randint(1, 3)):
            message[name] = dice.choice(VALUES)
        if message.get("op") == "spawn" and message["id"] == f"fuzz-{seed}-{number}":
            message[dice.choice(["kind", "code", "memory_mb", "disk_mb", "environment"])] = dice.choice([None, {1: 2}])
        launcher.send(message, fds=dice.randint(0, 4))
    launcher.serves(f"after-{seed}")
    assert launcher.process.poll() is None
    assert set(os.listdir("/")) == before


def test_keeps_no_descriptor_that_it_has_no_use_for(launcher: Raw) -> None:
    before = launcher.descriptors()
    for operation in ("kill", "throttle", "prepare", "message", "supervise", "nothing"):
        for _ in range(20):
            launcher.send({"op": operation, "id": "nobody", "body": {}}, fds=8)
        launcher.serves("after descriptors".replace(" ", "-"))
    assert launcher.descriptors() < before + 100  # 960 came; some environments may still be ending


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("code", "/etc", "is not in the data folder"),
        ("code", "{data}/../etc", "path"),
        ("code", "{data}", "is not in the data folder"),
        ("code", "{data}/code,upperdir=x", "path"),
        ("layers", ["/root"], "is not in the data folder"),
        ("modules", "/root", "is not in the data folder"),
        ("interpreter", "{data}/python3.11", "could be changed by others"),
        ("interpreter", "/usr/bin/env", "is neither python3.N nor node"),
        ("interpreter", "/\ud800/python3.11", "not a text"),
        ("environment", {"A": "\ud800"}, "environment"),
        ("environment", {"A=B": "x"}, "environment"),
        ("disk_mb", 2**40, "disk_mb"),
        ("memory_mb", 0, "memory_mb"),
        ("id", "../x", "id"),
        ("predecessor", "../x", "id"),
        ("kind", "shell", "kind"),
    ],
)
def test_says_what_it_refuses(launcher: Raw, field: str, value: Any, words: str) -> None:
    (launcher.data / "python3.11").write_text("#!/bin/sh\n")
    text = value.replace("{data}", str(launcher.data)) if isinstance(value, str) else value
    name = "../x" if field == "id" else "refused"
    launcher.send(launcher.good("refused") | {field: text}, fds=3)
    assert words in launcher.hear(lambda answer: answer.get("id") == name and answer["event"] == "failed")["error"]


def test_code_that_is_a_link_leads_nowhere_on_the_host(launcher: Raw) -> None:
    """Followed inside the spawner's root only, where the host's folders are not."""
    (launcher.data / "link").symlink_to("/root")
    launcher.send(launcher.good("linked") | {"code": str(launcher.data / "link")}, fds=3)
    heard = launcher.hear(lambda answer: answer.get("id") == "linked")
    if heard["event"] == "started":  # an empty folder of that name may be there: it is not the host's
        assert not _shows_hosts_root(launcher)
        launcher.send({"op": "kill", "id": "linked"})
    launcher.serves("after-link")


def _shows_hosts_root(launcher: Raw) -> bool:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    for pid in pids:
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid >= 1_881_000_000:
                shown = os.stat(f"/proc/{pid}/root/var/task")
                if (shown.st_dev, shown.st_ino) == (os.stat("/root").st_dev, os.stat("/root").st_ino):
                    return True
    return False


@pytest.mark.parametrize("message", [b"{", b"[]", b"7", b"\xff\xfe", b"[" * 100_000, b'{"op": "kill"', b"null"])
def test_ends_in_good_order_when_the_protocol_is_broken(message: bytes) -> None:
    with raw_launcher() as running:
        running.serves("first")
        running.send(message)
        assert running.process.wait(60) == 0


def test_shows_functions_no_file_as_a_certificate() -> None:
    """The certificate that environments trust comes from the server: a link instead of it is not followed."""
    with raw_launcher() as running:
        (running.data / "authority").mkdir()
        (running.data / "authority" / "certificate.pem").symlink_to("/etc/ssl/certs/ca-certificates.crt")
        running.serves("first")
        assert trust.read(running.data) is None
        (running.data / "authority" / "certificate.pem").unlink()
        (running.data / "authority" / "certificate.pem").write_text(Path("/etc/shadow").read_text())
        assert trust.read(running.data) is None
