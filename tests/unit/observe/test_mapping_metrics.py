"""Counts of mappings: added up, written together, kept over a failure, bounded."""

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from cosset.observe.mapping_metrics import MappingMetrics
from cosset.observe.metrics import Cell, Usage, UsageKey
from support.clock import ManualClock

UUID = "00000000-0000-4000-8000-000000000001"


class Sink:
    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.is_full = False

    async def add(self, cells: Sequence[Cell], usage: Iterable[tuple[UsageKey, Usage]] = ()) -> None:
        if self.is_full:
            raise OSError("full")
        self.cells += cells


def test_counts_are_added_up_and_outlive_a_full_disk() -> None:
    async def main() -> None:
        clock, sink = ManualClock(), Sink()
        metrics = MappingMetrics(sink, clock, max_tallies=2)
        metrics.count("1", "r", UUID, "PolledEventCount", 3)
        sink.is_full = True
        with pytest.raises(OSError, match="full"):
            await metrics.flush()
        metrics.count("1", "r", UUID, "PolledEventCount", 2)
        metrics.count("1", "r", UUID, "InvokedEventCount", 1)
        metrics.count("1", "r", UUID, "DroppedEventCount", 1)  # one too many
        sink.is_full = False
        await metrics.flush()
        assert {(cell.key.name, cell.values.total) for cell in sink.cells} == {
            ("PolledEventCount", 5),
            ("InvokedEventCount", 1),
        }
        assert sink.cells[0].key.dimensions == (("EventSourceMappingUUID", UUID),)
        await metrics.flush()
        assert len(sink.cells) == 2

    asyncio.run(main())
