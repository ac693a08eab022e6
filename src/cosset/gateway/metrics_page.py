"""GET /_cosset/metrics: Prometheus' text, for who carries the token that lies in the data folder.

The token is drawn on the first start and kept in `metrics.token`, readable by its owner only; who removes the file gets
another with the next start. It is no AWS key: it opens this page and nothing else.
"""

import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from cosset.observe.prometheus import Totals, write_text
from cosset.wire.message import Request, Response

PATH = "/_cosset/metrics"
FILE_NAME = "metrics.token"
_SCHEME = "bearer "


class Counted(Protocol):
    """Who counts (observe/metric_buffer.py)."""

    async def flush(self) -> None: ...

    def totals(self) -> Totals: ...


class MetricsPage:
    """`gauges` tells how the node is, when it is asked."""

    def __init__(self, token: str, counted: Counted, gauges: Callable[[], Mapping[str, float]]) -> None:
        self._token = token
        self._counted = counted
        self._gauges = gauges

    async def answer(self, request: Request) -> Response:
        given = request.headers.get("authorization") or ""
        said = given[len(_SCHEME) :].strip() if given.lower().startswith(_SCHEME) else ""
        if not hmac.compare_digest(said.encode(), self._token.encode()):
            headers = [("content-type", "text/plain"), ("www-authenticate", 'Bearer realm="cosset metrics"')]
            return Response(401, headers, b"The token in the data folder's metrics.token is needed.\n")
        await self._counted.flush()
        text = write_text(self._counted.totals(), self._gauges())
        return Response(200, [("content-type", "text/plain; version=0.0.4; charset=utf-8")], text.encode())


def read_token(data: Path) -> str:
    """The token of this data folder; drawn, and kept, where there is none. Raises OSError."""
    file = data / FILE_NAME
    try:
        found = file.read_text().strip()
        if found:
            return found
    except FileNotFoundError:
        pass
    token = secrets.token_urlsafe(32)
    partial = file.with_suffix(".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(token + "\n")
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(file)
    return token


def process_gauges() -> dict[str, float]:
    """By the names that Prometheus' own clients use. Linux only; elsewhere nothing."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        return {
            "process_cpu_seconds_total": (int(fields[11]) + int(fields[12])) / ticks,
            "process_virtual_memory_bytes": float(fields[20]),
            "process_resident_memory_bytes": float(int(fields[21]) * page),
            "process_threads": float(fields[17]),
            "process_open_fds": float(len(os.listdir("/proc/self/fd"))),
        }
    except OSError:
        return {}
