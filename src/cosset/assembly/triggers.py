"""Event source mappings, wired: the sources that there are, and the engine that pulls from them.

Both are imported and made when there is work: a node without a mapping starts as if there were no such thing.
"""

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import select

from cosset.assembly.ground import Ground
from cosset.assembly.invocation import DELIVERY_QUEUE, Outward
from cosset.clock import Clock
from cosset.functions.registry import Functions
from cosset.invocation.deliveries import Deliveries
from cosset.invocation.dispatcher import Dispatcher
from cosset.store.queue import DurableQueue
from cosset.triggers.tables import TOPIC, event_source_mappings

if TYPE_CHECKING:
    from cosset.observe.mapping_metrics import MappingMetrics
    from cosset.triggers.engine import TriggerEngine
    from cosset.triggers.sources import EventSource, EventSources


class Triggers:
    """The sources of a node, and its engine from the first mapping on."""

    def __init__(
        self,
        ground: Ground,
        functions: Functions,
        dispatcher: Dispatcher,
        outward: Outward,
        clock: Clock,
    ) -> None:
        self._ground = ground
        self._functions = functions
        self._dispatcher = dispatcher
        self._outward = outward
        self._clock = clock
        self._engine: TriggerEngine | None = None
        self._is_stopping = False
        self._changed = asyncio.Event()
        ground.store.on_change(TOPIC, lambda _: self._changed.set())

    @cached_property
    def sources(self) -> "EventSources":
        """For whoever maps them, and for the engine."""
        from cosset.triggers.sources import EventSources

        def make_queues() -> "EventSource":
            from cosset.services.sqs.event_source import QueueEventSource

            return QueueEventSource(self._ground.queues.there)

        sources = EventSources()
        sources.serve_late("sqs", make_queues)
        return sources

    async def serve(self) -> None:
        """Runs until it is cancelled, after `stop`."""
        any_mapping = select(event_source_mappings.c.uuid).limit(1)
        if await self._ground.store.read(lambda tx: tx.execute(any_mapping).first()) is None:
            await self._changed.wait()
        if not self._is_stopping:
            from cosset.observe.mapping_metrics import MappingMetrics

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

    def _make(self, counts: "MappingMetrics") -> "TriggerEngine":
        from cosset.assembly.mapping_meter import MappingMeter
        from cosset.triggers.engine import Surroundings, TriggerEngine

        ground = self._ground
        around = Surroundings(
            store=ground.store,
            sources=self.sources,
            targets=self._functions,
            run=self._dispatcher.invoke,
            rights=self._outward.rights,
            outbox=Deliveries(DurableQueue(ground.store, DELIVERY_QUEUE, self._clock)),
            logs=ground.logs,
            clock=self._clock,
            metrics=MappingMeter(ground.meter, counts),
            causes=ground.causes,
        )
        return TriggerEngine(around)
