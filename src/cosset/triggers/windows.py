"""Tumbling windows: records of one stretch of time, aggregated over many calls by a state that the function hands on.

A window is open from its first record until a record of a later one comes or its time is over; then the function is
called once more, with `isFinalInvokeForWindow`. A state above 1 MB ends its window early. Pure; source: AWS Lambda
developer guide, "Implementing stateful Kinesis Data Streams processing in Lambda".
"""

import json
from dataclasses import dataclass, field
from typing import Any

from cosset.triggers.failure_records import seconds
from cosset.triggers.sources import Record

STATE_BYTES = 1024 * 1024


class NoStateError(Exception):
    """The function's answer has no state: AWS counts that as a failed call."""


@dataclass(frozen=True, slots=True)
class Window:
    """One open window."""

    start_ms: int
    size_ms: int
    state: Any = field(default_factory=dict)

    @classmethod
    def of(cls, record: Record, size_ms: int) -> "Window":
        return cls(record.arrived_ms // size_ms * size_ms, size_ms)

    @classmethod
    def unpack(cls, packed: str) -> "Window | None":
        return cls(**json.loads(packed)) if packed else None

    def pack(self) -> str:
        return json.dumps({"start_ms": self.start_ms, "size_ms": self.size_ms, "state": self.state})

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.size_ms

    def holds(self, record: Record) -> bool:
        """A record that is late for its own window goes with the open one."""
        return record.arrived_ms < self.end_ms

    def members(self, shard_id: str, arn: str, *, is_final: bool, is_early: bool) -> bytes:
        """What an event has besides its records."""
        members = {
            "window": {"start": seconds(self.start_ms), "end": seconds(self.end_ms)},
            "state": self.state,
            "shardId": shard_id,
            "eventSourceARN": arn,
            "isFinalInvokeForWindow": is_final,
            "isWindowTerminatedEarly": is_early,
        }
        return b"," + json.dumps(members, separators=(",", ":")).encode()[1:-1]

    def after(self, payload: bytes) -> "Window":
        """The window with the state that the function answered. Raises: NoStateError."""
        try:
            answer = json.loads(payload)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or "state" not in answer:
            raise NoStateError
        return Window(self.start_ms, self.size_ms, answer["state"])

    @property
    def is_too_large(self) -> bool:
        return len(json.dumps(self.state, separators=(",", ":")).encode()) > STATE_BYTES
