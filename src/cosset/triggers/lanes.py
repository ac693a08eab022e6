"""One lane of a shard: records of the same keys, in order, batch after batch.

A shard has as many lanes as its mapping's parallelization factor. A lane makes its batches by itself; what becomes of
one is `deliver`'s to say, which returns when the records are done with.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from cosset.clock import Clock
from cosset.triggers.batching import Batch
from cosset.triggers.model import MappingSettings
from cosset.triggers.sources import Record
from cosset.waiting import Signal, first_of

Deliver = Callable[[Sequence[Record]], Awaitable[None]]


class Intake:
    """What any lane is given, until nothing more comes or nothing more is wanted."""

    def __init__(self) -> None:
        self._waiting: deque[Record] = deque()
        self._changed = Signal()
        self._is_closed = False
        self._is_abandoned = False

    def put(self, record: Record) -> None:
        self._waiting.append(record)
        self._changed.set()

    def close(self) -> None:
        """Nothing more comes."""
        self._is_closed = True
        self._changed.set()

    def abandon(self) -> None:
        """What has not begun is read again some other time."""
        self._is_abandoned = True
        self._changed.set()


class Lane(Intake):
    """`run` ends after `close`, when all is delivered, or after `abandon`, when the batch under way is."""

    def __init__(self, settings: MappingSettings, deliver: Deliver, clock: Clock) -> None:
        super().__init__()
        self._size = settings.batch_size or 1
        self._window_s = float(settings.window_s or 0)
        self._deliver = deliver
        self._clock = clock

    async def run(self) -> None:
        while not self._is_abandoned:
            if self._waiting:
                records = await self._collect()
                if records:
                    await self._deliver(records)
            elif self._is_closed:
                return
            else:
                await self._changed.wait()

    async def _collect(self) -> Sequence[Record]:
        batch = Batch(self._size)
        ends_s = self._clock.monotonic_s() + self._window_s
        while not self._is_abandoned:
            batch.fill(self._waiting)
            left_s = ends_s - self._clock.monotonic_s()
            if not batch.room or self._is_closed or left_s <= 0:
                return batch.records
            await first_of(self._changed.wait(), self._clock.sleep(left_s))
        return []
