"""Starting and stopping: the process that the user started stays the launcher, its child becomes the node.

Light on purpose: until the fork it imports nothing heavy, and the launcher never does. What the node is made of is
node.py, the composition root; what the launcher may do is environments/launcher/.
"""

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cosset.environments.launcher import owner
from cosset.runtimes.catalogue import homes_of_interpreters
from cosset.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a started node tells the process that the user looks at. The keys are the administrator's,
    None when the owner has taken them away."""

    endpoint: str
    access_key_id: str | None
    secret_access_key: str | None
    account: str
    region: str
    tier: str
    iam_mode: str
    data: Path
    first_start: bool


def run(settings: Settings, on_ready: Callable[[Ready], None]) -> int:
    """Serves until a signal ends it; the exit code. `settings.data` is set. `on_ready` runs in the user's process.

    Nothing is left when it returns: no process, no mount, no cgroup.
    """
    assert settings.data is not None

    def serve(control: socket.socket) -> int:
        # The node's imports are its own: they happen after the fork, without privileges.
        from cosset import node

        return node.serve(settings, control)

    def on_message(message: dict[str, Any]) -> None:
        on_ready(Ready(**{**message, "data": Path(message["data"])}))

    readable = homes_of_interpreters(os.environ)
    return owner.run(data=settings.data, serve=serve, on_message=on_message, readable=readable)


def ready_message(ready: Ready) -> dict[str, Any]:
    """`ready` as the launcher carries it."""
    return {**asdict(ready), "data": str(ready.data)}


def configure_logging(level: str) -> None:
    """Cosset's own log goes to stderr, one line an event."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
