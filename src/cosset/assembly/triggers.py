"""Event source mappings, wired: the sources that there are, and the engine that pulls from them.

Both are imported and made when there is work: a node without a mapping starts as if there were no such thing.
"""

import asyncio
from typing import TYPE_CHECKING

from cosset.assembly.ground import Ground
from cosset.assembly.invocation import DELIVERY_QUEUE, Outward
from cosset.clock import Clock
from cosset.functions.registry import Functions
from cosset.invocation.deliveries import Deliveries
from cosset.invocation.dispatcher import Dispatcher
from cosset.observe.function_metrics import FunctionMeter, FunctionMetric, MeteredCall
from cosset.observe.mapping_metrics import MappingMetrics
from cosset.store.queue import DurableQueue
from cosset.triggers import records
from cosset.triggers.metrics import ITERATOR_AGE
from cosset.triggers.model import EventSourceMapping
from cosset.triggers.sources import EventSource, EventSources

if TYPE_CHECKING:
    from cosset.triggers.engine import TriggerEngine


def make_sources(ground: Ground, clock: Clock) -> EventSources:
    def make_queues() -> EventSource:
        from cosset.services.sqs.event_source import QueueEventSource
        from cosset.services.sqs.queues import Queues

        return QueueEventSource(Queues(ground.store, clock))

    sources = EventSources()
    sources.serve_late("sqs", make_queues)
    return sources


class Triggers:
    """The engine of a node, from the first mapping on."""

    def __init__(
        self,
        ground: Ground,
        sources: EventSources,
        functions: Functions,
        dispatcher: Dispatcher,
        outward: Outward,
        clock: Clock,
    ) -> None:
        self._ground = ground
        self._sources = sources
        self._functions = functions
        self._dispatcher = dispatcher
        self._outward = outward
        self._clock = clock
        self._engine: TriggerEngine | None = None
        self._is_stopping = False
        self._changed = asyncio.Event()
        ground.store.on_change(records.TOPIC, lambda _: self._changed.set())

    async def serve(self) -> None:
        """Runs until it is cancelled, after `stop`."""
        if not await self._ground.store.read(records.has_any):
            await self._changed.wait()
        if not self._is_stopping:
            counts = MappingMetrics(self._ground.metrics, self._clock)
            self._engine = self._make(counts)
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(counts.serve(), name="mapping-counts")
                await self._engine.serve()
                writing.cancel()
            await counts.flush()

    async def stop(self, timeout_s: float) -> None:
        """Fetches nothing more; waits for the batches under way, at most this long."""
        self._is_stopping = True
        if self._engine is not None:
            await self._engine.stop(timeout_s)

    def _make(self, counts: MappingMetrics) -> "TriggerEngine":
        from cosset.triggers.engine import Surroundings, TriggerEngine

        ground = self._ground
        around = Surroundings(
            store=ground.store,
            sources=self._sources,
            targets=self._functions,
            run=self._dispatcher.invoke,
            rights=self._outward.rights,
            outbox=Deliveries(DurableQueue(ground.store, DELIVERY_QUEUE, self._clock)),
            logs=ground.logs,
            clock=self._clock,
            metrics=MappingMeter(ground.meter, counts),
        )
        return TriggerEngine(around)


class MappingMeter:
    """Implements triggers.metrics.TriggerMetrics: ages are the function's, counts of events the mapping's."""

    def __init__(self, meter: FunctionMeter, counts: MappingMetrics) -> None:
        self._meter = meter
        self._counts = counts

    def record(self, mapping: EventSourceMapping, name: str, value: float) -> None:
        if name == ITERATOR_AGE:
            function = mapping.function
            call = MeteredCall(function.key.account, function.key.region, function.key.name, function.qualifier)
            self._meter.measure(call, FunctionMetric.ITERATOR_AGE, value)
        else:
            self._counts.count(mapping.account, mapping.region, mapping.uuid, name, value)
