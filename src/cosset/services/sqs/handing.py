"""Messages handed straight to whoever waits for them on this node: who sends receives for him, in one transaction.

So a message is sent and received with one commit, and nobody need be woken to look. Of a standard queue it is sent
under his lease; of a FIFO queue he receives what its groups give. Who waits and is passed over, or whose sender came to
nothing, hears of the change as ever and looks for himself. Why this is not the durable queue's own way of handing over
is said in store/queue_sending.py. Next: queues.py, both ends of it.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from cosset.services.sqs.book import QueueRecord, StaleRecordError, confirm
from cosset.services.sqs.model import SentMessage
from cosset.services.sqs.receiving import Receiving, Taken
from cosset.services.sqs.sending import Outcome, Sending
from cosset.store.queue import Draft
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError


@dataclass(slots=True, eq=False)
class Waiter:
    """Who waits for messages of a queue as `record` says it stands. `handed` ends when whoever claimed him is done:
    with None where he has to look for himself."""

    record: QueueRecord
    dead_letters: QueueRecord | None
    limit: int
    visibility_s: int | None
    handed: "asyncio.Future[Taken | None]"
    is_claimed: bool = False

    def settle(self, taken: Taken | None) -> None:
        if not self.handed.done():
            self.handed.set_result(taken)


class Handing:
    """Those who wait on this node, by queue, the longest waiting first."""

    def __init__(self, sending: Sending, receiving: Receiving) -> None:
        self._sending = sending
        self._receiving = receiving
        self._waiting: dict[str, deque[Waiter]] = {}

    def add(
        self, record: QueueRecord, dead_letters: QueueRecord | None, limit: int, visibility_s: int | None
    ) -> Waiter:
        handed: asyncio.Future[Taken | None] = asyncio.get_running_loop().create_future()
        waiter = Waiter(record, dead_letters, limit, visibility_s, handed)
        self._waiting.setdefault(record.uid, deque()).append(waiter)
        return waiter

    def claim(self, record: QueueRecord) -> Waiter | None:
        """The next to serve, who waits until he is settled. None: nobody waits, or for a queue as it was before."""
        waiting = self._waiting.get(record.uid)
        if not waiting or waiting[0].record.revision != record.revision:
            return None
        waiter = waiting.popleft()
        waiter.is_claimed = True
        self._tidy(record.uid)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """He waits no more, unless for whoever claimed him. May be said twice."""
        waiting = self._waiting.get(waiter.record.uid)
        if waiting is not None and waiter in waiting:
            waiting.remove(waiter)
            self._tidy(waiter.record.uid)
        if not waiter.is_claimed:
            waiter.settle(None)

    def send_to(
        self, tx: Transaction, record: QueueRecord, drafts: Sequence[Draft | ServiceError], waiter: Waiter
    ) -> list[Outcome]:
        """As `Sending.send`; he has his part as soon as it is committed."""
        visibility_s = record.settings.visibility_s if waiter.visibility_s is None else waiter.visibility_s
        if record.settings.is_fifo or not visibility_s:
            sent = self._sending.send(tx, record, drafts)
            taken = self._serve(tx, record, waiter)
        else:
            sent, taken = self._entrust(tx, record, drafts, waiter.limit, visibility_s)
        tx.follow(lambda: waiter.settle(taken))
        return sent

    def _entrust(
        self,
        tx: Transaction,
        record: QueueRecord,
        drafts: Sequence[Draft | ServiceError],
        limit: int,
        visibility_s: int,
    ) -> tuple[list[Outcome], Taken | None]:
        at_once = [each for each in drafts if not isinstance(each, ServiceError) and not each.delay_ms][:limit]
        try:
            handed = self._receiving.entrust(tx, record, at_once, visibility_s)
        except ServiceError:  # too much is in flight
            handed = []
        ids = {id(draft): message.id for draft, message in zip(at_once, handed, strict=False)}
        rest = iter(self._sending.send(tx, record, [each for each in drafts if id(each) not in ids]))
        sent = [SentMessage(ids[id(each)]) if id(each) in ids else next(rest) for each in drafts]
        return sent, Taken(handed, []) if handed else None

    def _serve(self, tx: Transaction, record: QueueRecord, waiter: Waiter) -> Taken | None:
        """What he gets of the queue. None: nothing this way, and no reason not to send."""
        try:
            if waiter.dead_letters is not None:
                confirm(tx, waiter.dead_letters)
            return self._receiving.receive(tx, record, waiter.dead_letters, waiter.limit, waiter.visibility_s)
        except (StaleRecordError, ServiceError):
            return None

    def _tidy(self, uid: str) -> None:
        if not self._waiting[uid]:
            del self._waiting[uid]
