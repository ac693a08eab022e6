"""Folders to buckets and back with the stock AWS CLI: `aws s3 sync`, `cp`, `mv`, `ls`, `rm`."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

AWS = Path(sys.executable).parent / "aws"
NAMES = ["a.txt", "deep/er/b.bin", "with space & more.txt", "ünïcødé.txt", "empty"]

pytestmark = pytest.mark.skipif(not AWS.exists(), reason="the AWS CLI is missing: make install brings it")


@pytest.fixture
def aws(server, tmp_path):
    """Runs `aws s3 ...`; gives what it printed."""

    def run(*arguments):
        environ = {**server.environ, "PYTHONUTF8": "1"}
        done = subprocess.run([AWS, "s3", *arguments], env=environ, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_there_and_back(aws, tmp_path):
    bucket = f"cli-{uuid.uuid4().hex[:12]}"
    aws("mb", f"s3://{bucket}")
    for number, name in enumerate(NAMES):
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "empty" else os.urandom(1000 * (number + 1)))
    (tmp_path / "out" / "big").write_bytes(os.urandom(9 * 1024 * 1024))  # in parts
    for path in (tmp_path / "out").rglob("*"):  # sent in the second of its making, a file would count as newer
        os.utime(path, (1_700_000_000, 1_700_000_000))
    aws("sync", "out", f"s3://{bucket}/folder")
    aws("sync", f"s3://{bucket}/folder", "back")
    assert contents(tmp_path / "back") == contents(tmp_path / "out")
    assert aws("sync", "out", f"s3://{bucket}/folder") == ""  # nothing is new
    (tmp_path / "out" / "a.txt").unlink()
    assert "delete:" in aws("sync", "out", f"s3://{bucket}/folder", "--delete")
    aws("cp", f"s3://{bucket}/folder/big", f"s3://{bucket}/copied")
    aws("mv", f"s3://{bucket}/copied", "moved")
    assert (tmp_path / "moved").read_bytes() == (tmp_path / "out" / "big").read_bytes()
    listed = aws("ls", f"s3://{bucket}/folder/")
    assert "PRE deep/" in listed
    assert "a.txt" not in listed
    aws("rb", f"s3://{bucket}", "--force")
