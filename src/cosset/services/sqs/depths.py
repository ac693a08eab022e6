"""How deep a queue is: exact while it is short, counted now and then when it is long."""

from dataclasses import dataclass

from cosset.clock import Clock
from cosset.services.sqs.book import QueueRecord
from cosset.services.sqs.model import Depth
from cosset.services.sqs.shelves import Shelves
from cosset.store.database import Store, Transaction

LONG = 100_000
KEPT_S = 10.0
_MAX_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class _Counted:
    at_s: float
    depth: Depth


class Depths:
    """Counts up to LONG messages each time (some 5 ms); of a longer queue the last count serves for KEPT_S."""

    def __init__(self, shelves: Shelves, store: Store, clock: Clock, long: int = LONG) -> None:
        self._shelves = shelves
        self._store = store
        self._clock = clock
        self._long = long
        self._counted: dict[str, _Counted] = {}

    async def depth(self, record: QueueRecord) -> Depth:
        kept = self._counted.get(record.uid)
        if kept is not None and self._clock.monotonic_s() - kept.at_s < KEPT_S:
            return kept.depth
        self._counted.pop(record.uid, None)
        depth = await self._store.read(lambda tx: self._count(tx, record))
        if depth.visible + depth.in_flight + depth.delayed > self._long:
            if len(self._counted) >= _MAX_KEPT:
                self._counted.clear()
            self._counted[record.uid] = _Counted(self._clock.monotonic_s(), depth)
        return depth

    def _count(self, tx: Transaction, record: QueueRecord) -> Depth:
        shelf = self._shelves.of(record)
        total = shelf.count_all(tx)
        in_flight, delayed = shelf.count_ahead(tx)
        if record.settings.is_fifo and record.settings.delay_s > 0:
            delayed += shelf.count_delayed_behind(tx)
        return Depth(max(0, total - in_flight - delayed), in_flight, delayed)
