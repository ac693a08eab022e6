"""One PutLogEvents batch: what may be kept, what is too old or too new, what makes AWS refuse the whole.

Source: the quotas in the API reference of PutLogEvents; sentences as recorded (logs) where they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cosset.observe.ports import LogEvent
from cosset.services.logs.errors import invalid_parameter
from cosset.store.log_rows import EVENT_OVERHEAD_BYTES

_HOUR_MS = 3600 * 1000
_DAY_MS = 24 * _HOUR_MS
_MAX_AGE_MS = 14 * _DAY_MS
_MAX_AHEAD_MS = 2 * _HOUR_MS
_MAX_BATCH_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Batch:
    """`rejected` is rejectedLogEventsInfo: the old ones end before an index, the new ones start at one."""

    accepted: Sequence[LogEvent]
    rejected: Mapping[str, int]


def read_batch(events: Sequence[Mapping[str, Any]], now_ms: int, oldest_kept_ms: int, trace_id: str = "") -> Batch:
    """Sorts out a batch.

    Raises:
        ServiceError: InvalidParameterException for a batch out of order, over 24 hours long or over one megabyte.
    """
    times = [int(event["timestamp"]) for event in events]
    if any(later < earlier for earlier, later in pairwise(times)):
        raise invalid_parameter("Log events in a single PutLogEvents request must be in chronological order.")
    size = sum(_size(str(event["message"])) for event in events)
    if size > _MAX_BATCH_BYTES:
        raise invalid_parameter(f"Upload too large: {size} bytes exceeds limit of {_MAX_BATCH_BYTES}")
    if times[-1] - times[0] > _DAY_MS:
        raise invalid_parameter(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )
    too_old = sum(each < now_ms - _MAX_AGE_MS for each in times)
    expired = sum(each < oldest_kept_ms for each in times)
    too_new = sum(each > now_ms + _MAX_AHEAD_MS for each in times)
    rejected: dict[str, int] = {}
    if too_old:
        rejected["tooOldLogEventEndIndex"] = too_old
    if expired > too_old:
        rejected["expiredLogEventEndIndex"] = expired
    if too_new:
        rejected["tooNewLogEventStartIndex"] = len(times) - too_new
    kept = events[max(too_old, expired) : len(events) - too_new]
    accepted = [LogEvent(int(event["timestamp"]), str(event["message"]), now_ms, trace_id) for event in kept]
    return Batch(accepted, rejected)


def _size(message: str) -> int:
    return len(message.encode("utf-8", "surrogatepass")) + EVENT_OVERHEAD_BYTES
