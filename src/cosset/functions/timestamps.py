"""LastModified as Lambda writes it: `2026-11-21T09:00:00.000+0000`."""

from datetime import UTC, datetime


def format_timestamp(now_ms: int) -> str:
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{now_ms % 1000:03d}+0000"
