"""kill -9 between log events and the function that follows them: what PutLogEvents answered for is delivered."""

import base64
import gzip
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config

from cosset.testing.server import CossetServer
from support.logged import messages
from support.patience import until_nothing
from support.role import starter_role
from support.zip import make_zip

GROUP, STREAM = "/shop/orders", "today"
FOLLOWER = "/aws/lambda/follower"
CODE = """
def handler(event, context):
    print("got", event["awslogs"]["data"])
"""


def unpacked(message: str) -> set[str]:
    data = json.loads(gzip.decompress(base64.b64decode(message.removeprefix("got "))))
    return {each["message"] for each in data["logEvents"]}


def followed(server: CossetServer) -> set[str]:
    return set().union(*map(unpacked, messages(server, FOLLOWER, "got")))


@pytest.mark.parametrize("rounds", [3])
def test_what_was_acknowledged_reaches_the_follower(new_server: Callable[..., CossetServer], rounds: int) -> None:
    server = new_server()
    functions, logs = server.client("lambda"), server.client("logs")
    arn = functions.create_function(
        FunctionName="follower",
        Runtime="python3.12",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": make_zip({"index.py": CODE})},
    )["FunctionArn"]
    functions.get_waiter("function_active_v2").wait(FunctionName="follower")
    functions.add_permission(
        FunctionName="follower", StatementId="logs", Action="lambda:InvokeFunction", Principal="logs.amazonaws.com"
    )
    for name in (GROUP, FOLLOWER):
        logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    logs.put_subscription_filter(logGroupName=GROUP, filterName="f", filterPattern="order", destinationArn=arn)
    accepted: set[str] = set()
    for number in range(rounds):
        accepted |= put(server, number)
        server.kill9()  # as soon as the last was answered
        server.start()
    until_nothing(lambda: accepted - followed(server))


def put(server: CossetServer, number: int) -> set[str]:
    """The messages that were answered for and that the filter wants."""
    logs: Any = server.client("logs", config=Config(retries={"total_max_attempts": 1}))
    orders = [f"order {number}-{each}" for each in range(5)]
    for message in orders:
        event = {"timestamp": int(time.time() * 1000), "message": message}
        noise = {**event, "message": "noise"}
        logs.put_log_events(logGroupName=GROUP, logStreamName=STREAM, logEvents=[event, noise])
    return set(orders)
