"""FIFO and standard queues against a model of a few lines, over arbitrary sequences of operations."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cosset.services.sqs.model import NewMessage
from cosset.services.sqs.queues import Queues
from cosset.store.database import Store
from support.caller import ACCOUNT
from support.clock import ManualClock

FIFO = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q.fifo"
STANDARD = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"
DEAD = f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead.fifo"
MAX_RECEIVES = 3


@dataclass
class Kept:
    """A message as the model has it."""

    body: str
    group: str
    receives: int = 0
    hidden_until_ms: int = 0
    handle: str = ""


class QueuesMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="cosset-queues-"))
        self.clock = ManualClock()
        self.sent = 0
        self.fifo: list[Kept] = []
        self.standard: list[Kept] = []
        self.dead: list[str] = []
        self._open()
        self._create()

    def _open(self) -> None:
        self.store = self._run(Store.open(data=self.folder, database=None, clock=self.clock, min_free_mb=0))
        self.queues = Queues(self.store, self.clock)

    def _create(self) -> None:
        from cosset.services.sqs.model import QueueKey
        from cosset.services.sqs.redrive import RedrivePolicy

        book = self.queues.book
        keys = {arn: QueueKey.of_arn(arn) for arn in (FIFO, STANDARD, DEAD)}
        fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        policy = RedrivePolicy(keys[DEAD], MAX_RECEIVES).text
        self._run(book.create(keys[DEAD], fifo, {}))
        self._run(book.create(keys[FIFO], {**fifo, "RedrivePolicy": policy}, {}))
        self._run(book.create(keys[STANDARD], {}, {}))

    def _run(self, work):
        return self.runner.run(work)

    def teardown(self) -> None:
        self._run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    @rule(groups=st.lists(st.sampled_from("abc"), min_size=1, max_size=5))
    def send(self, groups: list[str]) -> None:
        for group in groups:
            self.sent += 1
            body = str(self.sent)
            self._run(self.queues.send(FIFO, NewMessage(body, group_id=group), sender_id="me"))
            self._run(self.queues.send(STANDARD, NewMessage(body), sender_id="me"))
            self.fifo.append(Kept(body, group))
            self.standard.append(Kept(body, ""))

    @rule(limit=st.integers(1, 6), visibility_s=st.sampled_from([0, 1, 30]))
    def receive(self, limit: int, visibility_s: int) -> None:
        now = self.clock.now_ms()
        found = self._run(self.queues.receive(FIFO, max_messages=limit, visibility_s=visibility_s))
        locked = {each.group for each in self.fifo if each.hidden_until_ms > now}
        waiting: dict[str, list[Kept]] = {}
        for each in list(self.fifo):
            if each.group not in locked:
                waiting.setdefault(each.group, []).append(each)
        for message in found:
            group = message.system["MessageGroupId"]
            assert group not in locked
            while (first := waiting[group].pop(0)).receives >= MAX_RECEIVES:
                self._bury(first)
            assert first.body == message.body  # of its group always the next
            first.receives += 1
            assert message.system["ApproximateReceiveCount"] == str(first.receives)
            first.hidden_until_ms, first.handle = now + 1000 * visibility_s, message.receipt_handle
        if len(found) < limit:  # then nothing was left out
            for rest in waiting.values():
                assert all(each.receives >= MAX_RECEIVES for each in rest)
                for each in rest:
                    self._bury(each)
        self._match_burials()

    def _bury(self, each: Kept) -> None:
        self.fifo.remove(each)
        self.dead.append(each.body)

    def _match_burials(self) -> None:
        """Those that come after a batch is full may be buried now or at the next receipt."""
        depth = self._run(self.queues.depth(DEAD))
        gone = depth.visible - len(self.dead)
        assert gone >= 0
        for each in [each for each in self.fifo if each.receives >= MAX_RECEIVES][:gone]:
            self._bury(each)

    @rule(limit=st.integers(1, 6), visibility_s=st.sampled_from([1, 30]))
    def receive_standard(self, limit: int, visibility_s: int) -> None:
        now = self.clock.now_ms()
        found = self._run(self.queues.receive(STANDARD, max_messages=limit, visibility_s=visibility_s))
        visible = {each.body: each for each in self.standard if each.hidden_until_ms <= now}
        assert len(found) == min(limit, len(visible))
        for message in found:
            each = visible.pop(message.body)
            each.receives += 1
            each.hidden_until_ms, each.handle = now + 1000 * visibility_s, message.receipt_handle

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        now = self.clock.now_ms()
        for arn, kept in ((FIFO, self.fifo), (STANDARD, self.standard)):
            held = [each for each in kept if each.handle]
            if not held:
                continue
            each = data.draw(st.sampled_from(held))
            (error,) = self._run(self.queues.delete_batch(arn, [each.handle]))
            if arn == FIFO and each.hidden_until_ms <= now:
                assert error is not None
                assert error.message.endswith("The receipt handle has expired.")
            else:
                assert error is None
                kept.remove(each)

    @rule(data=st.data(), visibility_s=st.sampled_from([0, 5]))
    def change_visibility(self, data: st.DataObject, visibility_s: int) -> None:
        now = self.clock.now_ms()
        for arn, kept in ((FIFO, self.fifo), (STANDARD, self.standard)):
            held = [each for each in kept if each.handle]
            if not held:
                continue
            each = data.draw(st.sampled_from(held))
            (error,) = self._run(self.queues.change_visibility_batch(arn, [(each.handle, visibility_s)]))
            if arn == FIFO and each.hidden_until_ms <= now:
                assert error is not None
            else:
                assert error is None
                each.hidden_until_ms = now + 1000 * visibility_s

    @rule(delay_s=st.sampled_from([0.5, 1, 30]))
    def time_passes(self, delay_s: float) -> None:
        self.clock.advance(delay_s)

    @rule()
    def restart(self) -> None:
        self._run(self.store.close())
        self._open()

    @invariant()
    def counts_hold(self) -> None:
        now = self.clock.now_ms()
        for arn, kept in ((FIFO, self.fifo), (STANDARD, self.standard)):
            depth = self._run(self.queues.depth(arn))
            hidden = sum(each.hidden_until_ms > now for each in kept)
            assert (depth.visible, depth.in_flight, depth.delayed) == (len(kept) - hidden, hidden, 0)


TestQueuesModel = QueuesMachine.TestCase
TestQueuesModel.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
