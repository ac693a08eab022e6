"""The lines in a function's log that say of each extension how far it came, and of each subscription that it holds.

As AWS writes them, with tabs; in the JSON log format the same as platform events. Sources: users' reports
(`EXTENSION\tName: ...\tState: Ready\tEvents: [INVOKE,SHUTDOWN]`), Telemetry API event schema reference.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cosset.observe.log_lines import JSON_FORMAT, iso_time


def extension_record(name: str, state: str, events: Sequence[str], error_type: str | None) -> dict[str, Any]:
    record: dict[str, Any] = {"name": name, "state": state, "events": list(events)}
    return record if error_type is None else record | {"errorType": error_type}


def extension_line(name: str, state: str, events: Sequence[str], error_type: str | None) -> str:
    line = f"EXTENSION\tName: {name}\tState: {state}\tEvents: [{','.join(events)}]"
    return f"{line}\n" if error_type is None else f"{line}\tError Type: {error_type}\n"


def subscription_record(name: str, types: Sequence[str]) -> dict[str, Any]:
    return {"name": name, "state": "Subscribed", "types": list(types)}


def subscription_line(api: str, name: str, types: Sequence[str]) -> str:
    """`api` is TELEMETRY or LOGS."""
    return f"{api}\tName: {name}\tState: Subscribed\tTypes: [{', '.join(kind.title() for kind in types)}]\n"


def in_format(log_format: str, time_ms: int, kind: str, record: Mapping[str, Any], text: str) -> str:
    """The line for a function of this log format; AWS writes both kinds at its level INFO."""
    if log_format != JSON_FORMAT:
        return text
    document = {"time": iso_time(time_ms), "type": kind, "record": record}
    return json.dumps(document, separators=(",", ":")) + "\n"
