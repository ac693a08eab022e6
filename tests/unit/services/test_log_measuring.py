"""What metric filters measure of log events."""

import asyncio
from collections.abc import Sequence

import pytest

from cosset.observe.metrics import Cell
from cosset.observe.ports import LogEvent
from cosset.services.logs.measuring import Measuring
from cosset.services.logs.metric_filter_book import MetricFilter

MINUTE_MS = 60_000


class Kept:
    def __init__(self) -> None:
        self.cells: list[Cell] = []

    async def add(self, cells: Sequence[Cell]) -> None:
        self.cells += cells


def wanting(
    pattern: str, value: str = "1", default: float | None = None, dimensions: tuple[tuple[str, str], ...] = ()
) -> MetricFilter:
    place = ("111111111111", "us-east-1", "g", "f")
    return MetricFilter(*place, pattern, "m", "n", value, default, None, dimensions, 0)


def measured(wanted: MetricFilter, *messages: str, at_ms: int = 0) -> list[tuple[int, float, float]]:
    """Of each cell: its start, how many values, their sum."""
    kept = Kept()
    events = [LogEvent(at_ms + number, message) for number, message in enumerate(messages)]
    asyncio.run(Measuring(kept).measure([(wanted, events)]))
    return [(cell.start_s, cell.values.count, cell.values.total) for cell in kept.cells]


@pytest.mark.parametrize(
    ("wanted", "messages", "sums"),
    [
        (wanting("ERROR"), ["ERROR 1", "well", "ERROR 2"], [(0, 2, 2)]),
        (wanting("ERROR", "2.5"), ["ERROR"], [(0, 1, 2.5)]),
        (wanting("ERROR"), ["well"], []),
        (wanting("ERROR", default=0), ["well", "well"], [(0, 1, 0)]),
        (wanting("ERROR", default=7), ["well", "ERROR"], [(0, 1, 1)]),
        (wanting('{ $.level = "E" }', "$.ms"), ['{"level":"E","ms":12.5}', '{"level":"I","ms":1}'], [(0, 1, 12.5)]),
        (wanting("{ $.ms > 0 }", "$.name"), ['{"name":"x","ms":1}'], []),
        (wanting("{ $.ms > 0 }", "$.ms"), ['{"ms":1e400}', '{"ms":"3"}'], []),
        (wanting("[ip, code=4*, size]", "$size"), ["a 404 10", "b 403 5", "c 200 9", "d 404"], [(0, 2, 15)]),
    ],
)
def test_what_matches_is_measured(
    wanted: MetricFilter, messages: list[str], sums: list[tuple[int, float, float]]
) -> None:
    assert measured(wanted, *messages) == sums


def test_each_event_counts_in_its_own_minute() -> None:
    kept = Kept()
    events = [LogEvent(at_ms, "x") for at_ms in (0, 59_999, MINUTE_MS, 5 * MINUTE_MS)]
    asyncio.run(Measuring(kept).measure([(wanting(""), events)]))
    assert [(cell.start_s, cell.width_s, cell.values.count) for cell in kept.cells] == [
        *((0, 60, 2), (60, 60, 1), (300, 60, 1)),
    ]


def test_dimensions_tell_measurements_apart() -> None:
    kept = Kept()
    wanted = wanting("{ $.ms >= 0 }", "$.ms", dimensions=(("Place", "$.place"),))
    messages = ['{"ms":1,"place":"a"}', '{"ms":2,"place":"b"}', '{"ms":4,"place":"a"}', '{"ms":8}']
    asyncio.run(Measuring(kept).measure([(wanted, [LogEvent(0, message) for message in messages])]))
    assert [(cell.key.dimensions, cell.values.total) for cell in kept.cells] == [
        ((("Place", "a"),), 5),
        ((("Place", "b"),), 2),
    ]
