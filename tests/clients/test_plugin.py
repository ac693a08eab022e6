"""The pytest plugin, as a user's own tests have it: installed with Cosset, nothing to import."""

import subprocess
import sys

from support.host import tier

USERS_TEST = """
def test_mine(cosset_server):
    identity = cosset_server.client("sts").get_caller_identity()
    assert identity["Account"] == cosset_server.account == "000000000000"
"""


def test_the_fixture_is_there(tmp_path):
    (tmp_path / "test_mine.py").write_text(USERS_TEST)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--cosset-tier",
            tier(),
            "-p",
            "no:cacheprovider",
            "--rootdir",
            ".",
            ".",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
