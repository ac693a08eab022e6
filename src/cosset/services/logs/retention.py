"""Retention: what is older than its group keeps is gone from every answer at once, and from the disk within an hour."""

import asyncio
import logging
from contextlib import suppress

from sqlalchemy import select

from cosset.clock import Clock
from cosset.services.logs.group_book import LogGroup, group_of
from cosset.services.logs.tables import log_groups
from cosset.store.database import Store
from cosset.store.segments import SegmentStore

logger = logging.getLogger(__name__)

_DAY_MS = 24 * 3600 * 1000
_INTERVAL_S = 3600.0


def oldest_kept_ms(group: LogGroup, now_ms: int) -> int:
    """Events before this are expired; 0 where the group keeps everything."""
    return 0 if group.retention_days is None else max(now_ms - group.retention_days * _DAY_MS, 0)


class LogRetention:
    """`start` sweeps now and every hour, as a task on the running loop; `close` ends it."""

    def __init__(self, store: Store, segments: SegmentStore, clock: Clock) -> None:
        self._store = store
        self._segments = segments
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="log retention")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def sweep(self) -> int:
        """Removes what has expired in every group; how many events."""
        query = select(log_groups).where(log_groups.c.retention_days.is_not(None))
        groups = await self._store.read(lambda tx: [group_of(row) for row in tx.execute(query)])
        removed = 0
        for group in groups:
            before_ms = oldest_kept_ms(group, self._clock.now_ms())
            removed += await self._segments.expire(group.account, group.region, group.name, before_ms)
        return removed

    async def _run(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:
                logger.exception("Expired log events could not be removed; trying again in an hour")
            await self._clock.sleep(_INTERVAL_S)
