"""Reads what one environment prints, in the event loop, and passes it on event by event.

Two kinds of pipe: plain output (stdout and stderr: one event a line) and telemetry (the frames of AWS's runtime
clients, one event a logging record, however many lines). Nothing is kept but the unfinished last line, so a function
that prints without end costs no memory: the pipe fills, the function waits. Knows nothing of START, END or REPORT.
Read next: environment.py, which drains this before it answers.
"""

import asyncio
import fcntl
import os
import select
import struct
import sys
import termios
from collections.abc import Iterator
from typing import Protocol

from cosset.clock import Clock
from cosset.environments.api import LogSink

MAX_EVENT_BYTES = 256 * 1024
"""Longer lines and records are cut into several events of this size, CloudWatch's own bound."""

_READ_BYTES = 8 * 1024
"""At most this many events (empty lines) before the loop gets to do something else."""
_FRAME_HEAD = struct.Struct(">IIQ")
_FRAME_MAGIC = b"\xa5\x5a"


class Decoder(Protocol):
    """Turns bytes of one pipe into log events."""

    def feed(self, data: bytes) -> None: ...

    def flush(self) -> None:
        """The runtime has answered: passes on a line that has no end yet."""
        ...

    def finish(self) -> None:
        """The pipe has ended: passes on whatever is left."""
        ...


class LineDecoder:
    """One event a line, with its line feed. Invalid UTF-8 is replaced."""

    def __init__(self, sink: LogSink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._rest = bytearray()

    def feed(self, data: bytes) -> None:
        now_ms = self._clock.now_ms()
        if self._rest:
            self._rest += data
            data = bytes(self._rest)
            self._rest.clear()
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._emit(now_ms, data[start : end + 1])
            start = end + 1
        rest = data[start:]
        while len(rest) >= MAX_EVENT_BYTES:
            cut = _cut_at(rest, MAX_EVENT_BYTES)
            self._emit(now_ms, rest[:cut])
            rest = rest[cut:]
        self._rest += rest

    def flush(self) -> None:
        if self._rest:
            rest = bytes(self._rest)
            self._rest.clear()
            self._emit(self._clock.now_ms(), rest)

    def finish(self) -> None:
        self.flush()

    def _emit(self, timestamp_ms: int, line: bytes) -> None:
        while len(line) > MAX_EVENT_BYTES:
            cut = _cut_at(line, MAX_EVENT_BYTES)
            self._sink.write(timestamp_ms, line[:cut].decode("utf-8", "replace"))
            line = line[cut:]
        self._sink.write(timestamp_ms, line.decode("utf-8", "replace"))


class FrameDecoder:
    """One event a frame: type (0xa55a....), length, microseconds since the epoch, message; all big-endian.

    The function can write to this pipe too. What does not begin with the magic is passed on as plain lines.
    """

    def __init__(self, sink: LogSink, clock: Clock) -> None:
        self._sink = sink
        self._lines = LineDecoder(sink, clock)
        self._clock = clock
        self._rest = bytearray()
        self._timestamp_ms = 0
        self._missing = 0
        """Bytes of the present frame that have not come yet."""

    def feed(self, data: bytes) -> None:
        self._rest += data
        while self._rest:
            if self._missing:
                if not self._take_message():
                    return
            elif not self._take_head():
                return

    def flush(self) -> None:
        self._lines.flush()

    def finish(self) -> None:
        if self._missing:
            self._emit(bytes(self._rest))
        else:
            self._lines.feed(bytes(self._rest))
        self._rest.clear()
        self._lines.flush()

    def _take_head(self) -> bool:
        if not self._rest.startswith(_FRAME_MAGIC[: len(self._rest)]):
            start = self._rest.find(_FRAME_MAGIC)
            stray = self._rest[:start] if start > 0 else self._rest[:]
            del self._rest[: len(stray)]
            self._lines.feed(bytes(stray))
            return True
        if len(self._rest) < _FRAME_HEAD.size:
            return False
        _, self._missing, micros = _FRAME_HEAD.unpack_from(self._rest)
        del self._rest[: _FRAME_HEAD.size]
        # The function can forge a time; one that no calendar holds would break every reader of the stream.
        self._timestamp_ms = micros // 1000 if micros < 1 << 52 else self._clock.now_ms()
        return True

    def _take_message(self) -> bool:
        wanted = min(self._missing, MAX_EVENT_BYTES)
        if len(self._rest) < wanted:
            return False
        piece = bytes(self._rest[:wanted])
        if wanted < self._missing:
            piece = piece[: _cut_at(piece, wanted)]
        del self._rest[: len(piece)]
        self._missing -= len(piece)
        self._emit(piece)
        return True

    def _emit(self, piece: bytes) -> None:
        if piece:
            self._sink.write(self._timestamp_ms, piece.decode("utf-8", "replace"))


class LogPipe:
    """The read ends of one environment's pipes. Owns the descriptors that it is given, at any time, and closes them."""

    def __init__(self, sink: LogSink, clock: Clock, output: int | None = None, telemetry: int | None = None) -> None:
        self._clock = clock
        self._decoders: dict[int, Decoder] = {}
        self._loop = asyncio.get_running_loop()
        self._waiting = select.poll()
        self.watch(sink, output, telemetry)

    def watch(self, sink: LogSink, output: int | None = None, telemetry: int | None = None) -> None:
        """`output` is what stdout and stderr are tied to; `telemetry` what `_LAMBDA_TELEMETRY_LOG_FD` names inside,
        where the runtime is given one."""
        if output is not None:
            self._decoders[output] = LineDecoder(sink, self._clock)
            self._watch(output)
        if telemetry is not None:
            self._decoders[telemetry] = FrameDecoder(sink, self._clock)
            self._watch(telemetry)

    def add(self, sink: LogSink, output: int) -> None:
        """One more pipe of plain output, which goes elsewhere: that of extensions."""
        self._decoders[output] = LineDecoder(sink, self._clock)
        self._watch(output)

    def is_drained(self) -> bool:
        """As `drain`, where nothing waits in the pipes, which is how it mostly is; False: something does."""
        if self._waiting.poll(0):
            return False
        for decoder in self._decoders.values():
            decoder.flush()
        return True

    async def drain(self) -> None:
        """Passes on everything that was written before this call. Reads no more than the pipes hold now, so that a
        child that goes on printing cannot hold it up."""
        for _ in self._draining():
            await asyncio.sleep(0)

    def close(self) -> None:
        """Passes on what is left, then lets go of the descriptors. Idempotent."""
        for _ in self._draining():
            pass
        for fd in list(self._decoders):
            self._end(fd)

    def _watch(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._on_readable, fd)
        self._waiting.register(fd, select.POLLIN)

    def _draining(self) -> Iterator[None]:
        """Stops between two reads."""
        for fd in list(self._decoders):
            if fd not in self._decoders:  # it ended while we stopped
                continue
            waiting = _readable_bytes(fd)
            while waiting > 0 and (got := self._read(fd, waiting)):
                waiting -= got
                if waiting > 0:
                    yield
            if fd in self._decoders:
                self._decoders[fd].flush()

    def _on_readable(self, fd: int) -> None:
        self._read(fd, _READ_BYTES)

    def _read(self, fd: int, limit: int) -> int:
        decoder = self._decoders.get(fd)
        if decoder is None:
            return 0
        try:
            data = os.read(fd, min(limit, _READ_BYTES))
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            data = b""
        if data:
            decoder.feed(data)
        else:
            self._end(fd)
        return len(data)

    def _end(self, fd: int) -> None:
        """Every writer has gone."""
        self._loop.remove_reader(fd)
        self._waiting.unregister(fd)
        self._decoders.pop(fd).finish()
        os.close(fd)


def _readable_bytes(fd: int) -> int:
    buffer = fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0")
    return int.from_bytes(buffer, sys.byteorder)


def _cut_at(data: bytes, limit: int) -> int:
    """The last place at or before `limit` that splits no UTF-8 character."""
    for cut in range(limit, max(limit - 4, 0), -1):
        if cut == len(data) or data[cut] & 0xC0 != 0x80:
            return cut
    return limit
