"""kill -9 while objects are written, copied, uploaded in parts and deleted: each is the old one or the new one, whole,
with the right ETag and checksum, and no file is left that no object names."""

import hashlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cosset.testing.server import CossetServer

BUCKET = "crash-objects"
PART = 5 * 1024 * 1024
KEYS = [f"key-{number}" for number in range(6)]


def test_objects_are_whole_after_a_kill(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    client(server).create_bucket(Bucket=BUCKET)
    for seed in range(2):
        stop = threading.Event()
        workers = [threading.Thread(target=work, args=(server, seed * 10 + n, stop)) for n in range(3)]
        for worker in workers:
            worker.start()
        time.sleep(3)  # how long there is load before the kill; nothing is asserted of it
        server.kill9()
        stop.set()
        for worker in workers:
            worker.join(60)
        server.start()
        check_whole(client(server))
        wait_for_no_orphans(server)


def client(server: CossetServer) -> Any:
    config = Config(retries={"total_max_attempts": 1}, read_timeout=60, connect_timeout=5)
    return server.client("s3", config=config)


def body_of(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def work(server: CossetServer, seed: int, stop: threading.Event) -> None:
    s3, chance, number = client(server), random.Random(seed), seed * 1000
    while not stop.is_set():
        number += 1
        key = chance.choice(KEYS)
        try:
            match chance.randrange(4):
                case 0:
                    s3.put_object(Bucket=BUCKET, Key=key, Body=body_of(number, chance.choice((100, 70_000, 2_000_000))))
                case 1:
                    s3.copy_object(Bucket=BUCKET, Key=key, CopySource=f"{BUCKET}/{chance.choice(KEYS)}", **CHANGED)
                case 2:
                    s3.delete_object(Bucket=BUCKET, Key=key)
                case _:
                    upload_in_parts(s3, key, number)
        except (ClientError, BotoCoreError):
            continue  # a source that is not there, or the kill


CHANGED = {"MetadataDirective": "REPLACE", "Metadata": {"copied": "yes"}}


def upload_in_parts(s3: Any, key: str, number: int) -> None:
    upload = {"Bucket": BUCKET, "Key": key}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    parts = []
    for part, size in ((1, PART), (2, 1000)):
        sent = s3.upload_part(**upload, PartNumber=part, Body=body_of(number + part, size))
        parts.append({"PartNumber": part, "ETag": sent["ETag"]})
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


def check_whole(s3: Any) -> None:
    for listed in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        found = s3.get_object(Bucket=BUCKET, Key=listed["Key"], ChecksumMode="ENABLED")
        data = found["Body"].read()  # the client compares the checksum
        etag = found["ETag"].strip('"')
        assert len(data) == listed["Size"]
        if etag.endswith("-2"):
            parts = (data[:PART], data[PART:])
            digest = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
            assert etag == f"{digest}-2"
        else:
            assert etag == hashlib.md5(data).hexdigest()


def wait_for_no_orphans(server: CossetServer) -> None:
    """The sweep of the start removes what the kill left."""
    data = Path(server.ready["data"])
    end = time.monotonic() + 240
    while True:
        there = {path.name for path in (data / "objects").glob("*/*")}
        with sqlite3.connect(f"file:{data / 'cosset.db'}?mode=ro", uri=True) as database:
            named = {name for (name,) in database.execute("SELECT name FROM s3_files")}
        database.close()
        assert named <= there
        if named == there or time.monotonic() > end:
            assert named == there
            return
        time.sleep(0.2)
