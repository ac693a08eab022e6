"""What functions print, by stock boto3. Lines are written a moment after the answer: wait for them (patience.py)."""

from cosset.testing.server import CossetServer


def messages(server: CossetServer, group: str, pattern: str = "") -> list[str]:
    """Of a log group, by now; none where there is no such group yet: a function's comes with its first line."""
    logs = server.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern=pattern)
    try:
        return [event["message"] for page in pages for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []
