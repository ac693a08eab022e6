"""kill -9 at random moments while queues are sent to and received from: nothing that was acknowledged is lost, and FIFO
order holds.

COSSET_CRASH_ROUNDS says how often (10 without it).
"""

import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cosset.testing.server import CossetServer
from support.patience import until, until_nothing
from support.postgres import running_postgres

ROUNDS = int(os.environ.get("COSSET_CRASH_ROUNDS", "10"))
GROUPS = "abc"


class Load:
    """Senders and receivers that go on over every death of the server, and what they saw."""

    def __init__(self, server: CossetServer) -> None:
        self._server = server
        self._over = threading.Event()
        self._seen_lock = threading.Lock()
        self.is_draining = threading.Event()
        self.accepted: dict[str, list[int]] = {group: [] for group in (*GROUPS, "-")}
        self.seen: dict[str, set[int]] = {group: set() for group in (*GROUPS, "-")}
        self.disorder: list[str] = []
        client = server.client("sqs")
        attributes = {"VisibilityTimeout": "2"}
        self._standard = client.create_queue(QueueName="load", Attributes=attributes)["QueueUrl"]
        self._fifo = client.create_queue(QueueName="load.fifo", Attributes={**attributes, "FifoQueue": "true"})[
            "QueueUrl"
        ]
        work: list[Callable[[Any], None]] = [self._receive_standard, self._receive_fifo, self._send_standard]
        work += [self._sender(group) for group in GROUPS]
        self._threads = [threading.Thread(target=self._keep_at, args=(each,)) for each in work]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def missing(self) -> dict[str, set[int]]:
        with self._seen_lock:
            found = {group: set(numbers) - self.seen[group] for group, numbers in self.accepted.items()}
        return {group: numbers for group, numbers in found.items() if numbers}

    def _keep_at(self, work: Callable[[Any], None]) -> None:
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)
        client = self._server.client("sqs", config=config)
        while not self._over.is_set():
            try:
                work(client)
            except (BotoCoreError, ClientError):  # it was killed under us
                time.sleep(0.02)

    def _send_standard(self, client: Any) -> None:
        if self.is_draining.wait(0.002):
            time.sleep(0.1)
            return
        first = len(self.accepted["-"]) + 1_000 * random.randrange(1 << 30)
        entries = [{"Id": str(n), "MessageBody": f"- {first + n}"} for n in range(10)]
        answer = client.send_message_batch(QueueUrl=self._standard, Entries=entries)
        self.accepted["-"] += [first + int(each["Id"]) for each in answer["Successful"]]

    def _sender(self, group: str) -> Callable[[Any], None]:
        def send(client: Any) -> None:
            """The next of the group, again until it is accepted: the deduplication id lets in only one of them."""
            if self.is_draining.wait(0.002):
                time.sleep(0.1)
                return
            number = len(self.accepted[group])
            client.send_message(
                QueueUrl=self._fifo,
                MessageBody=f"{group} {number}",
                MessageGroupId=group,
                MessageDeduplicationId=f"{group}-{number}",
            )
            self.accepted[group].append(number)

        return send

    def _receive_standard(self, client: Any) -> None:
        self._receive(client, self._standard)

    def _receive_fifo(self, client: Any) -> None:
        self._receive(client, self._fifo)

    def _receive(self, client: Any, url: str) -> None:
        found = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        with self._seen_lock:
            for message in found:
                group, _, number = message["Body"].partition(" ")
                if group != "-" and (early := set(range(int(number))) - self.seen[group]):
                    self.disorder.append(f"{message['Body']} came before {sorted(early)}")
                self.seen[group].add(int(number))
        if found:
            handles = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(found)]
            client.delete_message_batch(QueueUrl=url, Entries=handles)


def die_and_live(server: CossetServer, rounds: int) -> None:
    with Load(server) as load:
        for _ in range(rounds):
            time.sleep(random.uniform(0.05, 0.6))
            server.kill9()
            server.start()
        until(lambda: all(load.accepted.values()))
        load.is_draining.set()
        until_nothing(load.missing)
    assert load.disorder == []


def test_nothing_is_lost_and_order_holds(new_server: Callable[..., CossetServer]) -> None:
    die_and_live(new_server(), ROUNDS)


def test_nothing_is_lost_and_order_holds_on_postgresql(new_server: Callable[..., CossetServer]) -> None:
    with running_postgres() as postgres:
        server = new_server("--database", postgres.new_database())
        try:
            die_and_live(server, ROUNDS // 2)
        finally:
            server.kill9()


@pytest.mark.parametrize("pause_s", [0.0, 0.4])
def test_a_move_task_goes_on_after_kill_9(new_server: Callable[..., CossetServer], pause_s: float) -> None:
    """Nobody calls SQS after the start: the node goes on by itself, and every message arrives exactly once."""
    server = new_server()
    sqs = server.client("sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = f"arn:aws:sqs:{server.region}:{server.account}:"
    policy = f'{{"deadLetterTargetArn":"{arn}dead","maxReceiveCount":1}}'
    sqs.create_queue(QueueName="source", Attributes={"RedrivePolicy": policy})
    target = sqs.create_queue(QueueName="target")["QueueUrl"]
    for start in range(0, 100, 10):
        entries = [{"Id": str(n), "MessageBody": str(start + n)} for n in range(10)]
        sqs.send_message_batch(QueueUrl=dead, Entries=entries)
    sqs.start_message_move_task(SourceArn=f"{arn}dead", DestinationArn=f"{arn}target", MaxNumberOfMessagesPerSecond=50)
    time.sleep(pause_s)
    server.kill9()
    server.start()
    found: list[str] = []

    def arrived() -> bool:
        answer = sqs.receive_message(QueueUrl=target, MaxNumberOfMessages=10, VisibilityTimeout=3600)
        found.extend(message["Body"] for message in answer.get("Messages", []))
        return len(found) >= 100

    def task() -> dict[str, Any]:
        return dict(sqs.list_message_move_tasks(SourceArn=f"{arn}dead")["Results"][0])

    until(arrived)
    assert sorted(found, key=int) == [str(n) for n in range(100)]
    until(lambda: task()["Status"] != "RUNNING")
    assert (task()["Status"], task()["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 100)
