"""Export tasks over a real store and a bucket in memory: one at a time, cancelled, run again after a crash."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cosset.observe.ports import LogEvent, StreamKey
from cosset.services.logs.export_ports import BucketRefusedError, Exporter
from cosset.services.logs.export_tasks import LogExports
from cosset.services.logs.export_worker import ExportWorker
from cosset.services.logs.service import logs_service
from cosset.store.database import Store
from cosset.store.queue import DurableQueue, Message
from cosset.store.segments import SegmentStore
from cosset.wire.errors import ServiceError
from support.caller import ACCOUNT, Caller
from support.clock import ManualClock
from support.log_followers import Unfollowed

GROUP = "group"


@dataclass
class Bucket:
    """ExportBuckets in memory. `before` runs before each object is put."""

    objects: dict[str, bytes] = field(default_factory=dict)
    before: Callable[[], Awaitable[Any]] | None = None
    refuses: bool = False

    async def check(self, bucket: str, prefix: str, exporter: Exporter) -> None:
        return

    async def put(self, bucket: str, key: str, body: Any, exporter: Exporter) -> None:
        if self.refuses:
            raise BucketRefusedError("no")
        if self.before is not None:
            await self.before()
        self.objects[key] = body if isinstance(body, bytes) else b"".join([chunk async for chunk in body])


@dataclass
class Bench:
    segments: SegmentStore
    clock: ManualClock
    queue: DurableQueue
    bucket: Bucket
    worker: ExportWorker
    call: Caller

    async def fill(self, stream: str, count: int) -> None:
        now_ms = self.clock.now_ms()
        events = [LogEvent(now_ms + number, f"{stream} {number}") for number in range(count)]
        await self.segments.append([(StreamKey(ACCOUNT, "us-east-1", GROUP, stream), events)])

    async def export(self, **more: Any) -> str:
        now_ms = self.clock.now_ms()
        span = {"from": now_ms, "to": now_ms + 3_600_000, **more}
        made = await self.call("CreateExportTask", logGroupName=GROUP, destination="b", **span)
        return str(made["taskId"])

    async def take(self) -> Message:
        (message,) = await self.queue.receive(limit=1, lease_ms=60_000)
        return message

    async def status(self, task_id: str) -> str:
        (task,) = (await self.call("DescribeExportTasks", taskId=task_id))["exportTasks"]
        return str(task["status"]["code"])


@asynccontextmanager
async def bench_in(folder: Path) -> AsyncIterator[Bench]:
    clock = ManualClock()
    store = await Store.open(data=folder / "data", database=None, clock=clock, min_free_mb=0)
    segments = await SegmentStore.open(folder / "logs", clock)
    queue, bucket = DurableQueue(store, "log-exports", clock), Bucket()
    exports = LogExports(store, queue, bucket, clock)
    service = logs_service(store, segments, Unfollowed(), Unfollowed(), clock, exports)
    worker = ExportWorker(store, segments, queue, bucket, clock)
    try:
        bench = Bench(segments, clock, queue, bucket, worker, Caller(service))
        await bench.call("CreateLogGroup", logGroupName=GROUP)
        yield bench
    finally:
        await segments.close()
        await store.close()


def run(folder: Path, test: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        async with bench_in(folder) as bench:
            await test(bench)

    asyncio.run(main())


def test_a_long_stream_and_the_span(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.fill("long", 25_000)
        now_ms = bench.clock.now_ms()
        task = await bench.export(to=now_ms + 20_499)
        await bench.worker.handle(await bench.take())
        assert await bench.status(task) == "COMPLETED"
        (body,) = bench.bucket.objects.values()
        lines = gzip.decompress(body).decode().splitlines()
        assert [int(line.rpartition(" ")[2]) for line in lines] == list(range(20_500))

    run(tmp_path, test)


def test_one_at_a_time(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        first = await bench.export()
        with pytest.raises(ServiceError, match="Resource limit exceeded"):
            await bench.export()
        await bench.call("CancelExportTask", taskId=first)
        assert await bench.status(first) == "CANCELLED"
        second = await bench.export()
        bench.clock.advance(1)
        await bench.worker.handle(await bench.take())
        assert (await bench.status(first), await bench.status(second)) == ("CANCELLED", "PENDING")
        with pytest.raises(ServiceError, match="already finished"):
            await bench.call("CancelExportTask", taskId=first)

    run(tmp_path, test)


def test_cancelled_between_two_streams(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.fill("a", 1)
        await bench.fill("b", 1)
        task = await bench.export()

        async def cancel() -> None:
            await bench.call("CancelExportTask", taskId=task)
            assert await bench.status(task) == "PENDING_CANCEL"

        bench.bucket.before = cancel
        await bench.worker.handle(await bench.take())
        assert await bench.status(task) == "CANCELLED"
        assert list(bench.bucket.objects) == [f"exportedlogs/{task}/a/000000.gz"]

    run(tmp_path, test)


def test_run_again_after_a_crash_under_the_same_names(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.fill("a", 1)
        await bench.fill("b/c", 1)
        task = await bench.export()

        async def crash() -> None:
            if bench.bucket.objects:
                raise ServiceError("ServiceUnavailable", "the process is gone", status=503)

        bench.bucket.before = crash
        await bench.worker.handle(await bench.take())
        assert await bench.status(task) == "RUNNING"
        bench.bucket.before = None
        bench.clock.advance(61)
        await bench.worker.handle(await bench.take())
        assert await bench.status(task) == "COMPLETED"
        assert sorted(bench.bucket.objects) == [
            f"exportedlogs/{task}/a/000000.gz",
            f"exportedlogs/{task}/b-c/000000.gz",
        ]
        assert await bench.queue.count() == 0

    run(tmp_path, test)


def test_a_bucket_that_shuts_meanwhile(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.fill("a", 1)
        task = await bench.export()
        bench.bucket.refuses = True
        await bench.worker.handle(await bench.take())
        assert await bench.status(task) == "FAILED"

    run(tmp_path, test)


def test_pages_of_tasks(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        made = []
        for _ in range(5):
            made.append(await bench.export())
            await bench.call("CancelExportTask", taskId=made[-1])
            bench.clock.advance(1)
        seen: list[str] = []
        more: dict[str, Any] = {}
        while True:
            page = await bench.call("DescribeExportTasks", limit=2, **more)
            seen += [task["taskId"] for task in page["exportTasks"]]
            if "nextToken" not in page:
                break
            more = {"nextToken": page["nextToken"]}
        assert seen == made[::-1]

    run(tmp_path, test)
