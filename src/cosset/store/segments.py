"""Log events: append-only segments of their own, apart from the main database, with retention.

It knows streams and events, not log groups: what a group is (its retention, its tags) is a row of the Logs service.
One file per day of event time makes what is old cheap to drop. Next: `log_rows.py` says what it answers; then
`segment_writer.py`, `segment_reader.py`.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from cosset.clock import Clock
from cosset.observe.ports import LogEvent, StreamKey
from cosset.store.disk import DiskWatch
from cosset.store.errors import StoreError
from cosset.store.folder_lock import FolderLock
from cosset.store.group_commit import GroupCommitter
from cosset.store.log_rows import Position, Scan, StoredEvent, StreamRow
from cosset.store.segment_files import DAY_MS, LAST_MS, SegmentFiles
from cosset.store.segment_reader import SegmentReader, Span
from cosset.store.segment_writer import SegmentWriter, Task
from cosset.store.sqlite_files import explain
from cosset.store.threads import BoundedThreads
from cosset.wire.errors import ServiceError

T = TypeVar("T")
logger = logging.getLogger(__name__)

MAX_EVENTS = 10_000
MAX_BYTES = 1024 * 1024


class SegmentStore:
    """Every method may be called from the event loop: files are touched on threads only."""

    def __init__(self, files: SegmentFiles, writer: SegmentWriter, lock: FolderLock, clock: Clock) -> None:
        self._files = files
        self._writer = writer
        self._lock = lock
        self._clock = clock
        self._committer = GroupCommitter("log-write", writer.commit)
        self._threads = BoundedThreads("log-read", 2)
        self._own = threading.local()
        self._readers: list[SegmentReader] = []
        self._sweep_wanted = asyncio.Event()
        self._sweep_wanted.set()
        self._sweeper = asyncio.create_task(self._sweep_deleted(), name="log-sweeper")

    @classmethod
    async def open(cls, folder: Path, clock: Clock, *, min_free_mb: int = 0) -> "SegmentStore":
        """Raises StoreError: in use by another process, read-only, damaged, written by a newer Cosset."""
        files, writer, lock = await asyncio.to_thread(_open, folder, min_free_mb)
        return cls(files, writer, lock, clock)

    async def append(self, batch: Sequence[tuple[StreamKey, Sequence[LogEvent]]]) -> Sequence[int]:
        """Durable on return. A stream that is not there is made. Raises DiskFullError, OverloadedError: nothing kept.

        Events of a stream are numbered as they stand (`Position.seq`); the numbers of each stream's first.
        `ingested_ms` 0 means now; within a stream it is never before that of an earlier event.
        """
        encoded = [(key, [_encode(event) for event in events]) for key, events in batch]
        now = self._clock.now_ms()
        return await self._write(lambda writer: writer.append(now, encoded), grows=True)

    async def create_stream(self, key: StreamKey) -> bool:
        """An empty stream. False: it is there already."""
        now = self._clock.now_ms()
        return await self._write(lambda writer: writer.create_stream(key, now), grows=True)

    async def delete_stream(self, key: StreamKey) -> bool:
        """Gone on return; its events' space follows. False: there was none."""
        found = await self._write(lambda writer: writer.delete_stream(key))
        self._sweep_wanted.set()
        return found

    async def delete_group(self, account: str, region: str, group: str) -> bool:
        """All its streams, gone on return; their events' space follows. False: nothing was ever written to it."""
        found = await self._write(lambda writer: writer.delete_group(account, region, group))
        self._sweep_wanted.set()
        return found

    async def expire(self, account: str, region: str, group: str, before_ms: int) -> int:
        """Removes the group's events older than `before_ms`, a few at a time between others' writes; how many."""
        group_id = await self._write(lambda writer: writer.group_id(account, region, group))
        if group_id is None:
            return 0
        return await self._sweep("group_id", group_id, before_ms)

    async def get_stream(self, key: StreamKey) -> StreamRow | None:
        return await self._read(lambda reader: reader.get_stream(key))

    async def list_streams(
        self,
        account: str,
        region: str,
        group: str,
        *,
        prefix: str = "",
        by_last_event: bool = False,
        descending: bool = False,
        after: tuple[int, str] | None = None,
        limit: int = 50,
    ) -> list[StreamRow]:
        """Streams in order of name or of last event. `after` is the `cursor` of the last one already seen."""
        place = (account, region, group)
        return await self._read(
            lambda reader: reader.list_streams(place, prefix, by_last_event, descending, after, limit)
        )

    async def stored_bytes(self, account: str, region: str, groups: Collection[str]) -> dict[str, int]:
        """Bytes kept for each of the groups: 0 for one that nothing was written to."""
        return await self._read(lambda reader: reader.stored_bytes(account, region, groups))

    async def read_stream(
        self,
        key: StreamKey,
        *,
        start_ms: int = 0,
        end_ms: int = LAST_MS,
        position: Position | None = None,
        backward: bool = False,
        limit: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
    ) -> list[StoredEvent] | None:
        """Events with start <= timestamp < end, oldest first. None: no such stream.

        Forward: the first ones after `position`. Backward: the last ones before it (or before the end), still given
        oldest first. To page on, pass the `position` of the last (forward) or first (backward) event.
        """
        span = Span.within(start_ms, end_ms, position, min(limit, MAX_EVENTS), max_bytes, backward)
        return await self._read(lambda reader: reader.read_stream(key, span))

    async def scan(
        self,
        account: str,
        region: str,
        group: str,
        *,
        streams: Collection[str] | None = None,
        prefix: str = "",
        start_ms: int = 0,
        end_ms: int = LAST_MS,
        position: Position | None = None,
        limit: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
    ) -> Scan:
        """Events of a group, of the named streams, or of those with the prefix, with start <= timestamp < end, by time.

        Looks at up to `limit` events, so a page may be empty: go on from `resume` until it is None.
        """
        span = Span.within(start_ms, end_ms, position, min(limit, MAX_EVENTS), max_bytes)
        return await self._read(lambda reader: reader.scan((account, region, group), streams, prefix, span))

    async def close(self) -> None:
        """Finishes what was submitted. What was deleted and not yet swept is swept after the next open."""
        self._sweeper.cancel()
        with suppress(asyncio.CancelledError):
            await self._sweeper
        await self._committer.close()
        await self._threads.close()
        for reader in self._readers:
            reader.close()
        await asyncio.to_thread(self._writer.close)
        self._lock.release()

    async def _write(self, run: Callable[[SegmentWriter], T], *, grows: bool = False) -> T:
        return cast(T, await self._committer.submit(Task(run, grows)))

    async def _read(self, fn: Callable[[SegmentReader], T]) -> T:
        return await self._threads.run(lambda: self._read_here(fn))

    def _read_here(self, fn: Callable[[SegmentReader], T]) -> T:
        reader: SegmentReader | None = getattr(self._own, "reader", None)
        if reader is None:
            reader = self._own.reader = SegmentReader(self._files)
            self._readers.append(reader)
        try:
            return fn(reader.reading())
        except sqlite3.Error as error:
            raise explain(error, self._files.folder / "index.db") from error
        finally:
            reader.done()

    async def _sweep_deleted(self) -> None:
        while True:
            await self._sweep_wanted.wait()
            self._sweep_wanted.clear()
            try:
                for removal_id, group_id, stream_id in await self._write(lambda writer: writer.removals()):
                    column, owner_id = ("stream_id", stream_id) if group_id is None else ("group_id", group_id)
                    await self._sweep(column, owner_id or 0, None)
                    await self._write(partial(SegmentWriter.removed, removal_id=removal_id))
            except (StoreError, ServiceError, sqlite3.Error):
                logger.exception("deleted log events could not be swept; trying again in a minute")
                await self._clock.sleep(60)
                self._sweep_wanted.set()

    async def _sweep(self, column: str, owner_id: int, before_ms: int | None) -> int:
        swept = 0
        for day in await asyncio.to_thread(self._files.days):
            if before_ms is not None and day * DAY_MS >= before_ms:
                break
            sweep = partial(SegmentWriter.sweep, day=day, column=column, owner_id=owner_id, before_ms=before_ms)
            while removed := await self._write(sweep):
                swept += removed
                await self._write(partial(SegmentWriter.vacuum, day=day))
        return swept


def _open(folder: Path, min_free_mb: int) -> tuple[SegmentFiles, SegmentWriter, FolderLock]:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"Cannot make the log folder {folder}: {error.strerror}.") from error
    lock = FolderLock(folder)
    try:
        files = SegmentFiles(folder)
        return files, SegmentWriter(files, DiskWatch(folder, min_free_mb)), lock
    except sqlite3.Error as error:
        lock.release()
        raise explain(error, folder / "index.db") from error
    except StoreError:
        lock.release()
        raise


def _encode(event: LogEvent) -> tuple[int, int, bytes]:
    if not 0 <= event.timestamp_ms < LAST_MS:
        raise ValueError(f"no time of a log event: {event.timestamp_ms}")
    # What JSON can carry must be kept: a lone surrogate is no UTF-8, but it is a Python string.
    return event.timestamp_ms, event.ingested_ms, event.message.encode("utf-8", "surrogatepass")
