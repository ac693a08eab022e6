"""A synchronous invocation writes nothing to the database: what was measured is written once a second, however many
there were. An idle node writes nothing at all."""

import struct
import time
from collections.abc import Callable
from pathlib import Path

from cosset.testing.server import CossetServer
from support.role import starter_role
from support.zip import make_zip

QUIET_S = 6
"""Longer than any period of the node's background work but the hourly."""


def commits(data: Path) -> int:
    """Transactions in the write-ahead log: the frames that say how large the database is after them.

    Source: the SQLite file format, "The Write-Ahead Log".
    """
    log = (data / "cosset.db-wal").read_bytes()
    (page_bytes,) = struct.unpack(">I", log[8:12])
    salts = log[16:24]
    frames = (log[at : at + 24] for at in range(32, len(log), 24 + page_bytes))
    return sum(1 for frame in frames if frame[8:16] == salts and frame[4:8] != bytes(4))


def wait_for_quiet(data: Path) -> int:
    """The commits, once nothing has been written for `QUIET_S`."""
    until = time.monotonic() + 240
    before, since = commits(data), time.monotonic()
    while time.monotonic() - since < QUIET_S:
        assert time.monotonic() < until, "the node never stops writing"
        time.sleep(0.2)
        if (now := commits(data)) != before:
            before, since = now, time.monotonic()
    return before


def test_synchronous_invocations_write_nothing_and_an_idle_node_neither(
    new_server: Callable[..., CossetServer],
) -> None:
    server = new_server()
    client = server.client("lambda")
    package = make_zip({"index.py": "def handler(event, context):\n    print(event)\n    return event\n"})
    client.create_function(
        FunctionName="f",
        Runtime="python3.13",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": package},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
    client.invoke(FunctionName="f")
    before = wait_for_quiet(server.data)
    start = time.monotonic()
    for _ in range(200):
        client.invoke(FunctionName="f", Payload=b"1")
    lasted_s = time.monotonic() - start
    written = wait_for_quiet(server.data) - before
    # Once a second, and once for what was measured last; a minute that ends takes one more.
    assert 1 <= written <= lasted_s + 3
