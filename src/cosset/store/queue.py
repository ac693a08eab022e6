"""The durable queue: what asynchronous invocation, queues, timers and fan-out wait in, in order, once committed.

Each message is received at least once and is gone only when its receiver deletes it: the queue itself drops nothing.
An expired message is handed out like any other, at once, so that its owner can end it where AWS says it ends.
Next: `queue_sending.py`, its other end; `queue_receipt.py`, who gets what; `queue_watch.py`, who waits.
"""

from collections.abc import Sequence
from typing import Any

from cosset.store import queue_tables as statements
from cosset.store.fairness import Fairness
from cosset.store.prepared import in_parts
from cosset.store.queue_deduplication import DEDUPLICATION_MS
from cosset.store.queue_messages import Draft, Message, Sent, Standing, due_ms, seq_of
from cosset.store.queue_receipt import MAX_REMOVED, Keep, Receipt, lock_group, numbered
from cosset.store.queue_sending import SendingEnd, Taker
from cosset.store.transaction import Transaction

__all__ = ["DEDUPLICATION_MS", "Draft", "DurableQueue", "Message", "Sent", "Standing", "Taker"]


class DurableQueue(SendingEnd):
    """One named queue. Any number may be made for one name, on any number of nodes; `close` those that are dropped.

    Where several nodes share the store, groups keep their order if all that touches a queue with groups is written
    serializable, or nothing but `receive` is.
    """

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits here."""
        return self._watch.is_awaited

    @property
    def is_quiet(self) -> bool:
        """Whether it is known that nothing can be received now."""
        return self._watch.is_quiet

    def close(self) -> None:
        """Hears of nothing any more."""
        self._watch.close()

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
        if self.deduplication.is_to_forget:
            await self._store.write(self.deduplication.forget_sometimes, serializable=False)
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
        self.deduplication.forget_all(tx)
        parameters = {"the_queue": self._name, "at_most": at_most}
        return tx.run(statements.CLEAR, parameters).count

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
