"""Batches: how many records go into one call, and the event that the function gets. Pure.

A batch is full at its number of records, or when one more would take the event past what a synchronous invocation
carries (6 MB).
"""

from collections import deque
from collections.abc import Sequence

from cosset.invocation.limits import SYNC_PAYLOAD_BYTES
from cosset.triggers.sources import Record

_OPENING, _CLOSING = b'{"Records":[', b"]}"


def write_event(records: Sequence[Record], more: bytes = b"") -> bytes:
    """`more` are further members of the event, as JSON, each behind a comma."""
    return _OPENING + b",".join(record.encoded for record in records) + b"]" + more + b"}"


class Batch:
    """Records on their way into one event. `reserve_bytes` is kept free for other members of the event."""

    def __init__(self, size: int, reserve_bytes: int = 0) -> None:
        self._size = size
        self._limit_bytes = SYNC_PAYLOAD_BYTES - len(_OPENING) - len(_CLOSING) - reserve_bytes
        self._bytes = 0
        self._is_closed = False
        self.records: list[Record] = []

    @property
    def room(self) -> int:
        """How many more records it may take; none, once one did not fit."""
        return 0 if self._is_closed else self._size - len(self.records)

    def add(self, record: Record) -> bool:
        """Whether it fits. A record that is too large for any event goes alone, for the invocation to refuse it."""
        size = len(record.encoded) + 1
        if not self.room or (self.records and self._bytes + size > self._limit_bytes):
            self._is_closed = True
            return False
        self._bytes += size
        self.records.append(record)
        return True

    def fill(self, waiting: "deque[Record]") -> None:
        """Takes from the front of `waiting` what fits."""
        while waiting and self.add(waiting[0]):
            waiting.popleft()
