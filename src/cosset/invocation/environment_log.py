"""The log of one environment: what its function prints and what the platform says of it, in the order it happened.

Passes everything on to the LogWriter at once; keeps only the tail of the invocation under way, for LogType=Tail.
"""

from collections import deque
from collections.abc import Callable, Sequence

from cosset.observe.ports import LogEvent, LogWriter, StreamKey

TAIL_BYTES = 4096
"""AWS returns the last 4 KB of the invocation's log."""


class EnvironmentLog:
    """A LogSink for one environment; the platform's own lines (platform_log.py) go the same way."""

    def __init__(self, key: StreamKey, writer: LogWriter) -> None:
        self._key = key
        self._writer = writer
        self._tail: deque[bytes] | None = None
        self._tail_bytes = 0
        self._trace_id = ""
        self._last_lines: Callable[[], None] | None = None
        """Of an invocation that is over."""

    def carry(self, trace_id: str) -> None:
        """From here on what is written comes of an invocation with this trace header."""
        self.write_last_lines()
        self._trace_id = trace_id

    def write(self, timestamp_ms: int, message: str) -> None:
        self.write_all(timestamp_ms, (message,))

    def write_all(self, timestamp_ms: int, messages: Sequence[str]) -> None:
        """Several events of the same time."""
        if self._last_lines is not None:
            self.write_last_lines()
        self._writer.write(self._key, [LogEvent(timestamp_ms, each, 0, self._trace_id) for each in messages])
        if self._tail is not None:
            for message in messages:
                self._keep(self._tail, message.encode("utf-8", "replace"))

    def end_later(self, write: Callable[[], None]) -> None:
        """`write` writes what an invocation's log ends with: when `write_last_lines` is called, or before anything else
        is written."""
        self.write_last_lines()
        self._last_lines = write

    def write_last_lines(self) -> None:
        """Nothing, when they have been written."""
        write, self._last_lines = self._last_lines, None
        if write is not None:
            write()

    def begin_tail(self) -> None:
        """From here on the last 4 KB are kept."""
        self.write_last_lines()
        self._tail = deque()
        self._tail_bytes = 0

    def end_tail(self) -> bytes:
        """The last 4 KB since `begin_tail`; stops keeping them."""
        tail = b"".join(self._tail or ())
        self._tail = None
        return tail[-TAIL_BYTES:]

    def _keep(self, tail: deque[bytes], data: bytes) -> None:
        tail.append(data if data.endswith(b"\n") else data + b"\n")
        self._tail_bytes += len(tail[-1])
        while self._tail_bytes - len(tail[0]) >= TAIL_BYTES:
            self._tail_bytes -= len(tail.popleft())
