"""S3 under its clients' largest loads: `python -m bench.s3_clients [GB] [files]`, some minutes; `make bench-s3`.

One object of 5 GB in by one PUT and out by one GET, read as it comes and compared by its hash; the same through boto3's
transfer manager, in parts, ten at a time, a fifth as large; 200 MB by `aws s3 cp`; then `aws s3 sync` of 10,000 files
of 2 KB to 10 KB into a bucket and back. What the node's memory came to is its peak by then (VmHWM). The floor of a sync
is `cp --recursive` of the same files and a sync of the disk.
"""

import hashlib
import http.client
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.s3 import peak_mb
from bench.s3_bodies import BUCKET, LARGE
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from cosset.testing.server import CossetServer

AWS = Path(sys.executable).parent / "aws"
GIGABYTE = 1024 * 1024 * 1024


def pieces(size: int) -> Iterator[bytes]:
    for left in range(size, 0, -len(LARGE)):
        yield LARGE[:left]


def one_object(server: CossetServer, size: int) -> None:
    signer = server.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
    host = server.endpoint.partition("//")[2]
    connection = http.client.HTTPConnection(host)
    expected, got = hashlib.blake2b(), hashlib.blake2b()
    for piece in pieces(size):
        expected.update(piece)

    def ask(method: str, operation: str, body: Any, headers: dict[str, str]) -> http.client.HTTPResponse:
        url = signer.generate_presigned_url(operation, Params={"Bucket": BUCKET, "Key": "one"})
        connection.request(method, url.partition(host)[2], body, headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        return answer

    started = time.perf_counter()
    ask("PUT", "put_object", pieces(size), {"Content-Length": str(size)}).read()
    show(server, "in by one PUT", size, started)
    started = time.perf_counter()
    answer, buffer = ask("GET", "get_object", None, {}), bytearray(1 << 20)
    while count := answer.readinto(buffer):
        got.update(memoryview(buffer)[:count])
    show(server, "out by one GET", size, started)
    assert got.digest() == expected.digest()


def in_parts(server: CossetServer, folder: Path, size: int) -> None:
    s3, config = server.client("s3"), TransferConfig(max_concurrency=10)
    source, target = folder / "source", folder / "target"
    with source.open("wb") as file:
        file.writelines(pieces(size))
    started = time.perf_counter()
    s3.upload_file(str(source), BUCKET, "in parts", Config=config)
    show(server, "in by boto3, ten parts at a time", size, started)
    started = time.perf_counter()
    s3.download_file(BUCKET, "in parts", str(target), Config=config)
    show(server, "out by boto3, ten ranges at a time", size, started)
    assert subprocess.run(["cmp", source, target], check=False).returncode == 0


def copied(server: CossetServer, folder: Path, size: int) -> None:
    """By the CLI, whose own start is the floor of it."""
    source, target, url = folder / "source", folder / "target", f"s3://{BUCKET}/copied"
    with source.open("wb") as file:
        file.writelines(pieces(size))
    started = time.perf_counter()
    subprocess.run([AWS, "--version"], env=server.environ, check=True, stdout=subprocess.DEVNULL)
    print(f"aws --version: {time.perf_counter() - started:.1f} s")
    for what, arguments in (("in", (source, url)), ("out", (url, target))):
        started = time.perf_counter()
        command = [AWS, "s3", "cp", "--only-show-errors", *map(str, arguments)]
        subprocess.run(command, env=server.environ, check=True)
        show(server, f"{what} by aws s3 cp", size, started)
    assert subprocess.run(["cmp", source, target], check=False).returncode == 0


def show(server: CossetServer, what: str, size: int, started: float) -> None:
    took = time.perf_counter() - started
    rate = size / took / 1e6
    print(f"{size / GIGABYTE:.1f} GB {what}: {took:.1f} s, {rate:.0f} MB/s, the node's peak {peak_mb(server):.0f} MB")


def sync(server: CossetServer, folder: Path, count: int) -> None:
    """There, back, and once more with nothing to do."""
    out, back = folder / "out", folder / "back"
    random.seed(7)
    for number in range(count):
        path = out / f"{number % 100:02}" / f"{number:05}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.randbytes(random.randint(2048, 10_240)))
        os.utime(path, (1_700_000_000, 1_700_000_000))  # what is younger than its object would be sent again
    started = time.perf_counter()
    subprocess.run(["cp", "--recursive", out, folder / "copied"], check=True)
    os.sync()
    print(f"{count} files copied by cp, and the disk synced: {time.perf_counter() - started:.1f} s")
    url = f"s3://{BUCKET}/sync"
    for what, arguments in (("in", (out, url)), ("once more", (out, url)), ("out", (url, back))):
        started = time.perf_counter()
        command = [AWS, "s3", "sync", "--only-show-errors", *map(str, arguments)]
        subprocess.run(command, env=server.environ, check=True)
        took = time.perf_counter() - started
        print(f"aws s3 sync of {count} files, {what}: {took:.1f} s, {count / took:.0f} files/s")
    assert subprocess.run(["diff", "--recursive", out, back], check=False).returncode == 0
    print(f"the node's peak {peak_mb(server):.0f} MB")


def main(gigabytes: float, files: int) -> None:
    with tempfile.TemporaryDirectory() as name, CossetServer(["--tier", "process"]) as server:
        server.client("s3").create_bucket(Bucket=BUCKET)
        print(f"load {os.getloadavg()[0]:.0f}; the node's peak at first {peak_mb(server):.0f} MB")
        if gigabytes:
            one_object(server, int(gigabytes * GIGABYTE))
            server.client("s3").delete_object(Bucket=BUCKET, Key="one")
            in_parts(server, Path(name), int(gigabytes * GIGABYTE) // 5)
        copied(server, Path(name), 200 << 20)
        if files:
            sync(server, Path(name), files)
        print(f"load {os.getloadavg()[0]:.0f}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5, int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
