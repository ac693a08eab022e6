"""Starting and stopping: the process that the user started stays the launcher, its child becomes the node.

Light on purpose: until the fork it imports nothing heavy, and the launcher never does. What the node is made of is
node.py, the composition root; what the launcher may do is environments/launcher/.
"""

import gc
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cosset.environments.launcher import owner
from cosset.environments.launcher.owner import OwnerError
from cosset.ready import Ready, parse_ready
from cosset.runtimes.interpreters import homes_of_interpreters
from cosset.settings import Settings

__all__ = ["OwnerError", "run"]


def place_of_key(settings: Settings) -> list[Path]:
    """What a process without privileges must reach of a root key that lies elsewhere: its folder, where that is its
    own to write in, else the file alone."""
    if settings.key_file is None or settings.data is None:
        return []
    file = settings.key_file.absolute()
    is_own = settings.data.exists() and file.parent.exists() and _owner(file.parent) == _owner(settings.data)
    return [file.parent if is_own or not file.exists() else file]


def _owner(path: Path) -> int:
    return path.stat().st_uid


def run(settings: Settings, on_ready: Callable[[Ready], None]) -> int:
    """Serves until a signal ends it; the exit code. `settings.data` is set. `on_ready` runs in the user's process.

    Nothing is left when it returns: no process, no mount, no cgroup.

    Raises: OwnerError, when the data folder or what the settings ask of the host cannot be had.
    """
    assert settings.data is not None
    data = settings.data

    def serve(control: socket.socket) -> int:
        # A start makes objects that stay, and no garbage: looking for some would take a tenth of it. The node looks
        # again once it is ready.
        gc.disable()
        # The node's imports are its own: they happen after the fork, without privileges.
        from cosset import node

        return node.serve(settings, control)

    def on_message(message: dict[str, Any]) -> None:
        on_ready(parse_ready(message, data))

    readable = [
        *homes_of_interpreters(os.environ),
        *place_of_key(settings),
    ]
    return owner.run(
        data=data,
        serve=serve,
        on_message=on_message,
        readable=readable,
        min_free_mb=settings.min_free_mb,
        kept_s=settings.idle_timeout_s,
        egress_to=settings.egress_allow if settings.egress and settings.tier == "jail" else None,
    )
