"""What metric filters do: of the events that a group takes in, those that match are measured, each in its minute.

A value that is no number is not measured, nor is an event that lacks a dimension. The measurements are durable before
the writer of the events hears that they are kept; one that then tries again is measured again. Source: CloudWatch Logs
user guide, "Creating metrics from log events using filters". Next: metric_filters.py, what may be put.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from cosset.observe.json_pattern import json_value
from cosset.observe.metrics import MINUTE_S, Cell, Distribution, MetricKey, sort_dimensions
from cosset.observe.pattern import compile_reader
from cosset.observe.ports import LogEvent
from cosset.services.logs.metric_filter_book import MetricFilter

NO_UNIT = "None"
_NUMBER = re.compile(r"\s*[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,3})?\s*")
_LONGEST_DIMENSION = 1024
_FieldReader = Callable[[str, Mapping[str, str]], str | None]
"""What a message and what was read of it have for a field."""


class MetricSink(Protocol):
    """`store.metrics.MetricStore`."""

    async def add(self, cells: Sequence[Cell]) -> None: ...


class Measuring:
    def __init__(self, metrics: MetricSink) -> None:
        self._metrics = metrics

    async def measure(self, taken: Iterable[tuple[MetricFilter, Sequence[LogEvent]]]) -> None:
        """Returns when all of it is durable. Raises ServiceError: not now, and then none is."""
        found: dict[tuple[MetricKey, str, int], Distribution] = {}
        for wanted, events in taken:
            for dimensions, minute_s, value in _values(wanted, events):
                key = MetricKey(wanted.account, wanted.region, wanted.namespace, wanted.metric, dimensions)
                place = key, wanted.unit or NO_UNIT, minute_s
                if place not in found:
                    found[place] = Distribution()
                found[place].add(value)
        cells = [Cell(key, unit, at_s, MINUTE_S, values) for (key, unit, at_s), values in found.items()]
        if cells:
            await self._metrics.add(cells)


_Measured = tuple[tuple[tuple[str, str], ...], int, float]


def _values(wanted: MetricFilter, events: Sequence[LogEvent]) -> Iterable[_Measured]:
    read = compile_reader(wanted.pattern)
    value_of = _reader_of(wanted.value)
    dimensions_of = [(name, _reader_of(field)) for name, field in wanted.dimensions]
    quiet: set[int] = set()
    loud: set[int] = set()
    for event in events:
        minute_s = event.timestamp_ms // 60_000 * 60
        fields = read(event.message)
        if fields is None:
            quiet.add(minute_s)
            continue
        loud.add(minute_s)
        value = as_number(value_of(event.message, fields))
        dimensions = _dimensions(dimensions_of, event.message, fields)
        if value is not None and dimensions is not None:
            yield dimensions, minute_s, value
    if wanted.default is not None:
        for minute_s in quiet - loud:
            yield (), minute_s, wanted.default


def _dimensions(
    readers: Sequence[tuple[str, _FieldReader]], message: str, fields: Mapping[str, str]
) -> tuple[tuple[str, str], ...] | None:
    """None: the event lacks one."""
    pairs: list[tuple[str, str]] = []
    for name, read in readers:
        text = read(message, fields)
        if not text or len(text) > _LONGEST_DIMENSION:
            return None
        pairs.append((name, text))
    return sort_dimensions(pairs)


def _reader_of(field: str) -> _FieldReader:
    """What a message has for `$.size`, `$size`, or a number that is always the same."""
    if field.startswith(("$.", "$[")):
        value = json_value(field)
        return lambda message, _: value(message)
    if field.startswith("$"):
        return lambda _, fields: fields.get(field)
    return lambda _, __: field


def as_number(text: str | None) -> float | None:
    if text is None or not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None
