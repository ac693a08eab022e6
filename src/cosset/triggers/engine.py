"""The engine: works on every mapping that is enabled, from the moment that it is until it is not.

One for all sources. It hears of changes from the change feed, and keeps a runner for each mapping that this node has
the lease of: a `QueuePoller` for a queue, a `StreamReader` for a log. A changed mapping gets a new runner when the old
one has ended its batches. Nothing it knows is only in memory: after `kill -9` it begins with the rows and checkpoints.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

from cosset.clock import Clock
from cosset.invocation.api import TargetResolver
from cosset.invocation.asynchronous import Runner as RunFunction
from cosset.invocation.deliveries import Deliveries
from cosset.invocation.destinations import DeliveryRights
from cosset.observe.causes import CauseRecorder, Unrecorded
from cosset.observe.ports import LogWriter
from cosset.store.database import Store
from cosset.triggers import records
from cosset.triggers.calls import Caller
from cosset.triggers.checkpoints import Checkpoints
from cosset.triggers.leases import Leases
from cosset.triggers.metrics import Counts, NoMetrics, TriggerMetrics
from cosset.triggers.model import EventSourceMapping
from cosset.triggers.patterns import InvalidPatternError
from cosset.triggers.progress import Progress
from cosset.triggers.queue_poller import QueuePoller
from cosset.triggers.sources import EventSource, EventSources, LogSource, QueueSource
from cosset.triggers.stream_reader import StreamReader
from cosset.triggers.tables import TOPIC
from cosset.waiting import Signal, first_of
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

LOOK_S = 10.0
"""How often leases of other nodes are looked at."""
RETRY_S = 1.0


class Runner(Protocol):
    """Works on one mapping."""

    async def run(self) -> None:
        """Returns after `stop`, when what was under way has ended."""
        ...

    def stop(self) -> None: ...

    def cancel(self) -> None:
        """Gives up on what is under way, after `stop`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the engine stands on. `run` is the dispatcher's `invoke`."""

    store: Store
    sources: EventSources
    targets: TargetResolver
    run: RunFunction
    rights: DeliveryRights
    outbox: Deliveries
    logs: LogWriter
    clock: Clock
    metrics: TriggerMetrics = field(default_factory=NoMetrics)
    causes: CauseRecorder = field(default_factory=Unrecorded)


@dataclass(slots=True)
class _Running:
    mapping: EventSourceMapping
    runner: Runner
    task: "asyncio.Task[None]"


class TriggerEngine:
    """The engine of one node. `owner` names the node to the others."""

    def __init__(
        self,
        around: Surroundings,
        *,
        owner: str | None = None,
        shared: bool | None = None,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._around = around
        self._clock = around.clock
        self._new_id = new_id
        self._leases = Leases(around.store, around.clock, owner or str(uuid4()), shared=shared)
        self._running: dict[str, _Running] = {}
        self._changed = Signal()
        self._stopping = False
        around.store.on_change(TOPIC, self._on_change)

    async def serve(self) -> None:
        """Runs until it is cancelled, after `stop`."""
        while not self._stopping:
            try:
                pause_s = await self._look()
            except ServiceError as error:
                logger.warning("event source mappings wait: %s", error)
                pause_s = RETRY_S
            if pause_s is None:
                await self._changed.wait()
            else:
                await first_of(self._changed.wait(), self._clock.sleep(pause_s))

    async def stop(self, timeout_s: float) -> None:
        """Fetches nothing more; waits for the batches under way, at most this long. What is left comes again."""
        self._stopping = True
        self._changed.set()
        running = list(self._running.values())
        for each in running:
            each.runner.stop()
        tasks = [each.task for each in running]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout_s)
            if late:
                for each in running:
                    each.runner.cancel()
                    each.task.cancel()
                await asyncio.gather(*late, return_exceptions=True)

    async def _look(self) -> float | None:
        """Starts and stops runners as the rows say; in how many seconds to look again, None: when something changes."""
        now_ms = self._clock.now_ms()
        mappings = await self._around.store.read(lambda tx: records.read_every(tx, now_ms=now_ms))
        wanted = {mapping.uuid: mapping for mapping in mappings if self._is_wanted(mapping, now_ms)}
        for uuid, running in list(self._running.items()):
            if running.task.done():
                del self._running[uuid]
            elif uuid not in wanted or not _is_same(running.mapping, wanted[uuid]):
                running.runner.stop()
        for uuid, mapping in wanted.items():
            if uuid not in self._running and not self._stopping:
                await self._start(mapping)
        settling = [mapping.settles_at_ms for mapping in mappings if mapping.settles_at_ms > now_ms]
        waits_s = [(min(settling) - now_ms) / 1000] if settling else []
        if self._leases.are_shared and len(self._running) < len(wanted):
            waits_s.append(LOOK_S)
        return min(waits_s, default=None)

    def _is_wanted(self, mapping: EventSourceMapping, now_ms: int) -> bool:
        return mapping.state(now_ms) == "Enabled" and self._around.sources.find(mapping.kind.service) is not None

    async def _start(self, mapping: EventSourceMapping) -> None:
        source = self._around.sources.find(mapping.kind.service)
        assert source is not None
        if not await self._leases.take(mapping.uuid) or self._stopping:
            return
        progress = Progress(self._around.store, mapping, self._clock)
        try:
            runner = self._make(mapping, source, progress)
        except InvalidPatternError as error:  # an older Cosset took what this one does not
            await progress.say(f"PROBLEM: {error.reason}")
            return
        if runner is None:
            return
        work = self._work(mapping, runner)
        task = asyncio.get_running_loop().create_task(work, name=f"event source mapping {mapping.uuid}")
        self._running[mapping.uuid] = _Running(mapping, runner, task)
        task.add_done_callback(lambda _: self._changed.set())

    def _make(self, mapping: EventSourceMapping, source: EventSource, progress: Progress) -> Runner | None:
        """Raises: InvalidPatternError."""
        around = self._around
        caller = Caller(
            mapping,
            source,
            around.targets,
            around.run,
            around.rights,
            around.logs,
            around.clock,
            self._new_id,
            around.causes,
        )
        counts = Counts(around.metrics, mapping)
        if isinstance(source, QueueSource):
            return QueuePoller(mapping, source, caller, progress, counts, around.clock)
        if isinstance(source, LogSource):
            checkpoints = Checkpoints(around.store, mapping, self._leases, around.outbox)
            return StreamReader(mapping, source, caller, progress, counts, checkpoints, around.clock, self._new_id)
        return None

    async def _work(self, mapping: EventSourceMapping, runner: Runner) -> None:
        """The task boundary of one mapping: whatever happens to it, the engine and the others go on."""
        keeping = asyncio.ensure_future(self._leases.keep(mapping.uuid))
        keeping.add_done_callback(lambda _: runner.stop())
        try:
            await runner.run()
        except Exception:
            logger.exception("event source mapping %s stopped; it starts again", mapping.uuid)
            await self._clock.sleep(RETRY_S)
        finally:
            keeping.cancel()
        try:
            await self._leases.release(mapping.uuid)
        except ServiceError as error:
            logger.warning("the lease of event source mapping %s ends by itself: %s", mapping.uuid, error)

    def _on_change(self, _uuid: str) -> None:
        self._changed.set()


def _is_same(running: EventSourceMapping, wanted: EventSourceMapping) -> bool:
    """Tags and the moment of a change make no difference to the work."""
    return (running.settings, running.function, running.source_arn) == (
        wanted.settings,
        wanted.function,
        wanted.source_arn,
    )
