"""A function on a live server, called by stock boto3."""

import base64
import contextlib
import json
import time
from dataclasses import dataclass

from cosset.testing.server import CossetServer

LOGGED_WITHIN_S = 120.0


@dataclass(frozen=True)
class Answered:
    """`log` is the tail that AWS gives with an answer."""

    payload: object
    error: str | None
    log: str


@dataclass(frozen=True)
class Deployed:
    """A function on a live server."""

    server: CossetServer
    name: str

    def invoke(self, event: object = None) -> Answered:
        answer = self.server.client("lambda").invoke(FunctionName=self.name, Payload=json.dumps(event), LogType="Tail")
        content = answer["Payload"].read()
        log = base64.b64decode(answer["LogResult"]).decode()
        return Answered(json.loads(content) if content else None, answer.get("FunctionError"), log)

    def logs(self, text: str) -> bool:
        """Whether an event with this text comes to be in its log group, also after the answer."""
        client = self.server.client("logs")
        until = time.monotonic() + LOGGED_WITHIN_S
        while time.monotonic() < until:
            with contextlib.suppress(client.exceptions.ResourceNotFoundException):
                found = client.filter_log_events(logGroupName=f"/aws/lambda/{self.name}", filterPattern=f'"{text}"')
                if found["events"]:
                    return True
            time.sleep(0.1)
        return False
