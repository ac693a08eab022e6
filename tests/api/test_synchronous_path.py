"""A synchronous invocation writes nothing to the database, and an idle node writes nothing at all."""

import time
from collections.abc import Callable
from pathlib import Path

from cosset.testing.server import CossetServer
from support.role import starter_role
from support.zip import make_zip


def database_state(data: Path) -> dict[str, tuple[int, int]]:
    """Size and time of the database files: every commit appends to the write-ahead log."""
    found = {path.name: path.stat() for path in data.glob("*.db*")}
    assert any(name.endswith("-wal") for name in found), "the database is not where this test looks"
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found.items() if not name.endswith("-shm")}


def test_synchronous_invocations_and_idling_write_nothing(new_server: Callable[..., CossetServer]) -> None:
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
    time.sleep(1)  # the log group of the first call is made, its state is settled
    before = database_state(server.data)
    for _ in range(100):
        client.invoke(FunctionName="f", Payload=b"1")
    time.sleep(6)  # longer than any period of the node's background work but the hourly
    assert database_state(server.data) == before
