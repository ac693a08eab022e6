"""The durable queue against a model of a dozen lines, over arbitrary sequences of operations."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from cosset.store.database import Store
from cosset.store.queue import DEDUPLICATION_MS, DurableQueue, Message
from support.clock import ManualClock


@dataclass
class Expected:
    id: str
    body: bytes
    group: str | None
    visible_at_ms: int
    expires_at_ms: int | None
    attempts: int = 0
    lease: str | None = None
    lease_ends_ms: int = 0

    def due_ms(self) -> int:
        if self.lease is not None:
            return self.lease_ends_ms
        return min(self.visible_at_ms, self.expires_at_ms or self.visible_at_ms)


class QueueMachine(RuleBasedStateMachine):
    received = Bundle("received")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="cosset-queue-"))
        self.clock = ManualClock()
        self.store = self._run(Store.open(data=self.folder, database=None, clock=self.clock, min_free_mb=0))
        self.queue = DurableQueue(self.store, "q", self.clock)
        self.model: list[Expected] = []  # in the order sent
        self.sent = 0
        self.sent_ids: dict[str, tuple[str, int]] = {}

    def _run(self, work):
        return self.runner.run(work)

    def teardown(self) -> None:
        self._run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def _send(self, group=None, deduplication_id=None, delay_ms=0, lives_ms=None) -> None:
        now = self.clock.now_ms()
        expires = None if lives_ms is None else now + lives_ms
        self.sent += 1
        body = b"%d" % self.sent
        message_id = self._run(
            self.store.write(
                lambda tx: self.queue.send(
                    tx,
                    body,
                    group=group,
                    deduplication_id=deduplication_id,
                    delay_ms=delay_ms,
                    expires_at_ms=expires,
                )
            )
        )
        earlier, until = self.sent_ids.get(deduplication_id, ("", 0))
        if deduplication_id is not None and until > now:
            assert message_id == earlier
            return
        if deduplication_id is not None:
            self.sent_ids[deduplication_id] = message_id, now + DEDUPLICATION_MS
        self.model.append(Expected(message_id, body, group, now + delay_ms, expires))

    @rule(groups=st.lists(st.sampled_from([None, "a", "b"]), min_size=1, max_size=4))
    def send(self, groups) -> None:
        for group in groups:
            self._send(group)

    @rule(deduplication_id=st.sampled_from("de"), group=st.sampled_from([None, "a"]))
    def send_once(self, deduplication_id, group) -> None:
        self._send(group, deduplication_id)

    @rule(
        delay_ms=st.sampled_from([1000, 400_000]),
        lives_ms=st.sampled_from([None, 5000]),
        group=st.sampled_from([None, "a"]),
    )
    def send_later(self, delay_ms, lives_ms, group) -> None:
        self._send(group, None, delay_ms, lives_ms)

    @rule(group=st.sampled_from([None, "a"]))
    def fail_to_send(self, group) -> None:
        def work(tx) -> None:
            self.queue.send(tx, b"never", group=group, deduplication_id="d")
            raise LookupError

        with pytest.raises(LookupError):
            self._run(self.store.write(work))

    @rule(target=received, limit=st.integers(1, 6), lease_ms=st.sampled_from([1000, 30_000]))
    def receive(self, limit, lease_ms):
        now = self.clock.now_ms()
        firsts = {}
        for each in self.model:
            firsts.setdefault(each.group if each.group is not None else each.id, each)
        due = [each for each in firsts.values() if each.due_ms() <= now]
        due.sort(key=lambda each: (each.due_ms(), self.model.index(each)))
        messages = self._run(self.queue.receive(limit=limit, lease_ms=lease_ms))
        assert [message.id for message in messages] == [each.id for each in due[:limit]]
        for each, message in zip(due, messages, strict=False):
            each.attempts += 1
            each.lease, each.lease_ends_ms = message.lease, now + lease_ms
            assert (message.body, message.attempts, message.group) == (each.body, each.attempts, each.group)
        return multiple(*messages)

    def _holder(self, message: Message) -> Expected | None:
        return next((each for each in self.model if each.lease == message.lease), None)

    @rule(message=consumes(received))
    def delete(self, message: Message) -> None:
        holder = self._holder(message)
        deleted = self._run(self.store.write(lambda tx: self.queue.delete(tx, message)))
        assert deleted == (holder is not None)
        if holder is not None:
            self.model.remove(holder)

    @rule(message=consumes(received), delay_ms=st.sampled_from([0, 2000]), body=st.sampled_from([None, b"new"]))
    def release(self, message: Message, delay_ms: int, body: bytes | None) -> None:
        holder = self._holder(message)
        released = self._run(self.store.write(lambda tx: self.queue.release(tx, message, delay_ms=delay_ms, body=body)))
        assert released == (holder is not None)
        if holder is not None:
            holder.lease, holder.visible_at_ms = None, self.clock.now_ms() + delay_ms
            holder.body = body or holder.body

    @rule(message=received, lease_ms=st.sampled_from([0, 5000]))
    def extend(self, message: Message, lease_ms: int) -> None:
        holder = self._holder(message)
        assert self._run(self.store.write(lambda tx: self.queue.extend(tx, message, lease_ms))) == (holder is not None)
        if holder is not None:
            holder.lease_ends_ms = self.clock.now_ms() + lease_ms

    @rule(delay_s=st.sampled_from([0.5, 1, 30, 301]))
    def time_passes(self, delay_s: float) -> None:
        self.clock.advance(delay_s)

    @rule()
    def reopen(self) -> None:
        self._run(self.store.close())
        self.store = self._run(Store.open(data=self.folder, database=None, clock=self.clock, min_free_mb=0))
        self.queue = DurableQueue(self.store, "q", self.clock)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self._run(self.queue.count()) == len(self.model)


TestQueueModel = QueueMachine.TestCase
TestQueueModel.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
