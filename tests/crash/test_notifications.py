"""kill -9 at random moments under load: every object that was acknowledged is heard of, by a queue and a function.

COSSET_CRASH_KILLS says how often it is killed; a few times where nothing says so.
"""

import json
import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cosset.testing.server import CossetServer
from support.logged import messages
from support.patience import until
from support.role import starter_role
from support.zip import make_zip

KILLS = int(os.environ.get("COSSET_CRASH_KILLS", "3"))
BUCKET = "survives"
CODE = """
import json


def heard(event, context):
    print(json.dumps({"heard": [record["s3"]["object"]["key"] for record in event["Records"]]}))
"""


def prepare(server: CossetServer) -> str:
    """The bucket tells a function of keys below `f/`, a queue of those below `q/`. The queue's URL."""
    s3, sqs, lambda_ = server.client("s3"), server.client("sqs"), server.client("lambda")
    s3.create_bucket(Bucket=BUCKET)
    url = str(sqs.create_queue(QueueName=BUCKET)["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    made = lambda_.create_function(
        FunctionName=BUCKET,
        Runtime="python3.12",
        Role=starter_role(server),
        Handler="index.heard",
        Code={"ZipFile": make_zip({"index.py": CODE})},
    )
    lambda_.get_waiter("function_active_v2").wait(FunctionName=BUCKET, WaiterConfig={"Delay": 1})
    lambda_.add_permission(
        FunctionName=BUCKET,
        StatementId="bucket",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{BUCKET}",
    )
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, **_below("q/")}],
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": made["FunctionArn"], **_below("f/")}],
        },
    )
    return url


def _below(prefix: str) -> dict[str, Any]:
    rules = [{"Name": "prefix", "Value": prefix}]
    return {"Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": rules}}}


class Uploader(threading.Thread):
    """Puts objects without an end; `accepted` were acknowledged."""

    def __init__(self, server: CossetServer) -> None:
        super().__init__(daemon=True)
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=60)
        self._s3 = server.client("s3", config=config)
        self.stopping = threading.Event()
        self.accepted: set[str] = set()

    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            number += 1
            key = f"{'qf'[number % 2]}/{number}"
            try:
                self._s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
                self.accepted.add(key)
            except (BotoCoreError, ClientError):
                pass  # nobody acknowledged it: it may be there or not
            time.sleep(0.02)


def heard_by_function(server: CossetServer) -> set[str]:
    return {key for line in messages(server, f"/aws/lambda/{BUCKET}", '"heard"') for key in json.loads(line)["heard"]}


def heard_by_queue(server: CossetServer, url: str) -> set[str]:
    """Takes what is in it."""
    sqs, found = server.client("sqs"), set()
    while taken := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in taken:
            found.update(each["s3"]["object"]["key"] for each in json.loads(message["Body"]).get("Records", ()))
        entries = [{"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]} for at, each in enumerate(taken)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return found


def test_every_object_is_heard_of(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    url = prepare(server)
    uploader = Uploader(server)
    uploader.start()
    chance = random.Random(7)
    try:
        for _ in range(KILLS):
            before = len(uploader.accepted)
            until(lambda before=before: len(uploader.accepted) >= before + 10)
            time.sleep(chance.uniform(0.0, 1.0))
            server.kill9()
            server.start()
    finally:
        uploader.stopping.set()
        uploader.join(120)
    assert len(uploader.accepted) >= 10 * KILLS
    heard: set[str] = set()

    def all_heard() -> bool:
        heard.update(heard_by_queue(server, url), heard_by_function(server))
        return uploader.accepted <= heard

    until(all_heard)
