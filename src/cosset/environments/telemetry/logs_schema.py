"""The same events in the older words of the Logs API: fewer kinds, fewer fields.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-logs-api.html
"""

from collections.abc import Mapping
from typing import Any

Record = str | Mapping[str, Any]

ONLY_IN_LOGS = "platform.end"

_KEPT = {
    "platform.start": ("requestId", "version"),
    "platform.end": ("requestId",),
    "platform.report": ("requestId", "metrics", "tracing"),
    "platform.extension": ("name", "state", "events", "errorType"),
    "platform.logsSubscription": ("name", "state", "types"),
    "platform.logsDropped": ("reason", "droppedRecords", "droppedBytes"),
}
_RUNTIME_DONE = ("requestId", "status")
_FROM_SCHEMA = "2021-03-18"
"""The one that has platform.runtimeDone."""


def in_logs_schema(kind: str, record: Record, schema: str) -> tuple[str, Record] | None:
    """None: the Logs API knows no such event."""
    if isinstance(record, str):
        return kind, record
    if kind == "platform.telemetrySubscription":
        kind = "platform.logsSubscription"
    kept = _KEPT.get(kind)
    if kind == "platform.runtimeDone" and schema >= _FROM_SCHEMA:
        kept = _RUNTIME_DONE
    if kept is None:
        return None
    return kind, {name: record[name] for name in kept if name in record}
