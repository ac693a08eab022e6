"""CloudWatch Logs as this installation serves it. Groups are rows of the main store, events are segments.

What functions print comes through `observe/log_buffer.py`, which makes their groups through `group_book.py`.
"""

from cosset.clock import Clock
from cosset.observe.ports import LogFollower
from cosset.services.logs.events import LogEvents
from cosset.services.logs.export_tasks import LogExports
from cosset.services.logs.filters import FunctionGate, LogFilters
from cosset.services.logs.groups import LogGroups
from cosset.services.logs.metric_filters import LogMetricFilters
from cosset.services.logs.policies import LogPolicies
from cosset.services.logs.streams import LogStreams
from cosset.services.logs.tags import LogTags
from cosset.services.operation import Service
from cosset.store.database import Store
from cosset.store.segments import SegmentStore


def logs_service(
    store: Store,
    segments: SegmentStore,
    follower: LogFollower,
    gate: FunctionGate,
    clock: Clock,
    exports: LogExports | None = None,
) -> Service:
    """Without `exports` there are none: they need buckets."""
    parts: list[object] = [
        LogGroups(store, segments, clock),
        LogStreams(store, segments),
        LogEvents(store, segments, follower, clock),
        LogFilters(store, gate, clock),
        LogMetricFilters(store, clock),
        LogTags(store),
        LogPolicies(store, clock),
    ]
    if exports is not None:
        parts.append(exports)
    return Service.of("logs", parts, validation_code="InvalidParameterException")
