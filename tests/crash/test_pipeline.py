"""kill -9 at random moments under load: SNS to SQS to a function, and SNS to a function to its destination; and a FIFO
topic to a FIFO queue to a function.

Every notification that was accepted is processed on each way, and of a group in order. COSSET_CRASH_KILLS says how
often it is killed; ten times in CI, a few times where nothing says so. `make kills` kills it 200 times. With the URL of
an empty PostgreSQL database as COSSET_CRASH_DATABASE all of it stands there.
"""

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cosset.testing.server import CossetServer
from support.logged import messages
from support.patience import until
from support.role import make_role
from support.zip import make_zip

KILLS = int(os.environ.get("COSSET_CRASH_KILLS") or ("10" if os.environ.get("CI") else "3"))
DATABASE = os.environ.get("COSSET_CRASH_DATABASE")
GROUPS = 3
CODE = """
import json
import time


def pulled(event, context):
    print(json.dumps({"got": [record["body"] for record in event["Records"]]}))


def ordered(event, context):
    print(json.dumps({"at": time.time_ns(), "in_order": [record["body"] for record in event["Records"]]}))


def pushed(event, context):
    return [record["Sns"]["Message"] for record in event["Records"]]
"""


class Pipeline:
    """topic -> queue `work` -> function `pulled`, topic -> function `pushed` -> queue `done`, and
    topic `line.fifo` -> queue `line.fifo` -> function `ordered`."""

    def __init__(self, server: CossetServer) -> None:
        self.server = server
        lambda_, sns = server.client("lambda"), server.client("sns")
        role = make_role(server, "pipeline", "sqs:*", "logs:*")
        for name in ("pulled", "ordered", "pushed"):
            made = lambda_.create_function(
                FunctionName=name,
                Runtime="python3.12",
                Role=role,
                Handler=f"index.{name}",
                Code={"ZipFile": make_zip({"index.py": CODE})},
            )
            lambda_.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        self.topic = sns.create_topic(Name="orders")["TopicArn"]
        policy = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [{**policy, "Resource": "*"}]})
        _, work = self._queue("work", VisibilityTimeout="5", Policy=document)
        self.done, done = self._queue("done")
        lambda_.create_event_source_mapping(FunctionName="pulled", EventSourceArn=work)
        lambda_.put_function_event_invoke_config(
            FunctionName="pushed", DestinationConfig={"OnSuccess": {"Destination": done}}
        )
        lambda_.add_permission(
            FunctionName="pushed",
            StatementId="topic",
            Action="lambda:InvokeFunction",
            Principal="sns.amazonaws.com",
            SourceArn=self.topic,
        )
        raw = {"RawMessageDelivery": "true"}
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=work, Attributes=raw)
        fifo = {"FifoTopic": "true", "ContentBasedDeduplication": "true"}
        self.line = sns.create_topic(Name="line.fifo", Attributes=fifo)["TopicArn"]
        _, line = self._queue("line.fifo", FifoQueue="true", VisibilityTimeout="5", Policy=document)
        lambda_.create_event_source_mapping(FunctionName="ordered", EventSourceArn=line, BatchSize=3)
        sns.subscribe(TopicArn=self.line, Protocol="sqs", Endpoint=line, Attributes=raw)
        sns.subscribe(TopicArn=self.topic, Protocol="lambda", Endpoint=made["FunctionArn"])

    def _queue(self, name: str, **attributes: str) -> tuple[str, str]:
        sqs = self.server.client("sqs")
        url = str(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])
        got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, str(got["Attributes"]["QueueArn"])

    def pulled(self) -> set[str]:
        return {body for said in self._said("pulled", "got") for body in said["got"]}

    def ordered(self) -> list[str]:
        """In the order in which they were processed; more than once what was given more than once."""
        calls = sorted(self._said("ordered", "in_order"), key=lambda said: said["at"])
        return [body for said in calls for body in said["in_order"]]

    def _said(self, function: str, word: str) -> Iterator[dict[str, Any]]:
        return map(json.loads, messages(self.server, f"/aws/lambda/{function}", f'"{word}"'))

    def delivered(self) -> set[str]:
        """Takes what is in `done`."""
        sqs = self.server.client("sqs")
        found: set[str] = set()
        while taken := sqs.receive_message(QueueUrl=self.done, MaxNumberOfMessages=10).get("Messages"):
            for message in taken:
                found.update(json.loads(message["Body"])["responsePayload"])
            entries = [{"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]} for at, each in enumerate(taken)]
            sqs.delete_message_batch(QueueUrl=self.done, Entries=entries)
        return found


class Publisher(threading.Thread):
    """Publishes without an end; `accepted` was acknowledged."""

    def __init__(self, server: CossetServer, topic: str, line: str) -> None:
        super().__init__(daemon=True)
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=60)
        self._sns = server.client("sns", config=config)
        self._topic = topic
        self._line = line
        self.stopping = threading.Event()
        self.accepted: set[str] = set()
        self.accepted_in_line: list[str] = []

    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            number += 1
            try:
                self._sns.publish(TopicArn=self._topic, Message=f"n{number}")
                self.accepted.add(f"n{number}")
                group = f"g{number % GROUPS}"
                self._sns.publish(TopicArn=self._line, Message=f"{group} {number}", MessageGroupId=group)
                self.accepted_in_line.append(f"{group} {number}")
            except (BotoCoreError, ClientError):
                pass  # nobody acknowledged it: it may be there or not
            time.sleep(0.02)


def test_nothing_that_a_topic_accepted_is_lost(new_server: Callable[..., CossetServer]) -> None:
    server = new_server(*(("--database", DATABASE) if DATABASE else ()))
    pipeline = Pipeline(server)
    publisher = Publisher(server, pipeline.topic, pipeline.line)
    publisher.start()
    chance = random.Random(6)
    try:
        for _ in range(KILLS):
            before = len(publisher.accepted)
            until(lambda before=before: len(publisher.accepted) >= before + 5)
            time.sleep(chance.uniform(0.0, 1.0))
            server.kill9()
            server.start()
    finally:
        publisher.stopping.set()
        publisher.join(120)
    assert len(publisher.accepted) >= 5 * KILLS
    until(lambda: publisher.accepted <= pipeline.pulled())
    delivered: set[str] = set()

    def all_delivered() -> bool:
        delivered.update(pipeline.delivered())
        return publisher.accepted <= delivered

    until(all_delivered)
    until(lambda: set(publisher.accepted_in_line) <= set(pipeline.ordered()))
    for group in range(GROUPS):
        numbers = [int(body.split()[1]) for body in dict.fromkeys(pipeline.ordered()) if body.startswith(f"g{group} ")]
        assert numbers == sorted(numbers)
