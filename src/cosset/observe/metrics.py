"""Measurements on their way to the store: what a metric is called, what is kept of its values, and the port.

Pure. What is counted often is a named tuple: it is hashed at every measurement. Rooms that measure functions talk to
`function_metrics.py`; PutMetricData to the store, since its caller waits. Read next: metric_buffer.py, then
store/metrics.py.
"""

import json
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

_write_values = json.JSONEncoder(separators=(",", ":")).encode
MAX_VALUES = 200
"""Distinct values that are kept of one metric in one period; beyond, near ones are taken together."""
MINUTE_S = 60
_PLAIN_BYTES = 256
_RATIOS = (1.01, 1.02, 1.05, 1.1, 1.25, 1.5, 2.0, 4.0, 16.0)


class MetricKey(NamedTuple):
    """One metric. `dimensions` are pairs of name and value, in order of the names (`sort_dimensions`)."""

    account: str
    region: str
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()


def sort_dimensions(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pairs))


class Distribution:
    """What is kept of the values of one metric in one period: their statistics, and how often each value came.

    `values` is None where only statistics were given (a StatisticSet): then there are no percentiles. Of more than
    MAX_VALUES distinct values near ones count as one, first within one hundredth: percentiles are as exact as that.
    """

    __slots__ = ("count", "highest", "lowest", "total", "values")

    def __init__(self) -> None:
        self.count = 0.0
        self.total = 0.0
        self.lowest = math.inf
        self.highest = -math.inf
        self.values: dict[float, float] | None = {}

    @classmethod
    def of(cls, value: float, times: float = 1.0) -> "Distribution":
        made = cls()
        made.add(value, times)
        return made

    @classmethod
    def of_statistics(cls, count: float, total: float, lowest: float, highest: float) -> "Distribution":
        """Of a StatisticSet: its values are known where they are all the same."""
        made = cls()
        made.count, made.total, made.lowest, made.highest = count, total, lowest, highest
        if lowest != highest:
            made.values = None
        elif count:
            made.values = {lowest: count}
        return made

    def add(self, value: float, times: float = 1.0) -> None:
        self.count += times
        self.total += value * times
        if value < self.lowest:
            self.lowest = value
        if value > self.highest:
            self.highest = value
        if self.values is not None:
            self.values[value] = self.values.get(value, 0.0) + times
            if len(self.values) > MAX_VALUES:
                self.values = _coarser(self.values, self.lowest, self.highest)

    def merge(self, other: "Distribution") -> None:
        self.count += other.count
        self.total += other.total
        self.lowest = min(self.lowest, other.lowest)
        self.highest = max(self.highest, other.highest)
        if self.values is None or other.values is None:
            self.values = None
            return
        for value, times in other.values.items():
            self.values[value] = self.values.get(value, 0.0) + times
        if len(self.values) > MAX_VALUES:
            self.values = _coarser(self.values, self.lowest, self.highest)

    def copy(self) -> "Distribution":
        made = Distribution()
        made.merge(self)
        return made

    def pack_values(self) -> bytes | None:
        """JSON, `[values, counts]`, and where it is long compressed: a busy function has such a row every minute."""
        if self.values is None:
            return None
        ordered = sorted(self.values.items())
        lists = [[_plain(value) for value, _ in ordered], [_plain(times) for _, times in ordered]]
        text = _write_values(lists).encode()
        return text if len(text) <= _PLAIN_BYTES else zlib.compress(text, level=1)

    @classmethod
    def unpack(cls, count: float, total: float, lowest: float, highest: float, values: Any) -> "Distribution":
        made = cls()
        made.count, made.total, made.lowest, made.highest = count, total, lowest, highest
        made.values = None if values is None else _unpack_values(bytes(values))
        return made


def _plain(number: float) -> int | float:
    """Whole numbers are shorter without their point; beyond 2 ** 53 they would be longer."""
    return int(number) if abs(number) < 2**53 and number == int(number) else number


def _unpack_values(packed: bytes) -> dict[float, float]:
    text = packed if packed.startswith(b"[") else zlib.decompress(packed)
    values, counts = json.loads(text)
    return {float(value): float(times) for value, times in zip(values, counts, strict=True)}


class Cell(NamedTuple):
    """The values of one metric, in one unit, in one period: `width_s` seconds from `start_s` (epoch)."""

    key: MetricKey
    unit: str
    start_s: int
    width_s: int
    values: Distribution


class MetricWriter(Protocol):
    """Takes what other services measure of themselves (AWS/SQS, AWS/SNS ...). Behind it is metric_buffer.py, and what
    is said of a FunctionMeter holds here too: never waits, never fails, written every second."""

    def record(self, key: MetricKey, unit: str, value: float) -> None:
        """One value, now."""
        ...


class UsageKey(NamedTuple):
    """Whose bill: one function in one month (`2026-11`) on one architecture."""

    account: str
    region: str
    function_name: str
    month: str
    architecture: str


@dataclass(slots=True)
class Usage:
    """What Lambda would bill. Whole numbers, so that sums stay exact: `memory_mb_ms` is the billed duration times the
    memory; `storage_mb_ms` the same of /tmp beyond its first 512 MB, which are free."""

    requests: int = 0
    billed_ms: int = 0
    memory_mb_ms: int = 0
    storage_mb_ms: int = 0

    def add(self, other: "Usage") -> None:
        self.requests += other.requests
        self.billed_ms += other.billed_ms
        self.memory_mb_ms += other.memory_mb_ms
        self.storage_mb_ms += other.storage_mb_ms


def _coarser(values: dict[float, float], lowest: float, highest: float) -> dict[float, float]:
    """Half as many at most, so that what follows need not do it again at once."""
    for ratio in _RATIOS:
        step = math.log(ratio)
        taken: dict[float, float] = {}
        for value, times in values.items():
            near = value
            if value and math.isfinite(value):
                near = math.copysign(math.exp(round(math.log(abs(value)) / step) * step), value)
                near = min(max(near, lowest), highest)
            taken[near] = taken.get(near, 0.0) + times
        if len(taken) <= MAX_VALUES // 2:
            return taken
    # Values of every order of magnitude: what lies between the ends is put in the middle.
    return {lowest: 1.0, highest: sum(values.values()) - 1.0}
