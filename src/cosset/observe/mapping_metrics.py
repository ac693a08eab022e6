"""Counts of event source mappings (`MetricsConfig`) on their way to the store: added up by the minute, written by the
second, in AWS's namespace under the mapping's UUID.

What cannot be written stays and is tried again; at the bound new series are left out, and the log says how many. A
crash loses the last second. Source: AWS Lambda developer guide, "Event source mapping metrics".
"""

import logging

from cosset.clock import Clock
from cosset.observe.function_metrics import NAMESPACE
from cosset.observe.metric_buffer import MetricSink
from cosset.observe.metrics import MINUTE_S, Cell, Distribution, MetricKey

logger = logging.getLogger(__name__)

INTERVAL_S = 1.0
MAX_TALLIES = 10_000


class MappingMetrics:
    """`serve` is the writer; `flush` writes what is there."""

    def __init__(self, sink: MetricSink, clock: Clock, max_tallies: int = MAX_TALLIES) -> None:
        self._sink = sink
        self._clock = clock
        self._max_tallies = max_tallies
        self._tallies: dict[tuple[MetricKey, int], Distribution] = {}
        self._left_out = 0

    def count(self, account: str, region: str, uuid: str, name: str, number: float) -> None:
        """Never waits, and never fails."""
        key = MetricKey(account, region, NAMESPACE, name, (("EventSourceMappingUUID", uuid),))
        place = key, self._clock.now_ms() // (MINUTE_S * 1000) * MINUTE_S
        if place not in self._tallies:
            if len(self._tallies) >= self._max_tallies:
                self._left_out += 1
                return
            self._tallies[place] = Distribution()
        self._tallies[place].add(number)

    async def serve(self) -> None:
        """Runs until it is cancelled."""
        while True:
            await self._clock.sleep(INTERVAL_S)
            try:
                await self.flush()
            except Exception as error:  # noqa: BLE001 - the writer's own task: whatever the store's trouble is, it must live
                logger.error("counts of event source mappings wait: %r", error)

    async def flush(self) -> None:
        """What cannot be written stays, added to what came meanwhile."""
        if self._left_out:
            logger.error("%d counts of event source mappings were left out: there are too many", self._left_out)
            self._left_out = 0
        tallies, self._tallies = self._tallies, {}
        if not tallies:
            return
        cells = [Cell(key, "Count", start_s, MINUTE_S, values) for (key, start_s), values in tallies.items()]
        try:
            await self._sink.add(cells)
        except BaseException:
            for place, values in self._tallies.items():
                tallies.setdefault(place, Distribution()).merge(values)
            self._tallies = tallies
            raise
