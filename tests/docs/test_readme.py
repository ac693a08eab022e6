"""Every block of README.md runs, in order, as a stranger would type it: shell, Python and a test of their own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.host import tier

ROOT = Path(__file__).parents[2]
READY_S = 120


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def stranger(tmp_path):
    """A folder and a home of one's own, with the checkout's .venv, on a port of one's own."""
    tmp_path.chmod(0o711)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    (tmp_path / "home").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COSSET_"))}
    variables = {"HOME": str(tmp_path / "home"), "COSSET_PORT": "0", "COSSET_TIER": tier()}
    return tmp_path, kept | variables | {"COSSET_DATA": str(tmp_path / "data")}


def serve(script: str, environ: dict[str, str], output: Path) -> subprocess.Popen[bytes]:
    """Runs the block that ends in `cosset up`, in the checkout, and returns when its banner is there."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["bash", "-euc", script], cwd=ROOT, env=environ, stdout=file, stderr=file, start_new_session=True
        )
    deadline = time.monotonic() + READY_S
    while "Ctrl-C stops it" not in output.read_text() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if "Ctrl-C stops it" not in output.read_text():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise AssertionError(output.read_text())
    return process


def test_every_block_of_the_readme_runs(stranger):
    folder, environ = stranger
    found = blocks(ROOT / "README.md")
    assert [language for language, _ in found] == ["sh", "sh", "python", "python", "text"], (
        "teach this test the new block"
    )
    (_, start), (_, use), (_, client), (_, users_test), (_, tree) = found
    assert tree in (ROOT / "docs" / "causes.md").read_text()  # an output: tests/api/test_causes.py makes the like of it

    server = serve(start, environ, folder / "up.log")
    try:
        done = run(["bash", "-euc", use], folder, environ)
        assert "Hello Ada!" in done
        assert re.search(r"START RequestId: .*Greeting Ada.*END RequestId: .*REPORT RequestId: ", done, re.DOTALL)
        assert "Hello Grace!" in run([sys.executable, "-c", client], folder, environ)
    finally:
        os.killpg(server.pid, signal.SIGINT)
        status = server.wait(60)
    assert status == 0, (folder / "up.log").read_text()

    (folder / "test_mine.py").write_text(users_test)
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", ".", "--cosset-tier", tier(), "test_mine.py"]
    assert "1 passed" in run([sys.executable, "-m", "pytest", *options], folder, environ)


def run(command: list[str], folder: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
