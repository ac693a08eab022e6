"""Log events on their way to the store: taken at once, written in batches, in order per stream, within a bound.

Implements `ports.LogWriter`. What cannot be kept is counted and said in the log itself, never lost in silence.
A write that fails (a full disk) is tried again until it holds or the buffer is closed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cosset.clock import Clock
from cosset.observe.ports import LogEvent, LogFollower, StreamKey

logger = logging.getLogger(__name__)

_EVENT_OVERHEAD_BYTES = 26
"""What AWS counts for an event besides its message."""
_MAX_AHEAD_MS = 2 * 3600 * 1000
"""How far in the future CloudWatch Logs accepts an event."""
_PIECE_EVENTS = 2_000
"""As many go to the store at once; about four milliseconds of the loop."""
_FIRST_RETRY_S = 0.2
_LONGEST_RETRY_S = 5.0


class LogSink(Protocol):
    """Keeps events (store/segments.py)."""

    async def append(self, batch: Sequence[tuple[StreamKey, Sequence[LogEvent]]]) -> Sequence[int]:
        """Durable on return; all of the batch or none of it. The numbers of each stream's first event."""
        ...


class LogGroups(Protocol):
    """Makes log groups on first use (services/logs). Answers from memory for groups that it knows."""

    async def ensure_groups(self, groups: Collection[tuple[str, str, str]]) -> None:
        """Each an account, a region and a name."""
        ...


class LogsNotDurableError(Exception):
    """Events could not be written within the time that a flush waits. They are still tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferLimits:
    """At `max_events` or `max_bytes` unwritten, the oldest of the loudest stream are dropped. A batch goes out every
    `interval_s`, or at once when `batch_events` wait. `flush_s` bounds what a flush waits."""

    max_events: int = 100_000
    max_bytes: int = 64 * 1024 * 1024
    batch_events: int = 1_000
    interval_s: float = 0.2
    flush_s: float = 30.0


@dataclass(slots=True)
class _Pending:
    """The unwritten events of one stream, oldest first. `dropped` were lost just before the first of them."""

    events: deque[LogEvent] = field(default_factory=deque)
    size: int = 0
    dropped: int = 0
    last_dropped_ms: int = 0


def _size(event: LogEvent) -> int:
    # One character may be four bytes; the bound is on memory, so the length is near enough and far quicker.
    return len(event.message) + _EVENT_OVERHEAD_BYTES


def _plausible(timestamp_ms: int, now_ms: int) -> int:
    """A function chooses the times of its own records. One that the store would refuse must not hold up the rest."""
    return timestamp_ms if 0 <= timestamp_ms <= now_ms + _MAX_AHEAD_MS else now_ms


class LogBuffer:
    """`start` runs the writer as a task on the running loop; `close` writes what is left and ends it."""

    def __init__(self, sink: LogSink, groups: LogGroups, clock: Clock, limits: BufferLimits | None = None) -> None:
        self._sink = sink
        self._groups = groups
        self._clock = clock
        self._limits = limits or BufferLimits()
        self._pending: dict[StreamKey, _Pending] = {}
        self._count = 0
        self._bytes = 0
        self._last_ingested_ms = 0
        # Batches are numbered: a flush waits for the one that is to hold what was last written.
        self._collecting = 1
        self._durable = 0
        self._flushes: list[tuple[int, asyncio.Future[None]]] = []
        self._hurry = asyncio.Event()
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._follower: LogFollower | None = None

    def follow(self, follower: LogFollower) -> None:
        """From here on `follower` hears of everything that is kept, before it counts as durable."""
        self._follower = follower

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="log buffer")

    def write(self, key: StreamKey, events: Sequence[LogEvent]) -> None:
        """Takes events; never waits, never raises."""
        if self._task is not None and self._task.done():
            logger.error("%d log events of %s came after the log buffer was closed and are lost", len(events), key)
            return
        if not events:
            return
        pending = self._pending.get(key)
        if pending is None:
            pending = self._pending[key] = _Pending()
        size = 0
        for event in events:
            size += len(event.message) + _EVENT_OVERHEAD_BYTES  # as _size, which would be a call for each
        pending.events.extend(events)
        pending.size += size
        self._bytes += size
        self._count += len(events)
        while self._count > self._limits.max_events or self._bytes > self._limits.max_bytes:
            self._drop_oldest_of_loudest()
        if not self._arrived.is_set():
            self._arrived.set()
        if self._count >= self._limits.batch_events:
            self._hurry.set()

    async def flush(self) -> None:
        """Returns when everything written so far is durable.

        Raises:
            LogsNotDurableError: it is not, after the limit. The events stay and are tried again.
        """
        if self._pending:
            target = self._collecting
            self._hurry.set()
        else:
            target = self._collecting - 1
        if target <= self._durable:
            return
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushes.append((target, durable))
        limit = asyncio.ensure_future(self._clock.sleep(self._limits.flush_s))
        try:
            await asyncio.wait((durable, limit), return_when=asyncio.FIRST_COMPLETED)
            if not durable.done():
                raise LogsNotDurableError(f"log events are not durable after {self._limits.flush_s} s")
            durable.result()
        finally:
            limit.cancel()
            durable.cancel()

    async def close(self) -> None:
        """Writes what is left, once more if the store fails, and ends the task. What then is left is logged."""
        self._closing.set()
        self._arrived.set()
        if self._task is not None:
            await self._task
        if self._count:
            logger.error("%d log events could not be written and are lost", self._count)
        for _, durable in self._flushes:
            if not durable.done():
                durable.set_exception(LogsNotDurableError("the log buffer was closed before its events were durable"))

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            await self._pause(self._limits.interval_s, unless=self._hurry)
            self._arrived.clear()
            self._hurry.clear()
            if self._pending and not await self._write_batch():
                return
            if self._closing.is_set():
                if not self._pending:
                    return
                self._arrived.set()

    async def _pause(self, delay_s: float, unless: asyncio.Event | None = None) -> None:
        """Lets time pass; ends early when the buffer closes or `unless` happens."""
        events = [self._closing] if unless is None else [self._closing, unless]
        if any(event.is_set() for event in events):
            return
        tasks: list[asyncio.Future[object]] = [asyncio.ensure_future(self._clock.sleep(delay_s))]
        tasks += [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _write_batch(self) -> bool:
        """Writes all that is pending now. False: closed before it could be."""
        taken, number = self._pending, self._collecting
        self._pending = {}
        self._collecting += 1
        # It counts as unwritten until it is written, piece by piece: the loop has others to serve in between.
        for piece in _pieces(taken, self._stamp()):
            if not await self._append(piece):
                return False
            self._count -= piece.count
            self._bytes -= piece.size
        self._durable = number
        for target, durable in self._flushes:
            if target <= number and not durable.done():
                durable.set_result(None)
        self._flushes = [each for each in self._flushes if not each[1].done()]
        return True

    async def _append(self, piece: "_Piece") -> bool:
        """Tries until it holds, or the buffer closes."""
        delay_s = _FIRST_RETRY_S
        firsts: Sequence[int] | None = None
        while True:
            try:
                if firsts is None:
                    await self._groups.ensure_groups({(key.account, key.region, key.group) for key, _ in piece.batch})
                    firsts = await self._sink.append(piece.batch)
                if self._follower is not None:
                    await self._follower.follow(piece.batch, firsts)
                return True
            except Exception as error:  # noqa: BLE001 - the buffer's own task: whatever the store's trouble is, it must live
                logger.error("Cannot write %d log events, will try again in %.1f s: %r", piece.count, delay_s, error)
                if self._closing.is_set():
                    return False
                await self._pause(delay_s)
                delay_s = min(delay_s * 2, _LONGEST_RETRY_S)

    def _stamp(self) -> int:
        """The time of ingestion: now, and never before an earlier one."""
        self._last_ingested_ms = max(self._clock.now_ms(), self._last_ingested_ms)
        return self._last_ingested_ms

    def _drop_oldest_of_loudest(self) -> None:
        loudest = max(self._pending.values(), key=lambda pending: pending.size)
        event = loudest.events.popleft()
        loudest.dropped += 1
        loudest.last_dropped_ms = event.timestamp_ms
        loudest.size -= _size(event)
        self._bytes -= _size(event)
        self._count -= 1


@dataclass(slots=True)
class _Piece:
    """What goes to the sink at once. `count` and `size` are of the events that were taken in, without notes."""

    batch: list[tuple[StreamKey, list[LogEvent]]] = field(default_factory=list)
    count: int = 0
    size: int = 0


def _pieces(taken: dict[StreamKey, _Pending], now_ms: int) -> Iterator[_Piece]:
    """The events of all streams, each stream's in order, with what was dropped said in its place."""
    piece = _Piece()
    for key, pending in taken.items():
        events: list[LogEvent] = []
        piece.batch.append((key, events))
        if pending.dropped:
            sentence = f"[cosset] {pending.dropped} log events were dropped here: the log buffer was full."
            events.append(LogEvent(_plausible(pending.last_dropped_ms, now_ms), sentence, now_ms))
        latest_ms = now_ms + _MAX_AHEAD_MS
        for event in pending.events:
            time_ms, message, ingested_ms, trace_id = event
            if not 0 <= time_ms <= latest_ms:
                time_ms = now_ms
            events.append(LogEvent(time_ms, message, ingested_ms or now_ms, trace_id))
            piece.count += 1
            piece.size += len(message) + _EVENT_OVERHEAD_BYTES
            if piece.count >= _PIECE_EVENTS:
                yield piece
                events = []
                piece = _Piece([(key, events)])
    yield piece
