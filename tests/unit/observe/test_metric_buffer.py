"""Measurements taken, added up where they count, written in the end; what a failing store leaves; Prometheus' text."""

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from cosset.observe.function_metrics import FunctionMetric, MeteredCall, Run
from cosset.observe.metric_buffer import MetricBuffer
from cosset.observe.metrics import MAX_VALUES, Cell, Distribution, MetricKey, Usage, UsageKey
from cosset.observe.prometheus import write_text
from support.clock import ManualClock

CALL = MeteredCall("111111111111", "us-east-1", "f")
RUN = Run(duration_ms=1.5, billed_ms=2, is_error=True, memory_mb=128, storage_mb=1024, architecture="arm64")


class Sink:
    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.usage: dict[UsageKey, Usage] = {}
        self.fails = 0

    async def add(self, cells: Sequence[Cell], usage: Iterable[tuple[UsageKey, Usage]] = ()) -> None:
        await asyncio.sleep(0)
        if self.fails:
            self.fails -= 1
            raise OSError("the disk is full")
        self.cells += cells
        for owner, used in usage:
            self.usage.setdefault(owner, Usage()).add(used)

    def sums(self, name: str) -> dict[tuple[tuple[str, str], ...], float]:
        found: dict[tuple[tuple[str, str], ...], float] = {}
        for cell in self.cells:
            if cell.key.name == name:
                found[cell.key.dimensions] = found.get(cell.key.dimensions, 0.0) + cell.values.total
        return found


def test_a_run_counts_for_account_function_resource_and_version() -> None:
    async def run() -> None:
        sink = Sink()
        buffer = MetricBuffer(sink, ManualClock())
        buffer.ran(MeteredCall("111111111111", "us-east-1", "f", "live", "3"), RUN)
        buffer.ran(CALL, RUN)
        await buffer.flush()
        name = ("FunctionName", "f")
        assert sink.sums("Invocations") == {
            (): 2.0,
            (name,): 2.0,
            (name, ("Resource", "f:live")): 1.0,
            (("ExecutedVersion", "3"), name, ("Resource", "f:live")): 1.0,
            (name, ("Resource", "f")): 1.0,
        }
        assert sink.sums("Errors")[(name,)] == 2.0
        assert sink.sums("Throttles")[(name,)] == 0.0
        [(owner, used)] = sink.usage.items()
        assert (owner.architecture, owner.month) == ("arm64", "2025-11")
        assert used == Usage(requests=2, billed_ms=4, memory_mb_ms=512, storage_mb_ms=2048)

    asyncio.run(run())


def test_the_writer_writes_by_itself_and_tries_again() -> None:
    async def run() -> None:
        sink, clock = Sink(), ManualClock()
        buffer = MetricBuffer(sink, clock)
        buffer.start()
        sink.fails = 1
        buffer.throttled(CALL)
        for _ in range(40):
            await asyncio.sleep(0)
            clock.advance(0.5)
            if sink.cells:
                break
        assert sink.sums("Throttles")[()] == 1.0
        buffer.throttled(CALL)
        await buffer.close()
        assert sink.sums("Throttles")[()] == 2.0

    asyncio.run(run())


def test_what_could_not_be_written_is_counted_once_later() -> None:
    async def run() -> None:
        sink = Sink()
        buffer = MetricBuffer(sink, ManualClock())
        sink.fails = 1
        buffer.ran(CALL, RUN)
        with pytest.raises(OSError, match="disk"):
            await buffer.flush()
        buffer.ran(CALL, RUN)
        await asyncio.gather(*(buffer.flush() for _ in range(5)))
        assert sink.sums("Invocations")[()] == 2.0
        assert [used.requests for used in sink.usage.values()] == [2]

    asyncio.run(run())


def test_other_services_record_under_names_of_their_own() -> None:
    async def run() -> None:
        sink = Sink()
        buffer = MetricBuffer(sink, ManualClock())
        key = MetricKey("111111111111", "us-east-1", "AWS/SQS", "NumberOfMessagesSent", (("QueueName", "q"),))
        sink.fails = 1
        buffer.record(key, "Count", 1.0)
        with pytest.raises(OSError, match="disk"):
            await buffer.flush()
        buffer.record(key, "Count", 1.0)
        await buffer.flush()
        [cell] = sink.cells
        assert (cell.key, cell.unit, cell.values.count) == (key, "Count", 2.0)

    asyncio.run(run())


def test_the_buffer_is_bounded() -> None:
    async def run() -> None:
        sink = Sink()
        buffer = MetricBuffer(sink, ManualClock(), max_tallies=1)
        for name in ("f", "g", "h"):
            buffer.throttled(MeteredCall("111111111111", "us-east-1", name))
        await buffer.flush()
        assert sink.sums("Throttles")[()] == 1.0

    asyncio.run(run())


def test_many_values_are_kept_within_a_hundredth() -> None:
    values = Distribution()
    for number in range(1, 5001):
        values.add(float(number))
    assert (values.count, values.lowest, values.highest) == (5000.0, 1.0, 5000.0)
    assert values.values is not None
    assert len(values.values) <= MAX_VALUES
    assert sum(values.values.values()) == 5000.0
    for scale in (1e-300, 1e300):
        values.add(scale)
        values.add(-scale)
    assert values.values is None or len(values.values) <= MAX_VALUES


@pytest.mark.parametrize("count", [0, 1, 3, MAX_VALUES])
def test_what_is_packed_is_unpacked(count: int) -> None:
    values = Distribution()
    for number in range(count):
        values.add(number * 1.25 - 7, number + 1.0)
    values.add(1e300)
    values.add(5)  # whoever counts gives whole numbers
    packed = values.pack_values()
    assert packed is not None
    assert len(packed) < 1_500
    again = Distribution.unpack(values.count, values.total, values.lowest, values.highest, memoryview(packed))
    assert again.values == values.values


def test_prometheus_reads_the_same_numbers() -> None:
    async def run() -> str:
        buffer = MetricBuffer(Sink(), ManualClock())
        buffer.ran(CALL, RUN)
        buffer.ran(CALL, RUN)
        buffer.measure(CALL, FunctionMetric.ACCOUNT_CONCURRENT_EXECUTIONS, 3.0)
        await buffer.flush()
        return write_text(buffer.totals(), {"process_open_fds": 7.0})

    text = asyncio.run(run()).splitlines()
    labels = '{account="111111111111",region="us-east-1",function="f",resource="f"}'
    assert f"cosset_lambda_invocations_total{labels} 2" in text
    assert f"cosset_lambda_duration_seconds_sum{labels} 0.003" in text
    assert f"cosset_lambda_duration_seconds_count{labels} 2" in text
    assert 'cosset_lambda_account_concurrent_executions{account="111111111111",region="us-east-1"} 3' in text
    assert text.count("# TYPE cosset_lambda_invocations_total counter") == 1
    assert "process_open_fds 7" in text
