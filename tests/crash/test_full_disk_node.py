"""A whole node whose disk is full: it says so, goes on reading and invoking, loses nothing that it has acknowledged,
and writes again by itself once there is room. The store alone: test_store.py."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.holdings import health
from support.host import tier
from support.role import LAMBDA_TRUST, starter_role
from support.small_disk import SmallDisk, small_disk
from support.zip import make_zip

SIZE_MB = 64
WITNESS = "def handler(event, context):\n    print('ran', event[:20])\n    return event\n"
ONE_TRY = Config(retries={"total_max_attempts": 1}, read_timeout=60)
FULL = "Cosset's disk is full"


class Node:
    """A server on a disk of its own, its clients, and the events that it has acknowledged."""

    def __init__(self, server: CossetServer, disk: SmallDisk) -> None:
        self.server, self.disk = server, disk
        self.accepted: list[str] = []
        self.connect()
        for name in ("witness", "cold"):
            self.create(name)
        self.logs.create_log_group(logGroupName="group")
        self.logs.create_log_stream(logGroupName="group", logStreamName="stream")

    def connect(self) -> None:
        self.functions, self.iam, self.logs = (
            self.server.client(name, config=ONE_TRY) for name in ("lambda", "iam", "logs")
        )

    def create(self, name: str) -> None:
        self.functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="app.handler",
            Role=starter_role(self.server),
            Code={"ZipFile": make_zip({"app.py": WITNESS})},
        )
        self.functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})

    def invoke(self, name: str = "witness") -> Any:
        return json.load(self.functions.invoke(FunctionName=name, Payload=b'"at once"')["Payload"])

    def send(self, what: str) -> None:
        """Noted as accepted only when it was."""
        sent = self.functions.invoke(FunctionName="witness", InvocationType="Event", Payload=json.dumps(what))
        assert sent["StatusCode"] == 202
        self.accepted.append(what)

    def log(self) -> None:
        event = {"timestamp": int(time.time() * 1000), "message": "line"}
        self.logs.put_log_events(logGroupName="group", logStreamName="stream", logEvents=[event])

    def wait_until_all_ran(self) -> None:
        expected = {f"ran {what[:20]}\n" for what in self.accepted}
        until = time.monotonic() + 240
        while missing := expected - self._messages():
            assert time.monotonic() < until, f"lost: {sorted(missing)}"
            time.sleep(0.2)

    def _messages(self) -> set[str]:
        pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/witness")
        try:
            return {event["message"] for page in pages for event in page["events"]}
        except self.logs.exceptions.ResourceNotFoundException:  # nothing has been logged yet
            return set()


@contextmanager
def node(min_free_mb: int) -> Iterator[Node]:
    server = CossetServer(["--tier", tier(), "--min-free-mb", str(min_free_mb)])
    try:
        with small_disk(server.data, SIZE_MB) as disk:
            try:
                server.start()
                yield Node(server, disk)
            finally:
                server.stop()
    finally:
        server.close()


def refused_for_want_of_room(node: Node) -> None:
    """Each in a clear sentence, as an error that every SDK takes for one of the service and tries again."""
    role = {"RoleName": "late", "AssumeRolePolicyDocument": LAMBDA_TRUST}
    for write in (
        lambda: node.create("late"),
        lambda: node.functions.update_function_configuration(FunctionName="witness", MemorySize=256),
        lambda: node.functions.tag_resource(Resource=arn(node), Tags={"a": "1"}),
        lambda: node.iam.create_role(**role),
        lambda: node.send("too late"),
        node.log,
    ):
        with pytest.raises(ClientError, match=FULL) as refused:
            write()
        assert refused.value.response["Error"]["Code"].startswith("ServiceUnavailable")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (500, 503)


def arn(node: Node) -> str:
    return f"arn:aws:lambda:{node.server.region}:{node.server.account}:function:witness"


def goes_on_all_the_same(node: Node) -> None:
    assert node.invoke() == "at once"
    assert node.functions.get_function(FunctionName="witness")["Configuration"]["MemorySize"] == 128
    assert len(node.functions.list_functions()["Functions"]) == 2
    assert node.logs.describe_log_groups(logGroupNamePrefix="group")["logGroups"]
    assert health(node.server)["status"] == "ok"


def recovers(node: Node) -> None:
    until = time.monotonic() + 240
    while True:
        try:
            node.send("after")
            break
        except ClientError:
            assert time.monotonic() < until
            time.sleep(0.1)
    node.create("later")
    node.log()
    assert node.invoke("later") == "at once"
    node.wait_until_all_ran()


@pytest.mark.parametrize(("min_free_mb", "left_mb"), [(8, 4), (0, 0)])
def test_a_full_disk_stops_writing_only(min_free_mb: int, left_mb: int) -> None:
    """Above the mark that the owner wants free, where new environments are made too; and, without one, at the very
    last byte, where those that are there go on."""
    with node(min_free_mb) as here:
        assert here.invoke() == "at once"
        for number in range(10):
            here.send(f"before {number}")
        here.disk.fill(left_mb << 20)
        if left_mb:
            assert here.invoke("cold") == "at once"
        for _ in range(2):
            refused_for_want_of_room(here)
            goes_on_all_the_same(here)
        here.disk.free()
        recovers(here)
        assert "Traceback" not in here.server.log()


def test_a_node_comes_back_on_a_full_disk() -> None:
    """What was accepted before runs when there is room, though the node was killed and started without any."""
    with node(8) as here:
        for number in range(10):
            here.send(f"before {number}")
        here.disk.fill(leave=4 << 20)
        here.server.kill9()
        here.server.start()
        here.connect()
        refused_for_want_of_room(here)
        goes_on_all_the_same(here)
        here.functions.delete_function(FunctionName="cold")  # deleting is how there comes to be room
        here.disk.free()
        recovers(here)


def test_events_are_acknowledged_exactly_until_the_disk_is_full() -> None:
    """The last of them are refused, none of those that were not is lost."""
    with node(0) as here:
        assert here.invoke() == "at once"
        here.disk.fill(leave=2 << 20)
        refusals = []
        for number in range(400):
            try:
                here.send(f"event {number} " + "x" * 200_000)
            except ClientError as refused:
                refusals.append(str(refused))
            if len(refusals) == 5:
                break
        assert refusals
        assert all(FULL in refusal for refusal in refusals)
        assert here.invoke() == "at once"
        here.disk.free()
        recovers(here)
