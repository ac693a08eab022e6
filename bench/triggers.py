"""From a message sent to the start of the function that it triggers: `python -m bench.triggers [postgresql://...]`.

A real server and functions in the strongest tier that this host gives. The floor is one commit of the store plus one
warm invocation through the door, measured in the same run, in turn with it; what is above it is what the engine costs.
Then how fast a backlog is worked off.
"""

import asyncio
import http.client
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from sqlalchemy import Column, Integer, LargeBinary, Table, insert, select

from cosset.clock import SystemClock
from cosset.store.database import Store
from cosset.store.schema import metadata
from cosset.testing import best_tier
from cosset.testing.server import CossetServer
from support.role import make_role
from support.zip import make_zip

MESSAGES = 200
TURNS = 10
BACKLOG = 5_000
PAUSE_S = 0.02
CODE = """
import json, time


def handler(event, context):
    now = time.time()
    sent = [float(record["body"]) for record in event.get("Records", []) if record["body"][0].isdigit()]
    print(json.dumps({"waited": [now - each for each in sent]}))
"""
rows = Table("bench_trigger_rows", metadata, Column("id", Integer, primary_key=True), Column("body", LargeBinary))


async def commits_ms(database: str | None, count: int) -> list[float]:
    """One commit at a time, one row each."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(data=Path(folder), database=database, clock=SystemClock(), min_free_mb=0)
        await store.read(lambda tx: None)
        await store.write(lambda tx: tx.execute(select(rows).limit(1)).all())
        for _ in range(count):
            started = time.perf_counter()
            await store.write(lambda tx: tx.execute(insert(rows).values(body=b"x" * 200)))
            taken.append(1000 * (time.perf_counter() - started))
            await asyncio.sleep(PAUSE_S)
        await store.close()
    return taken


class Caller:
    """One connection; what signing takes is not measured."""

    def __init__(self, server: CossetServer, service: str) -> None:
        keys = server.credentials
        self._signer = SigV4Auth(Credentials(keys.access_key_id, keys.secret_access_key), service, server.region)
        self._endpoint = server.endpoint
        self._connection = http.client.HTTPConnection(server.endpoint.partition("//")[2])

    def sign(self, path: str, body: bytes, **headers: str) -> AWSRequest:
        request = AWSRequest("POST", self._endpoint + path, headers, body)
        self._signer.add_auth(request)
        return request

    def send(self, path: str, request: AWSRequest) -> bytes:
        self._connection.request("POST", path, request.data, dict(request.headers.items()))
        response = self._connection.getresponse()
        answer = response.read()
        assert response.status == 200, answer
        return answer


def invocations_ms(server: CossetServer, name: str, count: int) -> list[float]:
    caller, path, taken = Caller(server, "lambda"), f"/2015-03-31/functions/{name}/invocations", []
    for _ in range(count):
        request = caller.sign(path, b"{}")
        started = time.perf_counter()
        caller.send(path, request)
        taken.append(1000 * (time.perf_counter() - started))
        time.sleep(PAUSE_S)
    return taken


def send(server: CossetServer, url: str, count: int) -> None:
    """Each message says when its request left."""
    caller = Caller(server, "sqs")
    for _ in range(count):
        body = json.dumps({"QueueUrl": url, "MessageBody": repr(time.time())}).encode()
        target = {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"}
        caller.send("/", caller.sign("/", body, **target))
        time.sleep(PAUSE_S)


def waited_ms(server: CossetServer, name: str) -> list[float]:
    pages = server.client("logs").get_paginator("filter_log_events")
    found: list[float] = []
    for page in pages.paginate(logGroupName=f"/aws/lambda/{name}", filterPattern='"waited"'):
        for event in page["events"]:
            found += [1000 * each for each in json.loads(event["message"])["waited"]]
    return found


def left(sqs: Any, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(
        int(each) for each in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()
    )


def work_off(server: CossetServer, uuid: str, url: str) -> float:
    """Messages a second, with all of them there when the mapping is enabled."""
    lambda_, sqs = server.client("lambda"), server.client("sqs")
    lambda_.update_event_source_mapping(UUID=uuid, Enabled=False)
    while lambda_.get_event_source_mapping(UUID=uuid)["State"] != "Disabled":
        time.sleep(0.1)
    for _ in range(BACKLOG // 10):
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "x" * 200} for n in range(10)])
    lambda_.update_event_source_mapping(UUID=uuid, Enabled=True)
    while lambda_.get_event_source_mapping(UUID=uuid)["State"] != "Enabled":
        time.sleep(0.02)
    started = time.perf_counter()
    while left(sqs, url):
        time.sleep(0.05)
    return BACKLOG / (time.perf_counter() - started)


def show(name: str, values: list[float]) -> float:
    ordered = sorted(values)
    middle, high = statistics.median(ordered), ordered[int(len(ordered) * 0.9)]
    print(f"{name:58} p50 {middle:7.2f} ms   p90 {high:7.2f} ms", flush=True)
    return middle


def main(database: str | None) -> None:
    with CossetServer(["--tier", best_tier(), *(("--database", database) if database else ())]) as server:
        lambda_, sqs = server.client("lambda"), server.client("sqs")
        lambda_.create_function(
            FunctionName="bench",
            Runtime="python3.12",
            MemorySize=1769,
            Role=make_role(server, "bench-trigger", "sqs:*", "logs:*"),
            Handler="index.handler",
            Code={"ZipFile": make_zip({"index.py": CODE})},
        )
        lambda_.get_waiter("function_active_v2").wait(FunctionName="bench", WaiterConfig={"Delay": 1})
        invocations_ms(server, "bench", 20)
        url = sqs.create_queue(QueueName="bench", Attributes={"VisibilityTimeout": "300"})["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        uuid = lambda_.create_event_source_mapping(FunctionName="bench", EventSourceArn=arn)["UUID"]
        send(server, url, 20)
        while left(sqs, url):
            time.sleep(0.1)
        commits: list[float] = []
        warm: list[float] = []
        for _ in range(TURNS):
            commits += asyncio.run(commits_ms(database, MESSAGES // TURNS))
            warm += invocations_ms(server, "bench", MESSAGES // TURNS)
            send(server, url, MESSAGES // TURNS)
        while left(sqs, url):
            time.sleep(0.1)
        floor = show("one commit of the store", commits) + show("one warm invocation, signed, through the door", warm)
        start = show("a message sent, to the start of its function", waited_ms(server, "bench")[20:])
        print(f"{'above one commit and one warm invocation':58}     {start - floor:7.2f} ms   (at most 2)")
        print(f"{'messages a second of a backlog, batches of 10':58}     {work_off(server, uuid, url):7.0f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
