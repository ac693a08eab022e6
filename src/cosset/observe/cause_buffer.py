"""Steps and events on their way to the disk: taken at once, written together every second, off the loop.

Implements causes.CauseRecorder. A crash loses the last second at most; whoever ends a piece of durable work calls
`flush` before. At its bound what is new is left out, and the log says how much. What the disk does
not take is given up after `MAX_TRIES`: this is a record of what happened, and must not hold up what happens.
"""

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from cosset.clock import Clock
from cosset.observe import run_lines
from cosset.observe.causes import Ran, RecordedEvent, Step, Unkept
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

INTERVAL_S = 1.0
PRUNE_S = 600.0
MAX_WAITING = 20_000
MAX_WAITING_BYTES = 32 * 1024 * 1024
MAX_TRIES = 3
STEPS_A_LINE = 200
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Lines(Protocol):
    """store/journal.py."""

    async def append(self, lines: Sequence[bytes]) -> None: ...

    async def prune(self) -> None: ...

    def lines(self) -> Iterator[bytes]: ...


class CauseBuffer:
    """`serve` is its task. `events` None: events are not kept, `steps` None: nothing is.

    Args:
        max_event_bytes: larger events are not kept.
    """

    def __init__(
        self,
        steps: Lines | None,
        events: Lines | None,
        clock: Clock,
        *,
        max_event_bytes: int = 262_144,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._steps = steps
        self._events = events
        self._clock = clock
        self._max_event_bytes = max_event_bytes
        self._max_waiting = max_waiting
        self.keeps_runs = steps is not None or events is not None
        self._waiting: list[Step | Ran] = []
        self._waiting_bytes = 0
        self._left_out = 0
        self._arrived = asyncio.Event()
        self._writing = asyncio.Lock()

    def happened(self, step: Step) -> None:
        if self._steps is None:
            return
        if len(self._waiting) >= self._max_waiting:
            self._left_out += 1
            return
        self._waiting.append(step)
        if not self._arrived.is_set():
            self._arrived.set()

    def ran(self, run: Ran) -> None:
        if len(self._waiting) >= self._max_waiting:
            self._left_out += 1
            return
        payload = run.payload
        if payload is None:
            run = _without(run, Unkept.FUNCTION)
        elif self._events is None:
            run = _without(run, Unkept.OFF)
        elif (size := len(payload)) > self._max_event_bytes:
            run = _without(run, f"{Unkept.LARGE}{size}")
        elif self._waiting_bytes + size > MAX_WAITING_BYTES:
            run = _without(run, Unkept.FULL)
            self._left_out += 1
        else:
            self._waiting_bytes += size
        self._waiting.append(run)
        if not self._arrived.is_set():
            self._arrived.set()

    async def serve(self) -> None:
        """Runs until it is cancelled; `flush` then writes what is left."""
        pruned_s = -PRUNE_S
        while True:
            now_s = self._clock.monotonic_s()
            if now_s - pruned_s >= PRUNE_S:
                await self._prune()
                pruned_s = now_s
            try:
                async with asyncio.timeout(PRUNE_S):
                    await self._arrived.wait()
            except TimeoutError:
                continue
            await self._clock.sleep(INTERVAL_S)
            await self.flush()

    async def flush(self) -> None:
        if not self._waiting and not self._writing.locked():
            return
        async with self._writing:
            self._arrived.clear()
            waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
            if self._left_out:
                logger.error("%d steps were left out of what caused what: the buffer was full", self._left_out)
                self._left_out = 0
            if not waiting:
                return
            steps, events = await asyncio.to_thread(pack, waiting)
            if steps and self._steps is not None:
                await self._append(self._steps, steps)
            if events and self._events is not None:
                await self._append(self._events, events)

    def steps(self) -> Iterator[Step]:
        """All that are kept, of every account, in the order in which they were written. Blocks: for a thread."""
        if self._steps is not None:
            for line in self._steps.lines():
                yield from read_steps(line)

    def event(self, account: str, region: str, request_id: str) -> RecordedEvent | None:
        """The newest with this request id. Blocks: for a thread."""
        wanted, found = _encode(request_id).encode(), None
        for line in self._events.lines() if self._events is not None else ():
            for event in read_events(line) if wanted in line else ():
                if (event.request_id, event.account, event.region) == (request_id, account, region):
                    found = event  # the newest comes last
        return found

    async def _append(self, journal: Lines, lines: Sequence[bytes]) -> None:
        for attempt in range(1, MAX_TRIES + 1):
            try:
                await journal.append(lines)
            except (OSError, ServiceError) as error:
                if attempt == MAX_TRIES:
                    logger.error("%d steps or events are lost to what caused what: %s", len(lines), error)
                else:
                    await self._clock.sleep(0.1 * attempt)
            else:
                return

    async def _prune(self) -> None:
        for journal in (self._steps, self._events):
            try:
                if journal is not None:
                    await journal.prune()
            except OSError as error:
                logger.error("what is too old of what caused what stays for now: %s", error)


def pack(waiting: Sequence[Step | Ran]) -> tuple[list[bytes], list[bytes]]:
    """Lines for the two journals. Many steps to a line: making one JSON text of them costs a third of making many."""
    runs = [each for each in waiting if each.__class__ is Ran]
    steps = [each for each in waiting if each.__class__ is not Ran] if len(runs) < len(waiting) else []
    lines = [_encode(steps[at : at + STEPS_A_LINE]).encode() for at in range(0, len(steps), STEPS_A_LINE)]
    return [*lines, *run_lines.pack_steps(runs)], [*run_lines.pack_events(runs)]


def read_steps(line: bytes) -> Iterator[Step]:
    """Nothing of a line that is torn."""
    found = _read(line)
    if isinstance(found, dict):
        yield from run_lines.read_steps(found)
        return
    for values in found if isinstance(found, list) else ():
        step = Step.unpack(values)
        if step is not None:
            yield step


def read_events(line: bytes) -> Iterator[RecordedEvent]:
    found = _read(line)
    if isinstance(found, dict):
        yield from run_lines.read_events(found)
        return
    for values in found if isinstance(found, list) else ():
        event = _unpack_event(values)
        if event is not None:
            yield event


def _without(run: Ran, why: str) -> Ran:
    return run._replace(payload=None, unkept=why)


def _read(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _unpack_event(values: list[Any]) -> RecordedEvent | None:
    """As earlier releases wrote them."""
    try:
        event = RecordedEvent(*values)
        return event._replace(payload=event.payload.encode("latin-1"))  # type: ignore[attr-defined]
    except (ValueError, TypeError, AttributeError):
        return None
