"""A database that another program locks, that was damaged, or that may not be written: queues and topics say so in
clear words, lose nothing that they acknowledged, and go on by themselves once the cause is gone."""

import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer, ServerFailedError
from support.host import tier
from support.queues import make_queue, receive
from support.small_disk import small_disk

ONE_TRY = Config(retries={"total_max_attempts": 1}, read_timeout=120)
LOCKED = "Cosset's database is locked by another program. Nothing was changed."


class Letters:
    """A topic that sends on to a queue, and a queue of its own; what they acknowledged is remembered."""

    def __init__(self, server: CossetServer) -> None:
        self.sent: dict[str, set[str]] = {"direct": set(), "fanned": set()}
        self.connect(server)
        self.topic = self.sns.create_topic(Name="letters")["TopicArn"]
        self.urls = {"direct": self.sqs.create_queue(QueueName="direct")["QueueUrl"]}
        self.urls["fanned"], arn = make_queue(self.sqs, "fanned", self.topic)
        raw = {"RawMessageDelivery": "true"}
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn, Attributes=raw)

    def connect(self, server: CossetServer) -> None:
        self.sqs, self.sns = server.client("sqs", config=ONE_TRY), server.client("sns", config=ONE_TRY)

    def send(self, name: str) -> None:
        self.sqs.send_message(QueueUrl=self.urls["direct"], MessageBody=name)
        self.sent["direct"].add(name)
        self.sns.publish(TopicArn=self.topic, Message=name)
        self.sent["fanned"].add(name)

    def all_arrive(self) -> None:
        for name, wanted in self.sent.items():
            missing = set(wanted)
            while missing:
                missing -= {message["Body"] for message in receive(self.sqs, self.urls[name])}


def refusal(call: Callable[..., Any], **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**params)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    return str(caught.value)


def test_a_database_that_another_program_locks(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    letters = Letters(server)
    letters.send("before")
    letters.all_arrive()  # nothing is under way: its lease would have to end first
    letters.sent = {"direct": set(), "fanned": set()}
    with closing(sqlite3.connect(server.data / "cosset.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor() as threads:  # each waits a moment for the lock
            sent = threads.submit(
                refusal, letters.sqs.send_message, QueueUrl=letters.urls["direct"], MessageBody="refused"
            )
            published = threads.submit(refusal, letters.sns.publish, TopicArn=letters.topic, Message="refused")
            assert LOCKED in sent.result()
            assert LOCKED in published.result()
        assert len(letters.sqs.list_queues()["QueueUrls"]) == 2  # reading goes on
        other.execute("ROLLBACK")
    letters.send("after")
    letters.all_arrive()
    assert "Close that program." in server.log()
    assert "Traceback" not in server.log()
    assert "Messages" not in letters.sqs.receive_message(QueueUrl=letters.urls["direct"])


def test_a_database_that_was_damaged(new_server: Callable[..., CossetServer]) -> None:
    """It is not opened, and nothing in it is touched; the copy that is put back has what was acknowledged by then."""
    server = new_server()
    letters = Letters(server)
    letters.send("before")
    server.stop()  # which leaves all of it in the one file
    path = server.data / "cosset.db"
    copy = server.root / "copy.db"
    shutil.copy2(path, copy)
    spoilt = b"\xff" * path.stat().st_size
    with path.open("r+b") as file:
        file.write(spoilt)
    with pytest.raises(ServerFailedError, match=r"is damaged .*Put back a copy of it"):
        server.start()
    assert path.read_bytes() == spoilt
    server.stop()
    with path.open("r+b") as file:
        file.write(copy.read_bytes())
    server.start()
    letters.connect(server)
    letters.urls = {name: letters.sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in letters.urls}
    letters.send("after")
    letters.all_arrive()


def test_a_data_folder_that_may_not_be_written() -> None:
    server = CossetServer(["--tier", tier(), "--min-free-mb", "0"])
    try:
        with small_disk(server.data, 64) as disk:
            try:
                server.start()
                letters = Letters(server)
                letters.send("before")
                server.stop()
                once_free(disk.make_read_only)
                with pytest.raises(ServerFailedError, match=r"Cannot write in the data folder .*: Read-only file"):
                    server.start()
                server.stop()
                make_writable(disk.path)
                server.start()
                letters.connect(server)
                letters.urls = {name: letters.sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in letters.urls}
                letters.send("after")
                letters.all_arrive()
            finally:
                server.stop()
    finally:
        server.close()


def once_free(remount: Callable[[], None]) -> None:
    """What the last processes still had open keeps a mount busy for a moment."""
    for _ in range(300):
        with suppress(subprocess.CalledProcessError):
            return remount()
        time.sleep(0.1)
    raise AssertionError("the disk stayed busy")


def make_writable(path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,rw", path], check=True)
