"""How messages get into a durable queue: waiting in it, or handed at once to who waits for them here.

Two ways lead straight to who waits. A `Taker` (`handing_to`) takes any message, has many places and ends nothing by
taking one: so he is asked within the transaction, once it is known that there is a message. SQS's clients take a batch,
by the queue's own rules of visibility, order and number in flight, and are gone with it: so services/sqs/handing.py
chooses one before the transaction, and sends by `put_for` or receives for him. Next: queue.py, the other end.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol
from uuid import uuid4

from cosset.clock import Clock
from cosset.store import queue_tables as statements
from cosset.store.database import Store
from cosset.store.prepared import ROWS, Found, in_parts
from cosset.store.queue_deduplication import Deduplication
from cosset.store.queue_messages import Draft, Message, Sent, due_ms
from cosset.store.queue_receipt import lock_group
from cosset.store.queue_watch import QueueWatch
from cosset.store.transaction import Transaction


class Taker(Protocol):
    """Who waits for messages on this node, and has them handed over by whoever sends them."""

    lease_ms: int

    def has_place(self) -> bool:
        """Asked within the transaction that sends, on its thread. True is as good as a promise, until the next time
        that something is taken: the transaction may come to nothing."""
        ...

    def take(self, message: Message) -> None:
        """On the event loop, once the message is committed, under a lease. Whoever leaves it gets it again later."""
        ...


class SendingEnd:
    """Of one named queue; `DurableQueue` is this and the receiving end."""

    def __init__(
        self, store: Store, name: str, clock: Clock, *, new_id: Callable[[], str] = lambda: str(uuid4())
    ) -> None:
        self._store = store
        self._name = name
        self._clock = clock
        self._new_id = new_id
        self._watch = QueueWatch(store, name, clock)
        self._topic = self._watch.topic
        self._taker: Taker | None = None
        self.deduplication = Deduplication(name, clock)

    @contextmanager
    def handing_to(self, taker: Taker) -> Iterator[None]:
        """What is sent through this queue meanwhile, and could be received at once, is leased to `taker` in the
        transaction that sends it: nobody has to look for it first. One at a time; for who has found nothing."""
        self._taker = taker
        try:
            yield
        finally:
            self._taker = None

    def send(
        self,
        tx: Transaction,
        body: bytes,
        *,
        group: str | None = None,
        deduplication_id: str | None = None,
        delay_ms: int = 0,
        expires_at_ms: int | None = None,
    ) -> str:
        """The message's id. With a deduplication id sent in the last five minutes: that message's id, nothing sent.

        A delayed message of a group holds up those behind it.
        """
        draft = Draft(
            body=body,
            group=group,
            deduplication_id=deduplication_id,
            delay_ms=delay_ms,
            expires_at_ms=expires_at_ms,
        )
        return self.put(tx, draft).id

    def put(self, tx: Transaction, draft: Draft) -> Sent:
        """As `send`, with more to say and to hear."""
        now = self._clock.now_ms()
        ahead = earlier = None
        if draft.group is not None:
            lock_group(tx, self._name, draft.group)
            ahead = self._first_of(tx, draft.group)
        if draft.deduplication_id is not None:
            earlier = self.deduplication.find(tx, draft.deduplication_id).first()
        if earlier is not None and earlier.until_ms > now:
            return Sent(str(earlier.message_id), earlier.seq or 0, False)
        row = self._row(draft, now)
        if ahead is not None and ahead.first() is not None:
            row["due_ms"] = None
        taker = self._taker_of(draft)
        if taker is None:
            seq = tx.run(statements.SEND, row).number
            assert seq is not None
            tx.announce(self._topic, self._name)
        else:
            message = self._entrust(tx, row, now, taker.lease_ms)
            tx.follow(partial(taker.take, message))
            seq = message.seq
        if draft.deduplication_id is not None:
            self.deduplication.remember(tx, draft.deduplication_id, row["id"], seq, now, again=earlier is not None)
        return Sent(row["id"], seq, True)

    def put_for(self, tx: Transaction, draft: Draft, lease_ms: int) -> Message:
        """A message that its receiver has from the start, as if he had received it at once. For one without a group,
        deduplication and delay."""
        now = self._clock.now_ms()
        return self._entrust(tx, self._row(draft, now), now, lease_ms)

    def put_many(self, tx: Transaction, drafts: Sequence[Draft]) -> list[str]:
        """The ids. For messages without groups and deduplication, which need not be told apart one by one."""
        if self._taker is not None and len(drafts) <= ROWS:
            return [self.put(tx, draft).id for draft in drafts]
        now = self._clock.now_ms()
        rows = [self._row(draft, now) for draft in drafts]
        for part in in_parts(rows):
            given = {f"{name}_{number}": value for number, row in enumerate(part) for name, value in row.items()}
            tx.run(statements.SEND_MANY.of(len(part)), given)
        if rows:
            tx.announce(self._topic, self._name)
        return [row["id"] for row in rows]

    def _row(self, draft: Draft, now: int) -> dict[str, Any]:
        visible = now + draft.delay_ms
        return {
            "queue": self._name,
            "id": draft.id or self._new_id(),
            "group_id": draft.tenant if draft.group is None else draft.group,
            "body": draft.body,
            "sent_at_ms": now if draft.sent_at_ms is None else draft.sent_at_ms,
            "visible_at_ms": visible,
            "expires_at_ms": draft.expires_at_ms,
            "due_ms": due_ms(visible, draft.expires_at_ms),
            "attempts": draft.attempts,
            "first_received_at_ms": draft.first_received_at_ms,
        }

    def _taker_of(self, draft: Draft) -> Taker | None:
        """Whoever waits for it here and may have it at once. Groups are for receivers that look at all of theirs."""
        taker = self._taker
        if taker is None or draft.group is not None or draft.delay_ms or not taker.has_place():
            return None
        return taker

    def _entrust(self, tx: Transaction, row: dict[str, Any], now: int, lease_ms: int) -> Message:
        """Sends it under a lease. Nobody else hears of it: who waits here learns when the lease ends."""
        token, until_ms = f".{secrets.token_hex(8)}", now + lease_ms
        first_ms = now if row["first_received_at_ms"] is None else row["first_received_at_ms"]
        row |= {"attempts": row["attempts"] + 1, "first_received_at_ms": first_ms, "due_ms": until_ms}
        if tx.dialect == "postgresql":
            seq = tx.run(statements.SEND_LEASED, {**row, "new_lease": token}).number
        else:
            seq = tx.run(statements.SEND, row).number
            tx.run(statements.ENTRUST, {"the_seq": seq, "the_lease": f"{seq}{token}"})
        self._watch.lease_ends(tx, until_ms)
        return Message(
            id=row["id"],
            body=row["body"],
            attempts=row["attempts"],
            lease=f"{seq}{token}",
            sent_at_ms=row["sent_at_ms"],
            group=None,
            expires_at_ms=row["expires_at_ms"],
            first_received_at_ms=first_ms,
        )

    def _first_of(self, tx: Transaction, group: str) -> Found:
        return tx.run(statements.FIRST_OF_GROUP, {"the_queue": self._name, "the_group": group})
