"""kill -9 at random moments while queues trigger a function: every accepted message is processed, groups in order.

COSSET_CRASH_KILLS says how often; a few times where nothing says so.
"""

import json
import os
import random
import threading
import time
from collections.abc import Callable

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cosset.testing.server import CossetServer
from support.logged import messages
from support.patience import until
from support.role import make_role
from support.zip import make_zip

KILLS = int(os.environ.get("COSSET_CRASH_KILLS", "4"))
CODE = """
import json


def handler(event, context):
    print(json.dumps({"got": [record["body"] for record in event["Records"]]}))
"""


def mapped(server: CossetServer, name: str, queue: str, **attributes: str) -> str:
    """A queue that triggers the function; its URL."""
    sqs, lambda_ = server.client("sqs"), server.client("lambda")
    url = str(sqs.create_queue(QueueName=queue, Attributes={"VisibilityTimeout": "4", **attributes})["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    lambda_.create_event_source_mapping(FunctionName=name, EventSourceArn=arn, BatchSize=5)
    return url


class Sender(threading.Thread):
    """Sends without an end; `accepted` are the bodies that were acknowledged, by group."""

    def __init__(self, server: CossetServer, url: str, ordered: str) -> None:
        super().__init__(daemon=True)
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=60)
        self._sqs = server.client("sqs", config=config)
        self._url = url
        self._ordered = ordered
        self.stopping = threading.Event()
        self.accepted: dict[str, list[str]] = {"plain": [], "a": [], "b": []}

    def count(self) -> int:
        return sum(map(len, self.accepted.values()))

    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            number += 1
            for group in ("plain", "a", "b"):
                self._send(group, f"{group}-{number}")
            time.sleep(0.01)

    def _send(self, group: str, body: str) -> None:
        given = {"QueueUrl": self._url, "MessageBody": body}
        if group != "plain":
            given |= {"QueueUrl": self._ordered, "MessageGroupId": group, "MessageDeduplicationId": body}
        try:
            self._sqs.send_message(**given)
        except (BotoCoreError, ClientError):
            return  # nobody acknowledged it: it may be there or not
        self.accepted[group].append(body)


def processed(server: CossetServer, name: str) -> list[str]:
    """Every body that the function got, in order."""
    return [body for line in messages(server, f"/aws/lambda/{name}", '"got"') for body in json.loads(line)["got"]]


def first_times(bodies: list[str], group: str) -> list[int]:
    seen: dict[int, None] = {}
    for body in bodies:
        if body.startswith(f"{group}-"):
            seen.setdefault(int(body.partition("-")[2]))
    return list(seen)


def test_nothing_accepted_is_lost_and_groups_stay_in_order(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    name = "crash-trigger"
    server.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=make_role(server, "crash-trigger", "sqs:*", "logs:*"),
        Handler="index.handler",
        Code={"ZipFile": make_zip({"index.py": CODE})},
    )
    url = mapped(server, name, "crash")
    ordered = mapped(server, name, "crash.fifo", FifoQueue="true")
    sender = Sender(server, url, ordered)
    sender.start()
    chance = random.Random(20)
    try:
        for _ in range(KILLS):
            before = sender.count()
            until(lambda before=before: sender.count() > before + 10)
            time.sleep(chance.uniform(0.0, 1.0))
            server.kill9()
            server.start()
    finally:
        sender.stopping.set()
        sender.join(120)
    accepted = {body for bodies in sender.accepted.values() for body in bodies}
    assert len(accepted) > 10 * KILLS
    until(lambda: accepted <= set(processed(server, name)))
    done = processed(server, name)
    for group in ("a", "b"):
        assert first_times(done, group) == sorted(first_times(done, group))
