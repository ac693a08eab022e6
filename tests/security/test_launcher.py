"""The two processes of a node: what the server may not do, and that neither outlives the other."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.processes import left_of

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root has privileges to part with"
)

SCRIPT = """
import asyncio, json, os, sys
from pathlib import Path
from cosset.environments.launcher import owner

data, secret = Path(sys.argv[1]), Path(sys.argv[2])

def serve(control):
    import boto3, uvicorn  # heavy ones, from wherever they are installed
    from cosset.environments.launcher.client import LauncherClient
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
    try:
        seen = secret.read_text()
    except OSError as error:
        seen = type(error).__name__
    found = {"pid": os.getpid(), "uid": os.getresuid(), "groups": os.getgroups(), "caps": status["CapEff"],
             "bounding": status["CapBnd"], "nnp": status["NoNewPrivs"], "secret": seen, "home": os.listdir("/root")}
    async def main():
        drained = asyncio.Event()
        client = LauncherClient(control, on_drain=drained.set)
        (data / "mine").write_text("x")
        client.tell_owner(found)
        await drained.wait()
        client.close()
        return 7
    return asyncio.run(main())

def on_message(found):
    print(json.dumps(found), flush=True)

sys.exit(owner.run(data, serve, on_message))
"""


class Node:
    def __init__(self, data: Path, secret: Path, started_by: Callable[[], object] = lambda: None) -> None:
        command = [sys.executable, "-c", SCRIPT, str(data), str(secret)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=started_by
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.found = json.loads(line) if line else {}

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Below a folder that only root may enter: the server must be let through all the same."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    return closed / "data"


@pytest.fixture
def node(data: Path) -> Iterator[Node]:
    with tempfile.NamedTemporaryFile("w") as secret:
        secret.write("secret")
        secret.flush()
        running = Node(data, Path(secret.name))
        assert running.found, running.end()
        yield running
        running.process.kill()
        running.process.communicate()


def test_the_server_has_no_privileges(node: Node, data: Path) -> None:
    found = node.found
    assert len(set(found["uid"])) == 1
    assert 1_880_000_000 <= found["uid"][0] < 1_881_000_000
    assert (found["groups"], int(found["caps"], 16), int(found["bounding"], 16), found["nnp"]) == ([], 0, 0, "1")
    assert found["secret"] == "PermissionError"
    assert data.stat().st_uid == found["uid"][0]
    assert data.stat().st_mode & 0o777 == 0o700


def test_a_signal_drains_the_server_and_its_exit_code_is_the_owners(node: Node, data: Path) -> None:
    node.process.send_signal(signal.SIGTERM)
    assert node.end() == (7, "")
    from cosset.environments.launcher import run_folder

    assert not (Path("/run/cosset") / run_folder.key_of(data)).exists()


def block_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD))


def test_who_was_started_with_signals_blocked_hears_them(data: Path, tmp_path: Path) -> None:
    node = Node(data, tmp_path / "secret", block_signals)
    node.process.send_signal(signal.SIGTERM)
    assert node.end() == (7, "")


def test_nohup_is_heeded(data: Path, tmp_path: Path) -> None:
    node = Node(data, tmp_path / "secret", lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{node.process.pid}/status").read_text().splitlines())
    assert int(status["SigIgn"], 16) & 1 << signal.SIGHUP - 1
    node.process.send_signal(signal.SIGHUP)
    node.process.send_signal(signal.SIGTERM)
    assert node.end() == (7, "")


def test_the_server_dies_with_its_owner_and_a_new_one_may_start_at_once(node: Node, data: Path, tmp_path: Path) -> None:
    node.process.kill()
    second = Node(data, tmp_path / "secret")
    try:
        assert second.found["uid"] == node.found["uid"]
        assert left_of([node.found["pid"]]) == []
    finally:
        second.process.terminate()
        assert second.end() == (7, "")


def test_the_owner_ends_when_its_server_is_killed(node: Node) -> None:
    os.kill(node.found["pid"], signal.SIGKILL)
    assert node.end() == (137, "")


def test_a_data_folder_has_one_owner(node: Node, data: Path, tmp_path: Path) -> None:
    second = Node(data, tmp_path / "secret")
    code, errors = second.end()
    assert code == 1
    assert f"another Cosset is running on {data} (pid {node.process.pid})" in errors


def test_takes_over_no_folder_of_somebody_elses(data: Path, tmp_path: Path) -> None:
    data.mkdir()
    (data / "thesis.txt").write_text("mine")
    refused = Node(data, tmp_path / "secret")
    code, errors = refused.end()
    assert code == 1
    assert "is not empty and no data folder of Cosset" in errors
    assert (data / "thesis.txt").stat().st_uid == 0
