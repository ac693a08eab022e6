"""A live server to attack: every attack ends with `assert_well`, every module of attacks with nothing left behind."""

import base64
import gc
import json
from dataclasses import dataclass
from typing import Any

from botocore.config import Config

from cosset.testing.server import CossetServer
from support.holdings import Holdings, holdings, resident_mb, server_process, settle
from support.role import starter_role
from support.zip import make_zip

GOOD = "well-behaved"
MORE_MB = 400
"""What the server may grow by: its log buffer (64 MB of text, as Python holds it) and answers under way."""


@dataclass(frozen=True)
class Ended:
    """How an invocation ended."""

    error: str | None
    payload: Any
    tail: str


class Victim:
    """A server with a good function, at rest when this is made. It needs `--idle-timeout-s 1`."""

    def __init__(self, server: CossetServer) -> None:
        self.server = server
        config = Config(retries={"total_max_attempts": 1}, read_timeout=120)
        self.client = server.client("lambda", config=config)
        self.create(GOOD, "def handler(event, context):\n    return event\n", Timeout=60)
        self.assert_well()
        self.client.close()
        nothing = Holdings(environments=0, processes=99, descriptors=99, launcher_descriptors=99, mounts=99, groups=1)
        settle(server, nothing)
        self._before = holdings(server)
        self._before_mb = resident_mb(server_process(server))

    def create(self, name: str, source: str | bytes, **settings: Any) -> None:
        """A Python function; `source` is its module `app`, or a whole zip."""
        package = source if isinstance(source, bytes) else make_zip({"app.py": source})
        arguments = {"Runtime": "python3.13", "Handler": "app.handler", "Role": starter_role(self.server), **settings}
        self.client.create_function(FunctionName=name, Code={"ZipFile": package}, **arguments)
        self.client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})

    def invoke(self, name: str, event: Any = None) -> Ended:
        answer = self.client.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail")
        tail = base64.b64decode(answer["LogResult"]).decode(errors="replace")
        return Ended(answer.get("FunctionError"), json.loads(answer["Payload"].read()), tail)

    def assert_well(self) -> None:
        assert self.invoke(GOOD, "fine").payload == "fine"

    def assert_nothing_left(self) -> None:
        # The client's own connections are among the server's descriptors, also those that an exception still refers to.
        self.client.close()
        gc.collect()
        settle(self.server, self._before)
        grown_mb = resident_mb(server_process(self.server)) - self._before_mb
        assert grown_mb < MORE_MB
        assert "Traceback" not in self.server.log()
