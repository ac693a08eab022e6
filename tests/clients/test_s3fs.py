"""A bucket as a folder, by a stock s3fs. Not collected where there is no FUSE (conftest.py)."""

import os
import shutil
import subprocess
import time
import uuid

import pytest

S3FS = shutil.which("s3fs")

pytestmark = pytest.mark.skipif(S3FS is None, reason="s3fs is missing: apt-get install s3fs")


@pytest.fixture
def mounted(server, tmp_path):
    """A client, a bucket, and the folder that shows it."""
    bucket, folder, keys = f"s3fs-{uuid.uuid4().hex[:12]}", tmp_path / "mounted", server.credentials
    s3 = server.client("s3")
    s3.create_bucket(Bucket=bucket)
    folder.mkdir()
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text(f"{keys.access_key_id}:{keys.secret_access_key}")
    options = f"passwd_file={secret},url={server.endpoint},use_path_request_style,endpoint={server.region}"
    with subprocess.Popen([S3FS, bucket, str(folder), "-f", "-o", options], stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 240
            while not os.path.ismount(folder):
                assert process.poll() is None, "s3fs ended"
                assert time.monotonic() < deadline, "s3fs did not mount"
                time.sleep(0.05)
            yield s3, bucket, folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
            process.terminate()
            process.wait(60)


def test_files_are_objects(mounted):
    s3, bucket, folder = mounted
    large = os.urandom(21 * 1024 * 1024)  # in parts
    (folder / "deep").mkdir()
    (folder / "small").write_bytes(b"hello")
    (folder / "large").write_bytes(large)
    (folder / "small").rename(folder / "deep" / "moved")
    assert (folder / "large").read_bytes() == large
    assert s3.get_object(Bucket=bucket, Key="large")["Body"].read() == large
    with (folder / "large").open("r+b") as file:
        file.seek(5_000_000)
        file.write(b"in the middle")
    assert s3.get_object(Bucket=bucket, Key="large")["Body"].read()[5_000_000:5_000_013] == b"in the middle"
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == ["deep/", "deep/moved", "large"]
    s3.put_object(Bucket=bucket, Key="deep/from elsewhere", Body=b"there")
    assert (folder / "deep" / "from elsewhere").read_bytes() == b"there"
    (folder / "large").unlink()
    assert sorted(path.name for path in folder.iterdir()) == ["deep"]
