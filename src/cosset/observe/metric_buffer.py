"""Measurements of functions on their way to the store: taken at once, added up by the minute, written every second.

Implements `function_metrics.FunctionMeter` and, for other services, `metrics.MetricWriter`. What cannot be written (a
full disk) stays and is tried again; at the bound new series are left out, and the log says how many. A crash loses the
last second at most.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cosset.clock import Clock
from cosset.observe.function_metrics import (
    FREE_STORAGE_MB,
    FunctionMetric,
    MeteredCall,
    Run,
    Scope,
    keys_of,
    usage_key,
)
from cosset.observe.metrics import MINUTE_S, Cell, Distribution, MetricKey, Usage, UsageKey
from cosset.observe.prometheus import Total, Totals

logger = logging.getLogger(__name__)

INTERVAL_S = 1.0
MAX_TALLIES = 10_000
"""Functions as they were called, each with up to twenty metrics."""
MAX_TOTALS = 20_000
FLUSH_S = 30.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.5, 10.0

_Place = tuple[int, MeteredCall]
"""A minute of the epoch, and a function as it was called."""
_Record = tuple[MetricKey, str, int]


class MetricSink(Protocol):
    """Keeps measurements (store/metrics.py)."""

    async def add(self, cells: Sequence[Cell], usage: Iterable[tuple[UsageKey, Usage]] = ()) -> None:
        """Durable on return; all of it or nothing."""
        ...


class MetricsNotDurableError(Exception):
    """Measurements could not be written within the time that a flush waits. They are still tried."""


@dataclass(slots=True)
class _Batch:
    """What is written together."""

    tallies: dict[_Place, dict[FunctionMetric, Distribution]] = field(default_factory=dict)
    records: dict[_Record, Distribution] = field(default_factory=dict)
    usage: dict[UsageKey, Usage] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not (self.tallies or self.records or self.usage)

    def cells(self) -> list[Cell]:
        """Each measurement where it counts: several calls share the function's metric and the account's."""
        taken = {place: values.copy() for place, values in self.records.items()}
        for (minute, call), tally in self.tallies.items():
            for metric, values in tally.items():
                for key in keys_of(call, metric):
                    place = key, metric.unit, minute * MINUTE_S
                    if place in taken:
                        taken[place].merge(values)
                    else:
                        taken[place] = values.copy()
        return [Cell(key, unit, start_s, MINUTE_S, values) for (key, unit, start_s), values in taken.items()]

    def add(self, later: "_Batch") -> None:
        for place, tally in later.tallies.items():
            mine = self.tallies.setdefault(place, {})
            for metric, values in tally.items():
                mine.setdefault(metric, Distribution()).merge(values)
        for record, values in later.records.items():
            self.records.setdefault(record, Distribution()).merge(values)
        for owner, used in later.usage.items():
            self.usage.setdefault(owner, Usage()).add(used)


class MetricBuffer:
    """`start` runs the writer as a task on the running loop; `close` writes what is left and ends it."""

    def __init__(self, sink: MetricSink, clock: Clock, max_tallies: int = MAX_TALLIES) -> None:
        self._sink = sink
        self._clock = clock
        self._max_tallies = max_tallies
        self._batch = _Batch()
        self._totals: dict[tuple[MeteredCall, FunctionMetric], Total] = {}
        self._left_out = 0
        self._month_of: tuple[int, str] = (-1, "")
        self._arrived = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="metric buffer")

    def measure(self, call: MeteredCall, metric: FunctionMetric, value: float = 1.0) -> None:
        self.measure_all(call, ((metric, value),))

    def measure_all(self, call: MeteredCall, measured: Sequence[tuple[FunctionMetric, float]]) -> None:
        """Every invocation comes by: one look-up for all of its measurements."""
        place = self._clock.now_ms() // (MINUTE_S * 1000), call
        tallies = self._batch.tallies
        tally = tallies.get(place)
        if tally is None:
            if len(tallies) >= self._max_tallies:
                self._left_out += len(measured)
                return
            tally = tallies[place] = {}
        for metric, value in measured:
            values = tally.get(metric)
            if values is None:
                values = tally[metric] = Distribution()
            values.add(value)
        if not self._arrived.is_set():
            self._arrived.set()

    def ran(self, call: MeteredCall, run: Run) -> None:
        self.measure_all(
            call,
            (
                (FunctionMetric.INVOCATIONS, 1.0),
                (FunctionMetric.ERRORS, 1.0 if run.is_error else 0.0),
                (FunctionMetric.THROTTLES, 0.0),
                (FunctionMetric.DURATION, round(run.duration_ms, 2)),
            ),
        )
        key = usage_key(call, self._month(), run.architecture)
        usage = self._batch.usage.get(key)
        if usage is None:
            usage = self._batch.usage[key] = Usage()
        usage.requests += 1
        usage.billed_ms += run.billed_ms
        usage.memory_mb_ms += run.billed_ms * run.memory_mb
        usage.storage_mb_ms += run.billed_ms * max(0, run.storage_mb - FREE_STORAGE_MB)

    def record(self, key: MetricKey, unit: str, value: float) -> None:
        """Implements metrics.MetricWriter."""
        place = key, unit, self._clock.now_ms() // (MINUTE_S * 1000) * MINUTE_S
        records = self._batch.records
        values = records.get(place)
        if values is None:
            if len(records) >= self._max_tallies:
                self._left_out += 1
                return
            values = records[place] = Distribution()
        values.add(value)
        self._arrived.set()

    def throttled(self, call: MeteredCall) -> None:
        self.measure(call, FunctionMetric.THROTTLES)

    async def flush(self) -> None:
        """Raises: MetricsNotDurableError."""
        if self._batch.is_empty and not self._writing.locked():
            return
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._write()
        except TimeoutError:
            raise MetricsNotDurableError(f"measurements are not durable after {FLUSH_S} s") from None

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._write()
        except Exception:
            logger.exception("%d measurements could not be written and are lost", len(self._batch.tallies))

    async def _run(self) -> None:
        delay_s = _FIRST_RETRY_S
        while True:
            await self._arrived.wait()
            await self._clock.sleep(INTERVAL_S)
            self._arrived.clear()
            try:
                await self._write()
                delay_s = _FIRST_RETRY_S
            except Exception as error:  # noqa: BLE001 - the buffer's own task: whatever the store's trouble is, it must live
                logger.error("measurements wait %.1f s: %r", delay_s, error)
                self._arrived.set()
                await self._clock.sleep(delay_s)
                delay_s = min(delay_s * 2, _LONGEST_RETRY_S)

    async def _write(self) -> None:
        """Writes what is there. What fails stays, added to what came meanwhile."""
        async with self._writing:
            batch, self._batch = self._batch, _Batch()
            if self._left_out:
                logger.error("%d measurements were left out: the metric buffer was full", self._left_out)
                self._left_out = 0
            if batch.is_empty:
                return
            # Shielded: a commit that was submitted happens, and must not be counted again by whoever comes next.
            writing = asyncio.ensure_future(self._sink.add(batch.cells(), list(batch.usage.items())))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await asyncio.wait((writing,))
                if writing.exception() is not None:
                    self._put_back(batch)
                else:
                    self._add_up(batch.tallies)
                raise
            except BaseException:
                self._put_back(batch)
                raise
            self._add_up(batch.tallies)

    def totals(self) -> Totals:
        """What was written since the start, for Prometheus: the same numbers as CloudWatch's."""
        return self._totals

    def _add_up(self, tallies: dict[_Place, dict[FunctionMetric, Distribution]]) -> None:
        """At the bound new series are left out: CloudWatch has them all the same."""
        for (_, call), tally in tallies.items():
            for metric, values in tally.items():
                owner = MeteredCall(call.account, call.region, "") if metric.scope is Scope.ACCOUNT else call
                total = self._totals.get((owner, metric))
                if total is None:
                    if len(self._totals) >= MAX_TOTALS:
                        continue
                    total = self._totals[owner, metric] = Total()
                total.count += values.count
                total.total += values.total
                total.last = values.highest

    def _put_back(self, batch: "_Batch") -> None:
        batch.add(self._batch)
        self._batch = batch

    def _month(self) -> str:
        hour = self._clock.now_ms() // 3_600_000
        if self._month_of[0] != hour:
            self._month_of = hour, time.strftime("%Y-%m", time.gmtime(hour * 3600))
        return self._month_of[1]
