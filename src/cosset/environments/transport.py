"""The two halves under every environment: a Process (what the OS runs) and a Transport (how events go in).

A tier makes both; `environment.py` joins them into the state machine of `api.py`. Transports: `runtime_api.py` (HTTP,
for Node, provided and all others), `framed.py` (a socketpair, for managed Python). Neither knows the other.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cosset.environments.api import Event

TRUNCATED = "Runtime.TruncatedResponse"
"""Type of the error Reply when the runtime hung up in the middle of a stream."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: `code` when it exited, `signal` when it was killed, `oom` when the kernel's limit did it."""

    code: int | None = None
    signal: int | None = None
    oom: bool = False


# As Go's os.Signal names them, which is what AWS prints.
_SIGNALS = {
    1: "hangup",
    2: "interrupt",
    3: "quit",
    4: "illegal instruction",
    5: "trace/breakpoint trap",
    6: "aborted",
    7: "bus error",
    8: "floating point exception",
    9: "killed",
    10: "user defined signal 1",
    11: "segmentation fault",
    12: "user defined signal 2",
    13: "broken pipe",
    14: "alarm clock",
    15: "terminated",
}


def signal_name(number: int) -> str:
    return _SIGNALS.get(number, f"signal {number}")


class Process(Protocol):
    """Everything the operating system runs for one environment, children included."""

    async def wait(self) -> Exit:
        """Returns when the first process has ended. May be awaited by several, any number of times."""
        ...

    async def kill(self, *, is_reset: bool = False) -> None:
        """Ends all of it; returns when no process, mount, cgroup or temporary folder is left. Idempotent. `is_reset`:
        what is in /tmp is kept for another that names this one as its predecessor, for a while."""
        ...

    def peak_memory_mb(self) -> int:
        """Peak of the whole environment so far, from the cgroup where there is one, rounded up."""
        ...


class Reply(NamedTuple):
    """What the runtime answered to one event. `error_type` is set when it reported an error; then `payload` is its
    JSON error object. `payload` is empty when the response has gone to the event's stream."""

    payload: bytes
    content_type: str = "application/json"
    error_type: str | None = None


def oversized(limit_bytes: int) -> Reply:
    """In the place of a response that is too large, as AWS says it since it names no longer how large it was."""
    error_type = "Function.ResponseSizeTooLarge"
    message = f"Response payload size exceeded maximum allowed payload size ({limit_bytes} bytes)."
    return Reply(json.dumps({"errorMessage": message, "errorType": error_type}).encode(), error_type=error_type)


class RuntimeInitError(Exception):
    """The runtime reported an init error itself: its type and its JSON error object."""

    def __init__(self, error_type: str, payload: bytes) -> None:
        super().__init__(error_type)
        self.error_type = error_type
        self.payload = payload


class TransportClosedError(Exception):
    """The runtime closed its connection, or broke the protocol; `delivered` says whether it may have seen the event."""

    def __init__(self, message: str, *, delivered: bool) -> None:
        super().__init__(message)
        self.delivered = delivered


class Transport(Protocol):
    """The way events go in and replies come out of one environment. One event at a time."""

    async def ready(self) -> None:
        """Returns when the runtime asks for its first event.

        Raises: RuntimeInitError, TransportClosedError.
        """
        ...

    def exchange(self, event: Event) -> Awaitable[Reply]:
        """Hands the event over, at once where the runtime waits for it; the reply is to be awaited. Bounds: a reply
        above 6 MB + 100 bytes, or a streamed one above 200 MB, becomes an error Reply of type
        Function.ResponseSizeTooLarge in AWS's words.

        Raises: TransportClosedError, here or where the reply is awaited.
        """
        ...

    def when_asked(self, callback: Callable[[], None]) -> None:
        """Calls back when the runtime waits for an event: at once if it does already."""
        ...

    def close(self) -> None:
        """Lets go of sockets. Idempotent. A `ready` or `exchange` under way raises TransportClosedError."""
        ...
