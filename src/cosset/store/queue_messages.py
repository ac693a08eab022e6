"""What goes into a durable queue and what comes out of it. Next: queue.py."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message to be sent. `id`, `sent_at_ms`, `attempts` and `first_received_at_ms` are given where it has been
    elsewhere before. `tenant` is whose it is, in a queue without groups that is received from fairly."""

    body: bytes
    group: str | None = None
    tenant: str | None = None
    deduplication_id: str | None = None
    delay_ms: int = 0
    expires_at_ms: int | None = None
    id: str | None = None
    sent_at_ms: int | None = None
    attempts: int = 0
    first_received_at_ms: int | None = None


class Sent(NamedTuple):
    """`is_new` False: the deduplication id was sent before, and these are the first message's. `seq` ascends."""

    id: str
    seq: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Message:
    """A message under lease. `attempts` counts this receipt; `lease` proves later that it is this receiver's still."""

    id: str
    body: bytes
    attempts: int
    lease: str
    sent_at_ms: int
    group: str | None
    expires_at_ms: int | None
    first_received_at_ms: int

    @property
    def seq(self) -> int:
        """The number of the message: those sent later have higher ones."""
        return seq_of(self.lease)


class Standing(NamedTuple):
    """How a message stands: `due_ms` and `lease` as in its row."""

    lease: str | None
    due_ms: int | None
    group: str | None


def due_ms(visible_at_ms: int, expires_at_ms: int | None) -> int:
    """An expired message is due at once: somebody has to end it."""
    return visible_at_ms if expires_at_ms is None else min(visible_at_ms, expires_at_ms)


def seq_of(lease: str) -> int:
    return int(lease.partition(".")[0])
