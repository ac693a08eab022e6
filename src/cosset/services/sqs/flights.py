"""How many messages of a queue may be in flight: AWS's limits, watched without counting at each receipt.

A count leaves room for so many more; it is made again when half of that is used up. What other nodes give in the
meantime is not in it: the limit is about as sharp as AWS's own.
"""

from dataclasses import dataclass

from cosset.services.sqs.book import QueueRecord
from cosset.store.queue import DurableQueue
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

MAX_STANDARD = 120_000
MAX_FIFO = 20_000
_MAX_KNOWN = 10_000


@dataclass(slots=True)
class _Room:
    """`left` may be given before the count is made again."""

    left: int
    is_full: bool = False


class Flights:
    def __init__(self, max_standard: int = MAX_STANDARD, max_fifo: int = MAX_FIFO) -> None:
        self._max_standard = max_standard
        self._max_fifo = max_fifo
        self._rooms: dict[str, _Room] = {}

    def room(self, tx: Transaction, shelf: DurableQueue, record: QueueRecord, limit: int) -> int:
        """How many of `limit` may be given. A full FIFO queue gives none and says nothing, as AWS.

        Raises ServiceError OverLimit: a full standard queue.
        """
        room = self._rooms.get(record.uid)
        if room is None or room.left < limit:
            most = self._max_fifo if record.settings.is_fifo else self._max_standard
            free = most - shelf.count_under_way(tx, most)
            if len(self._rooms) >= _MAX_KNOWN:
                self._rooms.clear()
            room = self._rooms[record.uid] = _Room(max(free // 2, min(free, limit)), free == 0)
        if room.is_full and not record.settings.is_fifo:
            raise ServiceError("OverLimit", "The maximum number of in flight messages is reached.", status=403)
        return min(limit, room.left)

    def taken(self, record: QueueRecord, count: int) -> None:
        if (room := self._rooms.get(record.uid)) is not None:
            room.left -= count

    def is_full(self, record: QueueRecord) -> bool:
        room = self._rooms.get(record.uid)
        return room is not None and room.is_full
