"""From what pushes an event to the start of its function: `python -m bench.s3_triggers [postgresql://...]`.

An object put, an asynchronous invocation, a message published, log events put to a group with a subscription: each to
the start of the function that it triggers. A real server and a function in the strongest tier that this host gives. The
floor is one commit of the store plus one warm invocation through the door, measured in the same run, in turn with the
rest. Every event says when its request left, so the request itself is within what is measured.
"""

import asyncio
import http.client
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.triggers import MESSAGES, PAUSE_S, commits_ms, invocations_ms, make_role, make_zip, show
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cosset.testing import best_tier
from cosset.testing.server import CossetServer

NAME = "bench"
ROUNDS = 4
SPIN_S = 0.002
CODE = """
import base64, gzip, json, time
from urllib.parse import unquote_plus


def times(event):
    if "left" in event:
        return "asynchronous", [event["left"]]
    if "awslogs" in event:
        data = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
        return "log", [each["message"] for each in data["logEvents"]]
    records = event.get("Records", [])
    if records and "Sns" in records[0]:
        return "topic", [each["Sns"]["Message"] for each in records]
    return "put", [unquote_plus(each["s3"]["object"]["key"]) for each in records]


def handler(event, context):
    now = time.time()
    way, left = times(event)
    if left:
        print(json.dumps({"way": way, "waited": [now - float(each) for each in left]}))
"""


def leave_at(moment_s: float) -> None:
    """Returns at this moment and not when the machine next thinks of it."""
    time.sleep(max(moment_s - SPIN_S - time.time(), 0))
    while time.time() < moment_s:
        pass


class Sender:
    """Sends one request after the other over one connection. Each is signed before its time begins."""

    def __init__(self, server: CossetServer) -> None:
        self.server = server
        self.connection = http.client.HTTPConnection(server.endpoint.partition("//")[2])
        keys = server.credentials
        self._credentials = Credentials(keys.access_key_id, keys.secret_access_key)

    def send(self, request: AWSRequest, moment_s: float) -> float:
        """Milliseconds until the answer."""
        path = request.url.removeprefix(self.server.endpoint)
        headers = dict(request.headers.items())
        leave_at(moment_s)
        started = time.perf_counter()
        self.connection.request(request.method, path, request.data, headers)
        answer = self.connection.getresponse()
        told = answer.read()
        assert answer.status < 300, told
        return 1000 * (time.perf_counter() - started)

    def signed(self, service: str, path: str, body: bytes, method: str = "POST", **headers: str) -> AWSRequest:
        """As the SDKs sign."""
        request = AWSRequest(method, self.server.endpoint + path, headers, body)
        signer = S3SigV4Auth if service == "s3" else SigV4Auth
        signer(self._credentials, service, self.server.region).add_auth(request)
        return request


Make = Callable[[float], AWSRequest]
"""A request that says when it left."""


def ways(server: CossetServer, sender: Sender) -> dict[str, Make]:
    """Each leads to the one function."""
    lambda_, s3, sns, logs = (server.client(name) for name in ("lambda", "s3", "sns", "logs"))
    arn = lambda_.get_function(FunctionName=NAME)["Configuration"]["FunctionArn"]
    for service in ("s3", "sns", "logs"):
        lambda_.add_permission(
            FunctionName=NAME,
            StatementId=service,
            Action="lambda:InvokeFunction",
            Principal=f"{service}.amazonaws.com",
        )
    s3.create_bucket(Bucket=NAME)
    told = {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=NAME, NotificationConfiguration={"LambdaFunctionConfigurations": [told]}
    )
    topic = sns.create_topic(Name=NAME)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    logs.create_log_group(logGroupName=NAME)
    logs.create_log_stream(logGroupName=NAME, logStreamName=NAME)
    logs.put_subscription_filter(logGroupName=NAME, filterName=NAME, filterPattern="", destinationArn=arn)

    def put(moment_s: float) -> AWSRequest:
        return sender.signed("s3", f"/{NAME}/{moment_s!r}", b"x" * 1024, "PUT")

    def invoke(moment_s: float) -> AWSRequest:
        body, path = json.dumps({"left": moment_s}).encode(), f"/2015-03-31/functions/{NAME}/invocations"
        return sender.signed("lambda", path, body, **{"X-Amz-Invocation-Type": "Event"})

    def publish(moment_s: float) -> AWSRequest:
        body = f"Action=Publish&Version=2010-03-31&TopicArn={topic}&Message={moment_s!r}".encode()
        return sender.signed("sns", "/", body, **{"Content-Type": "application/x-www-form-urlencoded"})

    def log(moment_s: float) -> AWSRequest:
        events = [{"timestamp": int(1000 * moment_s), "message": repr(moment_s)}]
        body: dict[str, Any] = {"logGroupName": NAME, "logStreamName": NAME, "logEvents": events}
        target = {"X-Amz-Target": "Logs_20140328.PutLogEvents", "Content-Type": "application/x-amz-json-1.1"}
        return sender.signed("logs", "/", json.dumps(body).encode(), **target)

    return {"put": put, "asynchronous": invoke, "topic": publish, "log": log}


def send(sender: Sender, make: Make, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        moment_s = time.time() + PAUSE_S
        taken.append(sender.send(make(moment_s), moment_s))
    return taken


def waited_ms(server: CossetServer, count: int) -> dict[str, list[float]]:
    """By way, once `count` of each have come."""
    deadline = time.monotonic() + 120
    while True:
        found: dict[str, list[float]] = {}
        pages = server.client("logs").get_paginator("filter_log_events")
        for page in pages.paginate(logGroupName=f"/aws/lambda/{NAME}", filterPattern='"waited"'):
            for event in page["events"]:
                told = json.loads(event["message"])
                found.setdefault(told["way"], []).extend(1000 * each for each in told["waited"])
        if len(found) == len(SHOWN) and all(len(each) >= count for each in found.values()):
            return found
        assert time.monotonic() < deadline, {way: len(each) for way, each in found.items()}
        time.sleep(0.5)


SHOWN = {
    "put": "a put of 1 KB",
    "asynchronous": "an asynchronous invocation",
    "topic": "a message published",
    "log": "log events put",
}


def main(database: str | None) -> None:
    commit_ms = show("one commit of the store", asyncio.run(commits_ms(database, MESSAGES)))
    with CossetServer(["--tier", best_tier(), *(("--database", database) if database else ())]) as server:
        server.client("lambda").create_function(
            FunctionName=NAME,
            Runtime="python3.12",
            MemorySize=1769,
            Role=make_role(server, "bench-pushed", "logs:*"),
            Handler="index.handler",
            Code={"ZipFile": make_zip({"index.py": CODE})},
        )
        server.client("lambda").get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
        sender = Sender(server)
        made = ways(server, sender)
        invocations_ms(server, NAME, 20)
        for make in made.values():
            send(sender, make, 20)
        waited_ms(server, 20)
        warm: list[float] = []
        answered: dict[str, list[float]] = {way: [] for way in made}
        for _ in range(ROUNDS):
            warm += invocations_ms(server, NAME, MESSAGES // ROUNDS)
            for way, make in made.items():
                answered[way] += send(sender, make, MESSAGES // ROUNDS)
        floor = commit_ms + show("one warm invocation, signed, through the door", warm)
        for way, starts in waited_ms(server, MESSAGES + 20).items():
            show(f"{SHOWN[way]}, until its answer", answered[way])
            start = show(f"{SHOWN[way]}, to the start of its function", starts[20:])
            print(f"{'above one commit and one warm invocation':58}     {start - floor:7.2f} ms   (a put: at most 2)")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
