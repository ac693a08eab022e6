"""All shards of a log for one mapping: each with a reader of its own, children after their parents.

Where reading begins is made durable for all shards that there are when the mapping is first worked on; shards that
come later are read from their beginnings. Read next: shard_reader.py.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from cosset.clock import Clock
from cosset.triggers.calls import Caller
from cosset.triggers.checkpoints import Checkpoint, Checkpoints
from cosset.triggers.leases import LeaseLostError
from cosset.triggers.metrics import Counts
from cosset.triggers.model import EventSourceMapping
from cosset.triggers.progress import Progress
from cosset.triggers.shard_reader import ShardReader
from cosset.triggers.sources import LogSource, Shard, Start
from cosset.waiting import Signal, first_of
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

LOOK_S = 10.0
"""How often new shards are looked for."""
RETRY_S = 1.0


class StreamReader:
    """Works on one mapping until `stop`."""

    def __init__(
        self,
        mapping: EventSourceMapping,
        source: LogSource,
        caller: Caller,
        progress: Progress,
        counts: Counts,
        checkpoints: Checkpoints,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._mapping = mapping
        self._source = source
        self._caller = caller
        self._progress = progress
        self._counts = counts
        self._checkpoints = checkpoints
        self._clock = clock
        self._new_id = new_id
        self._readers: dict[str, tuple[ShardReader, asyncio.Task[None]]] = {}
        self._stopping = asyncio.Event()
        self._ended = Signal()

    async def run(self) -> None:
        """Returns after `stop`, when what the function has is done with."""
        while not self._stopping.is_set():
            pause_s = LOOK_S
            try:
                await self._look()
            except LeaseLostError:
                break
            except ServiceError as error:
                await self._progress.say(f"PROBLEM: {error.message}")
                pause_s = RETRY_S
            await first_of(self._stopping.wait(), self._ended.wait(), self._clock.sleep(pause_s))
        self.stop()
        tasks = [task for _, task in self._readers.values()]
        if tasks:
            await asyncio.wait(tasks)

    def stop(self) -> None:
        self._stopping.set()
        for reader, _ in self._readers.values():
            reader.stop()

    def cancel(self) -> None:
        for _, task in self._readers.values():
            task.cancel()

    async def _look(self) -> None:
        """Starts a reader for every shard whose turn it is."""
        arn = self._mapping.source_arn
        shards = await self._source.shards(arn)
        known = await self._begin(shards, await self._checkpoints.read())
        here = {shard.id for shard in shards}
        for shard in shards:
            checkpoint = known[shard.id]
            waits = any(parent in here and not known[parent].ended for parent in shard.parents)
            if shard.id not in self._readers and not checkpoint.ended and not waits:
                self._start(shard.id, checkpoint)

    async def _begin(self, shards: Sequence[Shard], known: Mapping[str, Checkpoint]) -> Mapping[str, Checkpoint]:
        """A durable checkpoint for every shard."""
        settings = self._mapping.settings
        timestamp = settings.starting_timestamp
        start = Start(
            position=settings.starting_position or "TRIM_HORIZON",
            timestamp_ms=None if timestamp is None else round(timestamp * 1000),
        )
        if known:
            start = Start(position="TRIM_HORIZON")
        fresh = {
            shard.id: Checkpoint(await self._source.begin(self._mapping.source_arn, shard.id, start))
            for shard in shards
            if shard.id not in known
        }
        if fresh:
            await self._checkpoints.save(fresh)
        return {**known, **fresh}

    def _start(self, shard_id: str, checkpoint: Checkpoint) -> None:
        reader = ShardReader(
            self._mapping,
            self._source,
            shard_id,
            checkpoint,
            self._caller,
            self._progress,
            self._counts,
            self._checkpoints,
            self._clock,
            self._new_id,
        )
        name = f"shard {shard_id} of {self._mapping.uuid}"
        task = asyncio.get_running_loop().create_task(self._read(shard_id, reader), name=name)
        self._readers[shard_id] = (reader, task)

    async def _read(self, shard_id: str, reader: ShardReader) -> None:
        """The task boundary of one shard: what happens to it does not end the others."""
        try:
            await reader.run()
        except LeaseLostError:
            self.stop()
        except Exception:
            logger.exception("shard %s of mapping %s is read again in a moment", shard_id, self._mapping.uuid)
            await self._clock.sleep(RETRY_S)
        finally:
            self._readers.pop(shard_id, None)
            self._ended.set()
