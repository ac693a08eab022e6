"""examples/photo-sharing as its README has it: deployed, a real photograph uploaded, everything taken away again."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cosset.testing.server import CossetServer
from support.chromium import chromium_page, find_chromium

ROOT = Path(__file__).parents[2]
PHOTOGRAPH = ROOT / "demo/photograph.jpg"
PATIENCE_S = 240
PICTURES = ("board.jpg", "in/two words ü.jpg", "third.jpg")


def run(server: CossetServer, *flags: str) -> str:
    script = ROOT / "examples/photo-sharing/deploy.py"
    done = subprocess.run([sys.executable, script, *flags], env=server.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(server: CossetServer, queue: str) -> set[str]:
    """The pictures that the queue heard of, once it did of all."""
    sqs, found = server.client("sqs"), set()
    until = time.monotonic() + PATIENCE_S
    while len(found) < len(PICTURES) and time.monotonic() < until:
        got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages", [])
        found |= {json.loads(message["Body"])["picture"] for message in got}
    return found


def get(server: CossetServer, url: str) -> Any:
    """What a visitor of the page gets, who has no key."""
    parts = urlsplit(url)
    request = urllib.request.Request(f"{server.endpoint}{parts.path}", headers={"Host": parts.netloc})
    return urllib.request.urlopen(request, timeout=60)


def test_pictures_are_shared(server: CossetServer) -> None:
    made = json.loads(run(server))
    s3 = server.client("s3")
    with ThreadPoolExecutor(len(PICTURES)) as threads:
        for key in PICTURES:
            threads.submit(s3.put_object, Bucket=made["uploads"], Key=key, Body=PHOTOGRAPH.read_bytes())
    assert told(server, made["queue"]) == set(PICTURES)
    note = json.loads(s3.get_object(Bucket=made["notes"], Key="board.jpg.json")["Body"].read())
    assert (note["picture"], note["format"]) == ("board.jpg", "JPEG")
    page = get(server, made["page"]).read().decode()
    for name in ("thumbnails/board.jpg.jpg", "thumbnails/in/two%20words%20%C3%BC.jpg.jpg", "thumbnails/third.jpg.jpg"):
        assert f'<img src="{name}"' in page
        thumbnail = get(server, made["page"] + name)
        assert thumbnail.headers["content-type"] == "image/jpeg"
        assert thumbnail.read()[:2] == b"\xff\xd8"
    if find_chromium() is not None or os.environ.get("COSSET_TEST_ALL"):
        with chromium_page() as browser:
            browser.open(made["page"])
            widths = browser.run("[...document.images].map(each => each.naturalWidth)")
        assert len(widths) == len(PICTURES)
        assert all(widths)
    run(server, "--remove")
    assert not [each for each in s3.list_buckets()["Buckets"] if each["Name"].startswith("photo-sharing")]
