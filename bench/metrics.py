"""What measuring costs: one run of a function, one flush of a hundred functions, one read.

Usage: python bench/metrics.py
"""

import asyncio
import tempfile
import time
from pathlib import Path

from cosset.clock import SystemClock
from cosset.observe.function_metrics import FunctionMetric, MeteredCall, Run, keys_of
from cosset.observe.metric_buffer import MetricBuffer
from cosset.store.database import Store
from cosset.store.metrics import MetricStore

RUNS = 100_000
FUNCTIONS = 100
RUN = Run(duration_ms=1.5, billed_ms=2, is_error=False, memory_mb=128, storage_mb=512, architecture="x86_64")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(data=Path(folder) / "data", database=None, clock=SystemClock())
        metrics = MetricStore(store, SystemClock())
        buffer = MetricBuffer(metrics, SystemClock())
        calls = [MeteredCall("111111111111", "us-east-1", f"f{number}") for number in range(FUNCTIONS)]
        began = time.perf_counter()
        for number in range(RUNS):
            buffer.ran(calls[number % FUNCTIONS], RUN)
        print(f"one run: {(time.perf_counter() - began) / RUNS * 1e6:.1f} us")
        for name in ("first", "next"):
            buffer.ran(calls[0], RUN)
            for call in calls:
                buffer.ran(call, RUN)
            began = time.perf_counter()
            await buffer.flush()
            print(f"the {name} flush of {FUNCTIONS} functions: {(time.perf_counter() - began) * 1e3:.0f} ms")
        key = next(keys_of(calls[0], FunctionMetric.INVOCATIONS))
        began = time.perf_counter()
        for _ in range(100):
            await metrics.points(key, 0, 2**40)
        print(f"one read: {(time.perf_counter() - began) * 10:.2f} ms")
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
