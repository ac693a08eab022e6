"""`cosset snapshot save` of a server that runs, `load` into another folder, and a server on that."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosset.store.snapshot_database import NEWEST_SCHEMA
from cosset.store.snapshot_file import FORMAT, Manifest, SnapshotWriter
from cosset.testing.server import CossetServer
from support.logged import messages
from support.patience import until
from support.postgres import running_postgres
from support.role import make_role
from support.zip import make_zip

CODE = "def handler(event, context):\n    print('ran with', event)\n    return event\n"


def cosset(server: CossetServer, *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cosset.cli", *map(str, arguments)]
    return subprocess.run(command, env=server.environ, cwd=server.root, capture_output=True, text=True, timeout=120)


def make_function(server: CossetServer, name: str) -> None:
    client = server.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=make_role(server, f"role-{name}", "logs:*"),
        Handler="index.handler",
        Code={"ZipFile": make_zip({"index.py": CODE})},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    client.invoke(FunctionName=name, Payload=b'"before"')
    until(lambda: "ran with before\n" in messages(server, f"/aws/lambda/{name}"))


def test_a_server_goes_on_elsewhere_from_a_snapshot(new_server: Callable[..., CossetServer], tmp_path: Path) -> None:
    first = new_server()
    make_function(first, "kept")
    sqs = first.client("sqs")
    url = sqs.create_queue(QueueName="kept")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="waiting")
    file = tmp_path / "all.snapshot"
    saved = cosset(first, "snapshot", "save", file, "--data", first.data, "--json")
    assert saved.returncode == 0, saved.stderr
    assert json.loads(saved.stdout)["bytes"] == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    sqs.send_message(QueueUrl=url, MessageBody="too late")
    refused = cosset(first, "snapshot", "load", file, "--data", first.data, "--replace")
    assert refused.returncode == 1
    assert "in use by another Cosset" in refused.stderr
    first.stop()
    keys = first.credentials

    second = CossetServer(["--tier", str(first.ready["tier"])])
    try:
        loaded = cosset(second, "snapshot", "load", file, "--data", second.data, "--json")
        assert loaded.returncode == 0, loaded.stderr
        second.start()
        assert second.credentials == keys
        answer = second.client("lambda").invoke(FunctionName="kept", Payload=b'"after"')
        assert json.loads(answer["Payload"].read()) == "after"
        sqs = second.client("sqs")
        there = sqs.get_queue_url(QueueName="kept")["QueueUrl"]
        found = sqs.receive_message(QueueUrl=there, MaxNumberOfMessages=10)["Messages"]
        assert [message["Body"] for message in found] == ["waiting"]
        logs = second.client("logs").filter_log_events(logGroupName="/aws/lambda/kept")["events"]
        assert any("ran with before" in event["message"] for event in logs)
        again = cosset(second, "snapshot", "load", file, "--data", second.data)
        assert again.returncode == 1
        assert "stop the server first" in again.stderr
    finally:
        second.close()


class Sender(threading.Thread):
    """Sends numbered messages and objects, one after the other, until it is told to stop."""

    def __init__(self, server: CossetServer) -> None:
        super().__init__(daemon=True)
        self._sqs, self._s3 = server.client("sqs"), server.client("s3")
        self._url = self._sqs.create_queue(QueueName="loaded")["QueueUrl"]
        self._s3.create_bucket(Bucket="loaded")
        self.number = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            # The object first: a snapshot that has the message has its object.
            self._s3.put_object(Bucket="loaded", Key=str(self.number), Body=f"object {self.number}".encode())
            self._sqs.send_message(QueueUrl=self._url, MessageBody=str(self.number))
            self.number += 1

    def wait_for(self, number: int) -> None:
        ends_s = time.monotonic() + 240
        while self.number < number:
            assert time.monotonic() < ends_s
            time.sleep(0.05)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The flags that name it."""
    if request.param == "sqlite":
        yield []
        return
    with running_postgres() as postgres:
        yield ["--database", postgres.new_database()]


def test_a_snapshot_under_load_is_of_one_moment(
    new_server: Callable[..., CossetServer], tmp_path: Path, database: list[str]
) -> None:
    """Of either database. It is loaded into a folder: what came from PostgreSQL goes on in SQLite."""
    first = new_server(*database)
    sender = Sender(first)
    sender.start()
    file = tmp_path / "moment.snapshot"
    try:
        sender.wait_for(10)
        at_least = sender.number
        saved = cosset(first, "snapshot", "save", file, "--data", first.data, *database)
        assert saved.returncode == 0, saved.stderr
        at_most = sender.number
    finally:
        sender.stopping.set()
        sender.join(60)
    first.stop()
    second = CossetServer(["--tier", str(first.ready["tier"])])
    try:
        loaded = cosset(second, "snapshot", "load", file, "--data", second.data)
        assert loaded.returncode == 0, loaded.stderr
        second.start()
        sqs, s3 = second.client("sqs"), second.client("s3")
        url = sqs.get_queue_url(QueueName="loaded")["QueueUrl"]
        numbers: set[int] = set()
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            numbers |= {int(message["Body"]) for message in messages}
        assert numbers == set(range(len(numbers)))
        assert at_least <= len(numbers) <= at_most + 1
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="loaded"):
            for each in page["Contents"]:
                numbers.discard(int(each["Key"]))
                body = s3.get_object(Bucket="loaded", Key=each["Key"])["Body"].read()
                assert body == f"object {each['Key']}".encode()
        assert numbers == set()
    finally:
        second.close()


def test_a_snapshot_of_a_newer_cosset_is_refused_by_name(server: CossetServer, tmp_path: Path) -> None:
    for name, value, wanted in (("format", FORMAT + 1, "format"), ("schema", NEWEST_SCHEMA + 1, "schema")):
        file = tmp_path / f"{name}.snapshot"
        newer = replace(Manifest(cosset="9.9.9", schema=NEWEST_SCHEMA, engine="sqlite", made_ms=0), **{name: value})
        with file.open("wb") as out:
            SnapshotWriter(out, newer).finish()
        refused = cosset(server, "snapshot", "load", file, "--data", tmp_path / "data")
        assert refused.returncode == 1
        assert wanted in refused.stderr
        assert "9.9.9" in refused.stderr
        assert not (tmp_path / "data" / "cosset.db").exists()
