"""Which deduplication ids a queue was sent in the last five minutes, and as which messages. Next: queue_sending.py."""

from cosset.clock import Clock
from cosset.store import queue_tables as statements
from cosset.store.prepared import Found
from cosset.store.queue_receipt import lock_group
from cosset.store.transaction import Transaction

DEDUPLICATION_MS = 5 * 60 * 1000
_FORGET_EVERY_MS = 60_000
_END_OF_TIME = 1 << 62


class Deduplication:
    """Of one queue. What is old is forgotten once a minute, by whoever comes by."""

    def __init__(self, queue: str, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock
        self._forgotten_at_ms = 0

    @property
    def is_to_forget(self) -> bool:
        return self._clock.now_ms() - self._forgotten_at_ms >= _FORGET_EVERY_MS

    def find(self, tx: Transaction, deduplication_id: str) -> Found:
        """The row of an earlier message, which may be too old (`until_ms`). Nobody else sends with this id until the
        end of the transaction."""
        lock_group(tx, f"{self._queue}/deduplication", deduplication_id)
        self.forget_sometimes(tx)
        return tx.run(statements.EARLIER, {"the_queue": self._queue, "the_deduplication_id": deduplication_id})

    def remember(
        self, tx: Transaction, deduplication_id: str, message_id: str, seq: int, now: int, *, again: bool
    ) -> None:
        """`again`: in the place of a row that is too old."""
        until = now + DEDUPLICATION_MS
        if again:
            same = {"the_queue": self._queue, "the_deduplication_id": deduplication_id}
            tx.run(statements.REMEMBER_AGAIN, {**same, "new_id": message_id, "new_seq": seq, "until": until})
            return
        row = {"queue": self._queue, "deduplication_id": deduplication_id, "message_id": message_id}
        tx.run(statements.REMEMBER, {**row, "seq": seq, "until_ms": until})

    def forget_sometimes(self, tx: Transaction) -> None:
        """Forgets the ids that have grown old, if it has not lately."""
        now = self._clock.now_ms()
        if now - self._forgotten_at_ms >= _FORGET_EVERY_MS:
            self._forgotten_at_ms = now
            tx.run(statements.FORGET, {"the_queue": self._queue, "now": now})

    def forget_all(self, tx: Transaction) -> None:
        tx.run(statements.FORGET, {"the_queue": self._queue, "now": _END_OF_TIME})
