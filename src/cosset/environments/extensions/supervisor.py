"""What a tier offers where there are extensions: processes beside the runtime, and a way to the ports inside.

Each tier has its own: jail/supervisor.py through the environment's init, process_extensions.py with plain children.
Read next: ../environment.py, who asks for all this.
"""

import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from cosset.environments.api import InitError
from cosset.environments.transport import Exit

OnExtensionEnd = Callable[[str, Exit], None]
"""Called with the file name of an external extension whose process has ended."""

MAX_STARTED = 64
"""External extensions of one environment. Of those that are started ten may register."""
FOLDER = "extensions"
"""Of external extensions, below /opt."""


class LaunchError(Exception):
    """An external extension could not be started. `reason` is the system's own word, in lower case."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"fork/exec /opt/{FOLDER}/{name}: {reason}")
        self.name = name
        self.reason = reason


class Supervisor(Protocol):
    """One environment's. Nothing here waits but `runtime_ended` and `connect`."""

    def watch(self, ended: OnExtensionEnd, failed: Callable[[LaunchError], None]) -> None:
        """From here on the ends of extensions are told; those that came before, at once."""
        ...

    def start_runtime(self) -> None:
        """Where there are external extensions the runtime waits for this."""
        ...

    def signal_runtime(self, number: int) -> None:
        """To the runtime's process alone; nothing when it has ended."""
        ...

    async def runtime_ended(self) -> Exit:
        """Returns when the runtime's process has ended, though others may go on."""
        ...

    async def connect(self, port: int) -> socket.socket:
        """To a port of the environment's own loopback; not blocking.

        Raises: OSError.
        """
        ...

    async def close(self) -> None:
        """Ends every extension that is left. Idempotent."""
        ...


def external_extensions(layers: Sequence[Path]) -> tuple[str, ...]:
    """The files in the folder of extensions of all layers, by name. No layer, no look at the disk.

    Raises: InitError, when they are many more than could ever register.
    """
    found: set[str] = set()
    for layer in layers:
        with contextlib.suppress(OSError), os.scandir(layer / FOLDER) as entries:
            found |= {entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)}
    if len(found) > MAX_STARTED:
        message = f"{len(found)} extensions are more than the {MAX_STARTED} that are started"
        raise InitError("Extension.TooManyExtensions", message, b"", 0.0)
    return tuple(sorted(found))
