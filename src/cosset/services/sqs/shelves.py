"""The durable queues behind SQS's: one for each uid that somebody uses on this node."""

from cosset.clock import Clock
from cosset.services.sqs.book import QueueRecord
from cosset.services.sqs.tables import DISCARDED
from cosset.store.changes import EVERYTHING
from cosset.store.database import Store
from cosset.store.queue import DurableQueue

_MAX_KEPT = 1_000


class Shelves:
    """Keeps those that were used last, so that all who wait for one queue wait at one place."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._by_uid: dict[str, DurableQueue] = {}
        store.on_change(DISCARDED, self._discarded)

    def of(self, record: QueueRecord) -> DurableQueue:
        return self.of_uid(record.uid)

    def of_uid(self, uid: str) -> DurableQueue:
        shelf = self._by_uid.get(uid)
        if shelf is None:
            if len(self._by_uid) >= _MAX_KEPT:
                self._make_room()
            shelf = self._by_uid[uid] = DurableQueue(self._store, uid, self._clock)
        return shelf

    def _make_room(self) -> None:
        idle = [uid for uid, shelf in self._by_uid.items() if not shelf.is_awaited]
        for uid in idle[: _MAX_KEPT // 2]:
            self._by_uid.pop(uid).close()

    def _discarded(self, uid: str) -> None:
        if uid != EVERYTHING and (shelf := self._by_uid.get(uid)) is not None and not shelf.is_awaited:
            self._by_uid.pop(uid).close()
