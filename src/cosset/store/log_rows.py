"""What the segment store gives back: events with their place in a stream, pages of them, streams.

A `Position` is the place of one event; it stays good after a restart and after other events come or go, so it is what
a page token carries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

EVENT_OVERHEAD_BYTES = 26
"""What CloudWatch Logs adds to each message's UTF-8 length when it measures a batch, a page or a stream."""


class Position(NamedTuple):
    """The place of an event: by its time, then by arrival. `seq` is unique in the whole store."""

    timestamp_ms: int
    seq: int


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as it is kept."""

    stream: str
    timestamp_ms: int
    ingested_ms: int
    seq: int
    message: str

    @property
    def position(self) -> Position:
        return Position(self.timestamp_ms, self.seq)


@dataclass(frozen=True, slots=True)
class Scan:
    """Part of a group, in order of time. `resume` is where to go on, None when everything there is has been seen.

    It may hold no event and still have a `resume`: a call looks at a bounded number of events.
    """

    events: Sequence[StoredEvent]
    resume: Position | None


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A log stream. Times are epoch milliseconds, None before the first event.

    What a crash or a full disk interrupts may leave these figures ahead of the events, never behind them.
    """

    name: str
    created_ms: int
    first_event_ms: int | None
    last_event_ms: int | None
    last_ingested_ms: int | None
    stored_bytes: int

    @property
    def cursor(self) -> tuple[int, str]:
        """Where this stream stands in either order of `list_streams`."""
        return self.last_event_ms or 0, self.name
