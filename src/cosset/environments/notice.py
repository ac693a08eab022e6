"""What Cosset itself has to say in a function's log: that another version of the language serves it."""

import json
from datetime import UTC, datetime

from cosset.environments.api import EnvironmentSpec


def notice(spec: EnvironmentSpec, text: str, now_ms: int) -> str:
    """One log event, in the function's own log format."""
    if spec.log_format != "JSON":
        return f"COSSET WARNING {text}\n"
    timestamp = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return json.dumps({"timestamp": timestamp, "level": "WARN", "source": "cosset", "message": text}) + "\n"
