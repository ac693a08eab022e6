"""Runs export tasks: each stream becomes PREFIX/TASK/STREAM/000000.gz, lines of a time and a message.

Streams go to S3 as they are read and packed, a page of events at a time in memory. A task that was under way when its
process died is run again from its beginning; its objects have the same names. Source: CloudWatch Logs user guide,
"Exporting log data to Amazon S3".
"""

import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from cosset.clock import Clock
from cosset.invocation.queue_worker import QueueWorker
from cosset.observe.ports import StreamKey
from cosset.services.logs.export_book import ACTIVE, ExportTask, Status, find_task, move_task
from cosset.services.logs.export_ports import BucketRefusedError, ExportBuckets
from cosset.store.database import Store
from cosset.store.log_rows import StoredEvent, StreamRow
from cosset.store.queue import DurableQueue, Message
from cosset.store.segments import SegmentStore
from cosset.store.transaction import Transaction

_STREAMS_AT_ONCE = 50
_GZIP = 16 + zlib.MAX_WBITS


class _CancelledError(Exception):
    """The user wants no more of it."""


class ExportWorker:
    def __init__(
        self,
        store: Store,
        segments: SegmentStore,
        queue: DurableQueue,
        buckets: ExportBuckets,
        clock: Clock,
        *,
        width: int = 4,
    ) -> None:
        self._store = store
        self._segments = segments
        self._queue = queue
        self._buckets = buckets
        self._clock = clock
        self._worker = QueueWorker(store, queue, self._attempt, clock, noun="log export", width=width)
        self.serve = self._worker.serve
        self.stop = self._worker.stop
        self.handle = self._worker.handle

    async def _attempt(self, message: Message) -> None:
        task_id = message.body.decode()
        task = await self._store.write(lambda tx: _begin(tx, task_id))
        if task is None:
            await self._worker.settle(lambda tx: self._queue.delete(tx, message))
            return
        try:
            await self._run(task)
        except BucketRefusedError as error:
            await self._end(message, task, Status.FAILED, str(error))
        except _CancelledError:
            await self._end(message, task, Status.CANCELLED, "Cancelled by the user")
        else:
            await self._end(message, task, Status.COMPLETED, "Completed successfully")

    async def _run(self, task: ExportTask) -> None:
        after: tuple[int, str] | None = None
        while True:
            rows = await self._segments.list_streams(
                task.account,
                task.region,
                task.log_group,
                prefix=task.stream_prefix,
                after=after,
                limit=_STREAMS_AT_ONCE,
            )
            for row in rows:
                await self._check(task)
                await self._export(task, row)
            if len(rows) < _STREAMS_AT_ONCE:
                return
            after = rows[-1].cursor

    async def _export(self, task: ExportTask, row: StreamRow) -> None:
        """Streams without an event in the span get no object."""
        first = await self._page(task, row.name, None)
        if not first:
            return
        key = f"{task.prefix}/{task.id}/{row.name.replace('/', '-')}/000000.gz"
        await self._buckets.put(task.bucket, key, self._packed(task, row.name, first), task.exporter)

    async def _packed(self, task: ExportTask, stream: str, page: list[StoredEvent]) -> AsyncIterator[bytes]:
        packer = zlib.compressobj(wbits=_GZIP)
        while page:
            yield packer.compress("".join(_line(event) for event in page).encode())
            page = await self._page(task, stream, page[-1])
        yield packer.flush()

    async def _page(self, task: ExportTask, stream: str, after: StoredEvent | None) -> list[StoredEvent]:
        key = StreamKey(task.account, task.region, task.log_group, stream)
        events = await self._segments.read_stream(
            key,
            start_ms=task.from_ms,
            end_ms=task.to_ms + 1,
            position=None if after is None else after.position,
        )
        return events or []

    async def _check(self, task: ExportTask) -> None:
        """Raises: _CancelledError."""
        found = await self._store.read(lambda tx: find_task(tx, task.id))
        if found is None or found.status is Status.PENDING_CANCEL:
            raise _CancelledError

    async def _end(self, message: Message, task: ExportTask, status: Status, text: str) -> None:
        def work(tx: Transaction) -> None:
            move_task(tx, task.id, status, text, completed_ms=self._clock.now_ms())
            self._queue.delete(tx, message)

        await self._worker.settle(work)


def _begin(tx: Transaction, task_id: str) -> ExportTask | None:
    """None: there is nothing to do any more."""
    task = find_task(tx, task_id)
    if task is None or task.status not in ACTIVE:
        return None
    if task.status is Status.PENDING:
        move_task(tx, task_id, Status.RUNNING, "Task is running")
    return task


def _line(event: StoredEvent) -> str:
    at = datetime.fromtimestamp(event.timestamp_ms / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{event.timestamp_ms % 1000:03d}Z {event.message}\n"
