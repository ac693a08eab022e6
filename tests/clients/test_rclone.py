"""Folders to buckets and back with a stock rclone, which compares what it finds by hash and by content."""

import json
import os
import shutil
import subprocess
import uuid

import pytest

RCLONE = shutil.which("rclone")

pytestmark = pytest.mark.skipif(RCLONE is None, reason="rclone is missing: apt-get install rclone")


@pytest.fixture
def rclone(server, tmp_path):
    """Runs rclone with the server as its remote `here:`; gives what it printed."""
    keys = server.credentials
    remote = {
        "type": "s3",
        "provider": "Other",
        "endpoint": server.endpoint,
        "region": server.region,
        "access_key_id": keys.access_key_id,
        "secret_access_key": keys.secret_access_key,
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RCLONE_"))}
    environ |= {f"RCLONE_CONFIG_HERE_{name.upper()}": value for name, value in remote.items()}
    environ["RCLONE_CONFIG"] = str(tmp_path / "none")

    def run(*arguments):
        command = [RCLONE, "--retries=1", "--s3-upload-cutoff=5M", "--s3-chunk-size=5M", *map(str, arguments)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    return run


def test_a_folder_is_synced_both_ways(rclone, tmp_path):
    bucket = f"here:rclone-{uuid.uuid4().hex[:12]}"
    out, back = tmp_path / "out", tmp_path / "back"
    sizes = {"a": 10, "deep/b": 5000, "deep/er/ünï c&d.txt": 70_000, "empty": 0, "in parts": 9 << 20}
    for name, size in sizes.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(os.urandom(size))
    rclone("mkdir", bucket)
    rclone("sync", out, f"{bucket}/x")
    rclone("check", out, f"{bucket}/x")
    rclone("check", "--download", out, f"{bucket}/x")
    rclone("sync", f"{bucket}/x", back)
    for name in sizes:
        assert (back / name).read_bytes() == (out / name).read_bytes()
        assert (back / name).stat().st_mtime_ns == (out / name).stat().st_mtime_ns
    (out / "a").unlink()
    rclone("sync", out, f"{bucket}/x")
    assert set(rclone("lsf", "-R", "--files-only", f"{bucket}/x").splitlines()) == set(sizes) - {"a"}
    rclone("moveto", f"{bucket}/x/in parts", f"{bucket}/moved")
    assert json.loads(rclone("size", "--json", f"{bucket}/moved"))["bytes"] == sizes["in parts"]
    rclone("purge", bucket)


def test_a_listing_is_told_apart_from_folders(rclone):
    bucket = f"here:rclone-{uuid.uuid4().hex[:12]}"
    rclone("mkdir", bucket)
    rclone("touch", f"{bucket}/one/two")
    assert rclone("lsf", bucket).splitlines() == ["one/"]
    assert rclone("lsf", f"{bucket}/one").splitlines() == ["two"]
    rclone("purge", bucket)
