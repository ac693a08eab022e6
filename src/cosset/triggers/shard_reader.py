"""One shard of a log, read in order for one mapping, from its checkpoint on.

Records that filters take go to lanes by their keys, a bounded way ahead of what is done; the checkpoint follows the
oldest that is not. Read next: lanes.py, shard_delivery.py.
"""

import asyncio
import zlib
from collections.abc import Callable, Sequence

from cosset.clock import Clock
from cosset.invocation.destinations import Delivery
from cosset.triggers import metrics
from cosset.triggers.calls import Caller
from cosset.triggers.checkpoints import Checkpoint, Checkpoints
from cosset.triggers.filters import Criteria
from cosset.triggers.frontier import Frontier
from cosset.triggers.lanes import Lane
from cosset.triggers.metrics import Counts
from cosset.triggers.model import EventSourceMapping
from cosset.triggers.progress import Progress
from cosset.triggers.shard_delivery import ShardDelivery, ShardWork, StoppedError
from cosset.triggers.sources import LogSource, Record
from cosset.triggers.windowed_lane import WindowedLane
from cosset.waiting import Signal, first_of
from cosset.wire.errors import ServiceError

READ = 1000
"""Most records of one read."""
WAIT_S = 20.0
TROUBLE_S = 1.0
TROUBLE_MOST_S = 30.0


class ShardReader:
    """Reads until the shard ends, or until `stop`."""

    def __init__(
        self,
        mapping: EventSourceMapping,
        source: LogSource,
        shard_id: str,
        checkpoint: Checkpoint,
        caller: Caller,
        progress: Progress,
        counts: Counts,
        checkpoints: Checkpoints,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        settings = mapping.settings
        self._arn = mapping.source_arn
        self._source = source
        self._shard_id = shard_id
        self._caller = caller
        self._progress = progress
        self._counts = counts
        self._checkpoints = checkpoints
        self._clock = clock
        self._criteria = Criteria.compile(settings.filters or ())
        self._frontier = Frontier(checkpoint.position)
        self._positions: dict[str, str] = {}
        self._window = checkpoint.window
        self._stopping = asyncio.Event()
        self._passed = Signal()
        self._saving = asyncio.Lock()
        work = ShardWork(
            mapping=mapping,
            info_key=source.info_key,
            shard_id=shard_id,
            caller=caller,
            progress=progress,
            counts=counts,
            clock=clock,
            pause=self._pause,
            done=self._done,
            new_id=new_id,
        )
        self._lanes: list[Lane | WindowedLane]
        if settings.tumbling_window_s:
            # The state of a window is the shard's: it has one lane.
            self._lanes = [WindowedLane(work, self._window, self._keep_window)]
        else:
            deliver = ShardDelivery(work).deliver
            self._lanes = [Lane(settings, deliver, clock) for _ in range(settings.parallelization or 1)]
        self._ahead = 2 * len(self._lanes) * (settings.batch_size or 1)

    async def run(self) -> bool:
        """Whether the shard has been read to its end. Raises: LeaseLostError, ServiceError."""
        running = [asyncio.ensure_future(lane.run()) for lane in self._lanes]
        try:
            reading = asyncio.ensure_future(self._read())
            await asyncio.wait([reading, *running], return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                self._stopping.set()
            has_ended = await reading
            for lane in self._lanes:
                lane.close() if has_ended else lane.abandon()
            for result in await asyncio.gather(*running, return_exceptions=True):
                if isinstance(result, StoppedError):
                    has_ended = False
                elif isinstance(result, BaseException):
                    raise result
        finally:
            for task in running:
                task.cancel()
        if has_ended:
            await self._save((), ended=True)
        return has_ended

    def stop(self) -> None:
        """Reads no more; what the function has ends."""
        self._stopping.set()

    async def _read(self) -> bool:
        """Whether the end was reached."""
        position, trouble_s = self._frontier.reached, TROUBLE_S
        while not self._stopping.is_set():
            try:
                trouble = await self._caller.problem()
                if not trouble:
                    trouble_s = TROUBLE_S
                    room = self._ahead - self._frontier.outstanding
                    if room <= 0:
                        await first_of(self._passed.wait(), self._stopping.wait())
                        continue
                    page = await self._source.read(
                        self._arn,
                        self._shard_id,
                        after=position,
                        limit=min(READ, room),
                        role=await self._caller.role(),
                    )
                    position = page.position
                    if page.records:
                        await self._take(page.records, page.positions)
                    elif page.is_end:
                        return True
                    else:
                        more = self._source.wait(self._arn, self._shard_id, after=position, timeout_s=WAIT_S)
                        await first_of(more, self._stopping.wait())
                    continue
            except ServiceError as error:
                trouble = f"PROBLEM: {error.message}"
            await self._progress.say(trouble)
            await first_of(self._stopping.wait(), self._clock.sleep(trouble_s))
            trouble_s = min(trouble_s * 2, TROUBLE_MOST_S)
        return False

    async def _take(self, records: Sequence[Record], positions: Sequence[str]) -> None:
        self._counts.count(metrics.POLLED, len(records))
        dropped: list[str] = []
        for record, position in zip(records, positions, strict=True):
            self._frontier.add(position)
            if self._criteria.takes(record):
                self._positions[record.id] = position
                self._lane_of(record).put(record)
            else:
                dropped.append(position)
        self._counts.count(metrics.FILTERED_OUT, len(dropped))
        if self._frontier.done(dropped):
            await self._save(())

    def _lane_of(self, record: Record) -> "Lane | WindowedLane":
        return self._lanes[zlib.crc32((record.key or "").encode()) % len(self._lanes)]

    async def _done(self, records: Sequence[Record], owed: Sequence[Delivery]) -> None:
        """The records are passed, in one transaction with what is owed for them."""
        moved = self._frontier.done([self._positions.pop(record.id) for record in records])
        self._passed.set()
        if moved or owed:
            await self._save(owed)

    async def _keep_window(self, packed: str, records: Sequence[Record]) -> None:
        """The state of the window goes with the records that made it."""
        self._window = packed
        self._frontier.done([self._positions.pop(record.id) for record in records])
        self._passed.set()
        await self._save(())

    async def _save(self, owed: Sequence[Delivery], *, ended: bool = False) -> None:
        """One after the other: a checkpoint never goes back."""
        async with self._saving:
            mark = Checkpoint(self._frontier.reached, ended, self._window)
            while True:
                try:
                    await self._checkpoints.save({self._shard_id: mark}, owed)
                    return
                except ServiceError as error:
                    await self._progress.say(f"PROBLEM: {error.message}")
                    await self._clock.sleep(TROUBLE_S)

    async def _pause(self, delay_s: float) -> None:
        await first_of(self._stopping.wait(), self._clock.sleep(delay_s))
        if self._stopping.is_set():
            raise StoppedError
