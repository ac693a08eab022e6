"""The durable queue: what asynchronous invocation, queues, timers and fan-out wait in, in order, once committed.

Each message is received at least once and is gone only when its receiver deletes it: the queue itself drops nothing.
An expired message is handed out like any other, at once, so that its owner can end it where AWS says it ends.
Next: `queue_receipt.py`, who gets what; `queue_watch.py`, who waits.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from cosset.clock import Clock
from cosset.store import queue_tables as statements
from cosset.store.database import Store
from cosset.store.fairness import Fairness
from cosset.store.prepared import ROWS, Found, in_parts
from cosset.store.queue_receipt import MAX_REMOVED, Keep, Message, Receipt, due_ms, lock_group, numbered, seq_of
from cosset.store.queue_watch import QueueWatch
from cosset.store.transaction import Transaction

__all__ = ["DEDUPLICATION_MS", "Draft", "DurableQueue", "Message", "Sent", "Standing", "Taker"]

DEDUPLICATION_MS = 5 * 60 * 1000
_FORGET_EVERY_MS = 60_000
_END_OF_TIME = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message to be sent. `id`, `sent_at_ms`, `attempts` and `first_received_at_ms` are given where it has been
    elsewhere before. `tenant` is whose it is, in a queue without groups that is received from fairly."""

    body: bytes
    group: str | None = None
    tenant: str | None = None
    deduplication_id: str | None = None
    delay_ms: int = 0
    expires_at_ms: int | None = None
    id: str | None = None
    sent_at_ms: int | None = None
    attempts: int = 0
    first_received_at_ms: int | None = None


class Sent(NamedTuple):
    """`is_new` False: the deduplication id was sent before, and these are the first message's. `seq` ascends."""

    id: str
    seq: int
    is_new: bool


class Standing(NamedTuple):
    """How a message stands: `due_ms` and `lease` as in its row."""

    lease: str | None
    due_ms: int | None
    group: str | None


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


class DurableQueue:
    """One named queue. Any number may be made for one name, on any number of nodes; `close` those that are dropped.

    Where several nodes share the store, groups keep their order if all that touches a queue with groups is written
    serializable, or nothing but `receive` is.
    """

    def __init__(
        self, store: Store, name: str, clock: Clock, *, new_id: Callable[[], str] = lambda: str(uuid4())
    ) -> None:
        self._store = store
        self._name = name
        self._clock = clock
        self._new_id = new_id
        self._watch = QueueWatch(store, name, clock)
        self._taker: Taker | None = None
        self._forgotten_at_ms = 0
        self._topic = self._watch.topic

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits here."""
        return self._watch.is_awaited

    @property
    def is_quiet(self) -> bool:
        """Whether it is known that nothing can be received now."""
        return self._watch.is_quiet

    @contextmanager
    def handing_to(self, taker: Taker) -> Iterator[None]:
        """What is sent through this queue meanwhile, and could be received at once, is leased to `taker` in the
        transaction that sends it: nobody has to look for it first. One at a time; for who has found nothing."""
        self._taker = taker
        try:
            yield
        finally:
            self._taker = None

    def close(self) -> None:
        """Hears of nothing any more."""
        self._watch.close()

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
            lock_group(tx, f"{self._name}/deduplication", draft.deduplication_id)
            self.forget_sometimes(tx)
            earlier = self._earlier(tx, draft.deduplication_id).first()
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
            self._remember(tx, draft.deduplication_id, row["id"], seq, now, again=earlier is not None)
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

    async def recover(self) -> int:
        """Ends the leases that a killed process held, so that its messages come again at once; how many.

        For the start of a process, before it receives. Where nodes share the store it does nothing: the leases may be
        another node's, and end by themselves.
        """
        if self._store.shared:
            return 0
        parameters = {"the_queue": self._name, "due": self._clock.now_ms()}
        return await self._store.write(lambda tx: tx.run(statements.RECOVER, parameters).count)

    async def receive(self, *, limit: int, lease_ms: int) -> list[Message]:
        """Up to `limit` messages, those due longest first, leased for `lease_ms`. An empty list: nothing is due.

        A lease that ends unused makes its message due again. A group gives its first message only, until that one is
        deleted: one of a group is under way at a time, in the order they were sent.
        """
        leased: list[Message] = await self._store.write(
            lambda tx: self.lease(tx, limit=limit, lease_ms=lease_ms), serializable=False
        )
        if self._clock.now_ms() - self._forgotten_at_ms >= _FORGET_EVERY_MS:
            await self._store.write(self.forget_sometimes, serializable=False)
        return leased

    def lease(
        self,
        tx: Transaction,
        *,
        limit: int,
        lease_ms: int,
        group_limit: int = 1,
        keep: Keep | None = None,
        max_removed: int = MAX_REMOVED,
        fairness: Fairness | None = None,
    ) -> list[Message]:
        """As `receive`. Of one group up to `group_limit` at once, which then gives no more until all of them are
        deleted or due again. `keep` may end messages instead, up to `max_removed`.

        With `fairness` the queue has tenants in the place of groups: none waits for another of its own.
        """
        receipt = Receipt(
            tx,
            self._name,
            now_ms=self._clock.now_ms(),
            lease_ms=lease_ms,
            group_limit=group_limit,
            keep=keep,
            max_removed=max_removed,
            fairness=fairness,
        )
        return receipt.take(limit)

    async def wait(self, timeout_s: float) -> bool:
        """Returns when something may be receivable (sent, released, due, a lease over), or at the timeout: then False,
        and there is no need to ask."""
        return await self._watch.wait(timeout_s)

    def delete(self, tx: Transaction, message: Message) -> bool:
        """Ends the message. False: the lease is lost, another receiver has it or has ended it."""
        return self.delete_held(tx, message.lease, message.group)

    def delete_held(self, tx: Transaction, lease: str, group: str | None) -> bool:
        if group is not None:
            lock_group(tx, self._name, group)
        if tx.run(statements.DELETE, _held(lease)).count == 0:
            return False
        if group is not None:
            self._look_after(tx, group)
        return True

    def remove_many(self, tx: Transaction, seqs: Sequence[int]) -> None:
        """Ends messages without a group, whoever holds them."""
        for part in in_parts(sorted(seqs)):
            tx.run(statements.REMOVE.of(len(part)), {"the_queue": self._name, **numbered(part)})

    def release(self, tx: Transaction, message: Message, *, delay_ms: int = 0, body: bytes | None = None) -> bool:
        """Gives the message back, to come again after `delay_ms`, with a new body if one is given. False: lease lost.

        Its group waits for it.
        """
        if message.group is not None:
            lock_group(tx, self._name, message.group)
        visible = self._clock.now_ms() + delay_ms
        due = due_ms(visible, message.expires_at_ms)
        parameters = {**_held(message.lease), "due": due, "visible": visible, "new_body": body}
        if tx.run(statements.RELEASE, parameters).count == 0:
            return False
        tx.announce(self._topic, self._name)
        return True

    def extend(self, tx: Transaction, message: Message, lease_ms: int) -> bool:
        """Makes the lease end `lease_ms` from now. False: lease lost."""
        if message.group is not None:
            lock_group(tx, self._name, message.group)
        parameters = {**_held(message.lease), "due": self._clock.now_ms() + lease_ms}
        extended = tx.run(statements.EXTEND, parameters).count > 0
        if extended:
            tx.announce(self._topic, self._name)  # whoever waits for the old end waits for the new one
        return extended

    def extend_seq(self, tx: Transaction, seq: int, lease: str, lease_ms: int) -> None:
        """Puts a message under this lease, whoever had it."""
        due = self._clock.now_ms() + lease_ms
        tx.run(statements.TAKE, {"the_queue": self._name, "the_seq": seq, "new_lease": lease, "due": due})
        tx.announce(self._topic, self._name)

    def standing(self, tx: Transaction, seq: int) -> Standing | None:
        """None: there is no such message, or no more. It stands so until the end of the transaction."""
        row = tx.run(statements.STANDING, {"the_queue": self._name, "the_seq": seq}).first()
        if row is None or row.group_id is None:
            return None if row is None else Standing(row.lease, row.due_ms, None)
        lock_group(tx, self._name, row.group_id)
        row = tx.run(statements.STANDING, {"the_queue": self._name, "the_seq": seq}).first()
        return None if row is None else Standing(row.lease, row.due_ms, row.group_id)

    def held(self, tx: Transaction, lease: str) -> Message | None:
        """The message that is under this lease, as its receiver got it. None: the lease is lost or has ended."""
        row = tx.run(statements.HELD, {"the_queue": self._name, "the_seq": seq_of(lease)}).first()
        if row is None or row.lease != lease or row.due_ms is None or row.due_ms <= self._clock.now_ms():
            return None
        return Message(
            id=row.id,
            body=bytes(row.body),
            attempts=row.attempts,
            lease=lease,
            sent_at_ms=row.sent_at_ms,
            group=row.group_id,
            expires_at_ms=row.expires_at_ms,
            first_received_at_ms=row.first_received_at_ms,
        )

    def drop_sent_before(self, tx: Transaction, until_ms: int, at_most: int) -> int:
        """Ends messages that were sent by then and that nobody has had since, of `at_most` groups or `at_most` without
        a group; how many of either it found."""
        bounds = {"the_queue": self._name, "until": until_ms, "at_most": at_most}
        dropped = tx.run(statements.REMOVE_OLD, bounds).count
        groups = {row.group_id for row in tx.run(statements.OLD_GROUPS, bounds).rows}
        for group in sorted(groups):
            lock_group(tx, self._name, group)
            old = {"the_queue": self._name, "the_group": group, "until": until_ms}
            tx.run(statements.REMOVE_OLD_OF_GROUP, old)
            self._look_after(tx, group)
        return max(dropped, len(groups))

    def clear(self, tx: Transaction, at_most: int) -> int:
        """Ends messages of a queue that nobody uses any more; how many. 0: there are none left."""
        tx.run(statements.FORGET, {"the_queue": self._name, "now": _END_OF_TIME})
        parameters = {"the_queue": self._name, "at_most": at_most}
        return tx.run(statements.CLEAR, parameters).count

    def forget_sometimes(self, tx: Transaction) -> None:
        """Forgets the deduplication ids that have grown old, if it has not lately."""
        now = self._clock.now_ms()
        if now - self._forgotten_at_ms >= _FORGET_EVERY_MS:
            self._forgotten_at_ms = now
            tx.run(statements.FORGET, {"the_queue": self._name, "now": now})

    async def count(self) -> int:
        """Messages kept: waiting, delayed and leased."""
        return await self._store.read(self.count_all)

    def count_all(self, tx: Transaction) -> int:
        return int(tx.run(statements.COUNT, {"the_queue": self._name}).scalar())

    def count_ahead(self, tx: Transaction) -> tuple[int, int]:
        """Of messages that cannot be received yet: those under lease, those delayed."""
        parameters = {"the_queue": self._name, "now": self._clock.now_ms()}
        row = tx.run(statements.COUNT_AHEAD, parameters).first()
        return int(row.leased), int(row.ahead - row.leased)

    def count_delayed_behind(self, tx: Transaction) -> int:
        """Of messages that stand behind others of their group: those delayed. Looks at all of them."""
        parameters = {"the_queue": self._name, "now": self._clock.now_ms()}
        return int(tx.run(statements.COUNT_DELAYED_BEHIND, parameters).scalar())

    def count_under_way(self, tx: Transaction, at_most: int) -> int:
        """Messages under lease, counted up to `at_most`."""
        parameters = {"the_queue": self._name, "now": self._clock.now_ms(), "at_most": at_most}
        return int(tx.run(statements.COUNT_UNDER_WAY, parameters).scalar())

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

    def _earlier(self, tx: Transaction, deduplication_id: str) -> Found:
        same = {"the_queue": self._name, "the_deduplication_id": deduplication_id}
        return tx.run(statements.EARLIER, same)

    def _remember(
        self, tx: Transaction, deduplication_id: str, message_id: str, seq: int, now: int, *, again: bool
    ) -> None:
        until = now + DEDUPLICATION_MS
        if again:
            same = {"the_queue": self._name, "the_deduplication_id": deduplication_id}
            tx.run(statements.REMEMBER_AGAIN, {**same, "new_id": message_id, "new_seq": seq, "until": until})
            return
        row = {"queue": self._name, "deduplication_id": deduplication_id, "message_id": message_id}
        tx.run(statements.REMEMBER, {**row, "seq": seq, "until_ms": until})

    def _first_of(self, tx: Transaction, group: str) -> Found:
        return tx.run(statements.FIRST_OF_GROUP, {"the_queue": self._name, "the_group": group})

    def _look_after(self, tx: Transaction, group: str) -> None:
        """A group that nothing is due of any more goes on with its first."""
        of_group = {"the_queue": self._name, "the_group": group}
        if tx.run(statements.IS_LOOKED_AFTER, of_group).first() is None:
            first = self._first_of(tx, group).first()
            if first is None:
                return
            due = due_ms(first.visible_at_ms, first.expires_at_ms)
            tx.run(statements.PROMOTE, {"the_seq": first.seq, "due": due})
        tx.announce(self._topic, self._name)


def _held(lease: str) -> dict[str, Any]:
    return {"the_seq": seq_of(lease), "the_lease": lease}
