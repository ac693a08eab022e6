"""One receiver's turn at a durable queue: which messages it gets, within one transaction.

A group is looked at when any of its messages is due. It gives from its first on, and nothing while one of it is under
lease: so a receiver that has several of a group holds the group until the last of them is deleted or due again.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from cosset.store import queue_tables as statements
from cosset.store.fairness import Fairness
from cosset.store.prepared import in_parts
from cosset.store.queue_messages import Message, due_ms
from cosset.store.transaction import Transaction

MAX_REMOVED = 500
"""How many messages one turn ends instead of handing out: a transaction stays short."""


Keep = Callable[[Transaction, Message], bool]
"""Whether a message is handed out at all. Those that are not are gone: whoever says so has put them elsewhere."""


class Receipt:
    """Use once: `take`."""

    def __init__(
        self,
        tx: Transaction,
        queue: str,
        *,
        now_ms: int,
        lease_ms: int,
        group_limit: int,
        keep: Keep | None,
        max_removed: int = MAX_REMOVED,
        fairness: Fairness | None = None,
    ) -> None:
        self._tx = tx
        self._queue = {"the_queue": queue}
        self._now = now_ms
        self._lease_ms = lease_ms
        self._group_limit = group_limit
        self._keep = keep
        self._token = f".{secrets.token_hex(8)}"
        self._taken: list[Message] = []
        self._seen: set[int] = set()
        self._groups: set[str] = set()
        self._removed = 0
        self._max_removed = max_removed
        self._fairness = fairness

    def take(self, limit: int) -> list[Message]:
        """Up to `limit` messages, leased."""
        while not self._is_done(limit):
            at_most = len(self._seen) + limit - len(self._taken)
            due = {**self._queue, "now": self._now, "at_most": at_most}
            found = self._tx.run(statements.DUE, due).rows
            fresh = [row for row in found if row.seq not in self._seen]
            if self._fairness is not None:
                wanted = self._fairness.ordered(self._tx, self._queue["the_queue"], fresh, self._now)
                fresh = [row for row in wanted if row.seq not in self._seen]
            for row in fresh:
                if self._is_done(limit):
                    break
                self._take_from(row, limit - len(self._taken))
            if not fresh or len(found) < at_most:
                break
        self._lease()
        return self._taken

    def _is_done(self, limit: int) -> bool:
        return len(self._taken) >= limit or self._removed >= self._max_removed

    def _take_from(self, row: Any, wanted: int) -> None:
        if row.group_id is None or self._fairness is not None:
            self._offer(row)
            return
        self._seen.add(row.seq)
        if row.group_id not in self._groups:
            self._groups.add(row.group_id)
            self._take_group(row.group_id, min(wanted, self._group_limit))

    def _take_group(self, group: str, wanted: int) -> None:
        of_group = {**self._queue, "the_group": group}
        if not lock_group(self._tx, self._queue["the_queue"], group, wait=False):
            return  # another receiver is at it
        now = {**of_group, "now": self._now}
        if self._tx.run(statements.IS_UNDER_WAY, now).first() is not None:
            self._tx.run(statements.STAND_BACK, now)
            return
        before = len(self._taken)
        first = self._offer_heads(of_group, wanted)
        self._tx.run(statements.STAND_BACK, now)
        if len(self._taken) == before and first is not None:
            due = due_ms(first.visible_at_ms, first.expires_at_ms)
            self._tx.run(statements.PROMOTE, {"the_seq": first.seq, "due": due})

    def _offer_heads(self, of_group: dict[str, Any], wanted: int) -> Any:
        """Takes from the front of the group. The first that stays and was not taken, where one was met."""
        taken = 0
        while self._removed < self._max_removed:
            removed = self._removed
            heads = self._tx.run(statements.HEADS_OF_GROUP, {**of_group, "at_most": wanted}).rows
            for head in heads[taken:]:
                if due_ms(head.visible_at_ms, head.expires_at_ms) > self._now or self._removed >= self._max_removed:
                    return head
                taken += self._offer(head)
            if taken == wanted or removed == self._removed:
                return None
        return self._tx.run(statements.FIRST_OF_GROUP, of_group).first()

    def _offer(self, row: Any) -> bool:
        message = Message(
            id=row.id,
            body=bytes(row.body),
            attempts=row.attempts + 1,
            # The lease names the row, so that whoever holds it finds the message without another index.
            lease=f"{row.seq}{self._token}",
            sent_at_ms=row.sent_at_ms,
            group=None if self._fairness is not None else row.group_id,
            expires_at_ms=row.expires_at_ms,
            first_received_at_ms=self._now if row.first_received_at_ms is None else row.first_received_at_ms,
        )
        if self._keep is not None and not self._keep(self._tx, message):
            self._tx.run(statements.REMOVE.of(1), {**self._queue, "the_seq_0": row.seq})
            self._removed += 1
            return False
        self._seen.add(row.seq)
        self._taken.append(message)
        return True

    def _lease(self) -> None:
        due = {"due": self._now + self._lease_ms, "now": self._now, "new_lease": self._token}
        for part in in_parts([each.seq for each in self._taken]):
            self._tx.run(statements.LEASE.of(len(part)), {**due, **numbered(part)})


def numbered(seqs: Sequence[int]) -> dict[str, int]:
    """As parameters of a statement about several messages."""
    return {f"the_seq_{row}": seq for row, seq in enumerate(seqs)}


def lock_group(tx: Transaction, queue: str, group: str, *, wait: bool = True) -> bool:
    """Keeps a group for this transaction, where several may write at once. False: not without waiting."""
    if tx.dialect != "postgresql":
        return True
    key = {"key": f"{queue}/{group}"}
    if wait:
        tx.run(statements.LOCK_GROUP, key)
        return True
    return bool(tx.run(statements.TRY_GROUP, key).scalar())
