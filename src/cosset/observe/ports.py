"""Log events on their way from whoever writes them to the store that keeps them, behind one port."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class LogEvent(NamedTuple):
    """One event. A tuple, not a dataclass: every invocation makes several.

    Both times are epoch milliseconds; `ingested_ms` never lies before the previous one's in a stream. `trace_id` is
    the trace header of the invocation that wrote it, for what follows from it; it is not kept.
    """

    timestamp_ms: int
    message: str
    ingested_ms: int = 0
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class StreamKey:
    """A log stream, wherever it is kept."""

    account: str
    region: str
    group: str
    stream: str


class LogWriter(Protocol):
    """Takes log events without ever making the caller wait; the events are written in batches, in order per stream.

    Makes the group (when create_group allows it) and the stream on first use. At its bound it drops the oldest
    unwritten events of the loudest stream and leaves one event that says how many.
    """

    def write(self, key: StreamKey, events: Sequence[LogEvent]) -> None: ...

    async def flush(self) -> None:
        """Returns when everything written so far is durable. An asynchronous invocation ends after this (G1)."""
        ...


class LogFollower(Protocol):
    """Hears of events once they are kept: subscription filters."""

    async def follow(self, batch: Sequence[tuple[StreamKey, Sequence[LogEvent]]], firsts: Sequence[int]) -> None:
        """Returns when what follows from them is durable. `firsts` are the numbers of each stream's first event.

        Raises ServiceError: not now; nothing was done.
        """
        ...
