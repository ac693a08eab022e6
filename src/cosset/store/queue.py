"""The durable queue: what asynchronous invocation, queues, timers and fan-out wait in, in order, once committed.

Each message is received at least once and is gone only when its receiver deletes it: the queue itself drops nothing.
An expired message is handed out like any other, at once, so that its owner can end it where AWS says it ends.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Row

from cosset.clock import Clock
from cosset.store import queue_tables as statements
from cosset.store.database import Store
from cosset.store.transaction import Transaction

DEDUPLICATION_MS = 5 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Message:
    """A message under lease. `attempts` counts this receipt; `lease` proves later that it is this receiver's still."""

    id: str
    body: bytes
    attempts: int
    lease: str
    sent_at_ms: int
    group: str | None
    expires_at_ms: int | None


class DurableQueue:
    """One named queue. Any number may be made for one name, on any number of nodes."""

    def __init__(
        self, store: Store, name: str, clock: Clock, *, new_id: Callable[[], str] = lambda: str(uuid4())
    ) -> None:
        self._store = store
        self._name = name
        self._clock = clock
        self._new_id = new_id
        self._waiters: set[asyncio.Event] = set()
        self._forgotten_at_ms = 0
        self._topic = f"queue/{name}"
        store.on_change(self._topic, self._changed)

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
        now = self._clock.now_ms()
        message_id = self._new_id()
        if deduplication_id is not None:
            earlier = self._deduplicate(tx, deduplication_id, message_id, now)
            if earlier is not None:
                return earlier
        visible = now + delay_ms
        behind = group is not None and self._first_of(tx, group) is not None
        tx.execute(
            statements.SEND,
            {
                "queue": self._name,
                "id": message_id,
                "group_id": group,
                "body": body,
                "sent_at_ms": now,
                "visible_at_ms": visible,
                "expires_at_ms": expires_at_ms,
                "due_ms": None if behind else _due(visible, expires_at_ms),
                "attempts": 0,
            },
        )
        tx.announce(self._topic, self._name)
        return message_id

    async def recover(self) -> int:
        """Ends the leases that a killed process held, so that its messages come again at once; how many.

        For the start of a process, before it receives. Where nodes share the store it does nothing: the leases may be
        another node's, and end by themselves.
        """
        if self._store.shared:
            return 0
        parameters = {"the_queue": self._name, "due": self._clock.now_ms()}
        return await self._store.write(lambda tx: tx.execute(statements.RECOVER, parameters).rowcount)

    async def receive(self, *, limit: int, lease_ms: int) -> list[Message]:
        """Up to `limit` messages, those due longest first, leased for `lease_ms`. An empty list: nothing is due.

        A lease that ends unused makes its message due again. A group gives its first message only, until that one is
        deleted: one of a group is under way at a time, in the order they were sent.
        """
        now = self._clock.now_ms()
        leased: list[Message] = await self._store.write(
            lambda tx: self._lease(tx, now, limit, lease_ms), serializable=False
        )
        if now - self._forgotten_at_ms >= 60_000:
            self._forgotten_at_ms = now
            await self._store.write(lambda tx: self._forget(tx, now), serializable=False)
        return leased

    async def wait(self, timeout_s: float) -> bool:
        """Returns when something may be receivable (sent, released, due, a lease over), or at the timeout: then False,
        and there is no need to ask."""
        changed = asyncio.Event()
        self._waiters.add(changed)
        try:
            due = await self._store.read(self._next_due)
            delay_s = timeout_s if due is None else min(timeout_s, (due - self._clock.now_ms()) / 1000)
            if delay_s > 0 and not changed.is_set():
                await self._first(changed, delay_s)
            return changed.is_set() or (due is not None and due <= self._clock.now_ms())
        finally:
            self._waiters.discard(changed)

    def delete(self, tx: Transaction, message: Message) -> bool:
        """Ends the message. False: the lease is lost, another receiver has it or has ended it."""
        if tx.execute(statements.DELETE, _held(message)).rowcount == 0:
            return False
        if message.group is not None and (first := self._first_of(tx, message.group)) is not None:
            due = _due(first.visible_at_ms, first.expires_at_ms)
            tx.execute(statements.PROMOTE, {"the_seq": first.seq, "due": due})
            tx.announce(self._topic, self._name)
        return True

    def release(self, tx: Transaction, message: Message, *, delay_ms: int = 0, body: bytes | None = None) -> bool:
        """Gives the message back, to come again after `delay_ms`, with a new body if one is given. False: lease lost.

        Its group waits for it.
        """
        visible = self._clock.now_ms() + delay_ms
        due = _due(visible, message.expires_at_ms)
        parameters = {**_held(message), "due": due, "visible": visible, "new_body": body}
        if tx.execute(statements.RELEASE, parameters).rowcount == 0:
            return False
        tx.announce(self._topic, self._name)
        return True

    def extend(self, tx: Transaction, message: Message, lease_ms: int) -> bool:
        """Makes the lease end `lease_ms` from now. False: lease lost."""
        parameters = {**_held(message), "due": self._clock.now_ms() + lease_ms}
        extended = tx.execute(statements.EXTEND, parameters).rowcount > 0
        if extended:
            tx.announce(self._topic, self._name)  # whoever waits for the old end waits for the new one
        return extended

    async def count(self) -> int:
        """Messages kept: waiting, delayed and leased."""
        parameters = {"the_queue": self._name}
        return await self._store.read(lambda tx: int(tx.execute(statements.COUNT, parameters).scalar_one()))

    def _deduplicate(self, tx: Transaction, deduplication_id: str, message_id: str, now: int) -> str | None:
        same = {"the_queue": self._name, "the_deduplication_id": deduplication_id}
        until = now + DEDUPLICATION_MS
        earlier = tx.execute(statements.EARLIER, same).first()
        if earlier is None:
            row = {"queue": self._name, "deduplication_id": deduplication_id, "message_id": message_id}
            tx.execute(statements.REMEMBER, {**row, "until_ms": until})
            return None
        if earlier.until_ms > now:
            return str(earlier.message_id)
        tx.execute(statements.REMEMBER_AGAIN, {**same, "new_id": message_id, "until": until})
        return None

    def _first_of(self, tx: Transaction, group: str) -> Row[tuple[int, int, int | None]] | None:
        return tx.execute(statements.FIRST_OF_GROUP, {"the_queue": self._name, "the_group": group}).first()

    def _lease(self, tx: Transaction, now: int, limit: int, lease_ms: int) -> list[Message]:
        found = tx.execute(statements.DUE, {"the_queue": self._name, "now": now, "at_most": limit}).all()
        if not found:
            return []
        # The lease names the row, so that whoever holds it finds the message without another index.
        leases = [f"{each.seq}.{secrets.token_hex(8)}" for each in found]
        due = now + lease_ms
        tx.execute(
            statements.LEASE,
            [{"the_seq": each.seq, "new_lease": lease, "due": due} for each, lease in zip(found, leases, strict=True)],
        )
        return _messages(found, leases)

    def _forget(self, tx: Transaction, now: int) -> None:
        tx.execute(statements.FORGET, {"the_queue": self._name, "now": now})

    def _next_due(self, tx: Transaction) -> int | None:
        due: int | None = tx.execute(statements.NEXT_DUE, {"the_queue": self._name}).scalar()
        return due

    async def _first(self, changed: asyncio.Event, delay_s: float) -> None:
        tasks = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(self._clock.sleep(delay_s))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _changed(self, _key: str) -> None:
        for waiter in self._waiters:
            waiter.set()


def _due(visible_at_ms: int, expires_at_ms: int | None) -> int:
    """An expired message is due at once: somebody has to end it."""
    return visible_at_ms if expires_at_ms is None else min(visible_at_ms, expires_at_ms)


def _held(message: Message) -> dict[str, Any]:
    return {"the_seq": int(message.lease.partition(".")[0]), "the_lease": message.lease}


def _messages(found: Sequence[Row[Any]], leases: Sequence[str]) -> list[Message]:
    return [
        Message(
            id=each.id,
            body=bytes(each.body),
            attempts=each.attempts + 1,
            lease=lease,
            sent_at_ms=each.sent_at_ms,
            group=each.group_id,
            expires_at_ms=each.expires_at_ms,
        )
        for each, lease in zip(found, leases, strict=True)
    ]
