"""Queues: what SQS's handlers, event source mappings, destinations and topics do with them, by a queue's ARN.

For other rooms (they see a port of their own, wired in assembly/queues.py):

    facts(arn) -> QueueFacts | None                    None: there is no such queue
    receive(arn, max_messages=, visibility_s=, wait_s=, cancelled=) -> [ReceivedMessage]
                                                       returns at once when something comes; [] at the end of the wait
    delete_batch(arn, [receipt_handle]) -> [ServiceError | None]
    change_visibility_batch(arn, [(receipt_handle, seconds)]) -> [ServiceError | None]
    send(arn, NewMessage, sender_id=) -> SentMessage   durable when it returns
    wait(arn, timeout_s) -> bool                       returns when something may be receivable
    depth(arn) -> Depth

None of them asks IAM: who calls has asked. All raise ServiceError QueueDoesNotExist where there is no such queue.
Next: receiving.py, sending.py, handing.py, holding.py, and book.py for the records.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from cosset.clock import Clock
from cosset.observe.causes import CauseRecorder, Unrecorded
from cosset.observe.metrics import MetricWriter
from cosset.services.sqs.book import QueueBook, QueueRecord, StaleRecordError, confirm, confirmed
from cosset.services.sqs.depths import Depths
from cosset.services.sqs.errors import no_such_queue
from cosset.services.sqs.handing import Handing, Waiter
from cosset.services.sqs.holding import change_held, delete_held
from cosset.services.sqs.message_rules import size_of
from cosset.services.sqs.metering import QueueMeter
from cosset.services.sqs.model import Depth, NewMessage, QueueFacts, QueueKey, ReceivedMessage, SentMessage
from cosset.services.sqs.moves import dead_letter_step
from cosset.services.sqs.receiving import Receiving, Taken
from cosset.services.sqs.sending import Outcome, Sending
from cosset.services.sqs.shelves import Shelves
from cosset.store.database import Store, Transaction
from cosset.store.queue import Draft
from cosset.wire.errors import ServiceError

T = TypeVar("T")

MAX_AT_ONCE = 100
logger = logging.getLogger(__name__)

_MAX_TRIES = 5
_LIMIT_PAUSE_S = 1.0


class Queues:
    """One for all of a node: only who waits here is handed what is sent here. Any number of nodes share a store."""

    def __init__(
        self, store: Store, clock: Clock, metrics: MetricWriter | None = None, causes: CauseRecorder | None = None
    ) -> None:
        self._causes = causes or Unrecorded()
        self._meter = QueueMeter(metrics)
        self.book = QueueBook(store, clock)
        self._store = store
        self._clock = clock
        self._shelves = Shelves(store, clock)
        self._sending = Sending(self._shelves, clock)
        self._receiving = Receiving(self._shelves, clock)
        self._handing = Handing(self._sending, self._receiving)
        self._depths = Depths(self._shelves, store, clock)

    async def facts(self, queue_arn: str) -> QueueFacts | None:
        """None when there is no such queue."""
        key = QueueKey.of_arn(queue_arn)
        record = None if key is None else await self.book.find(key)
        if record is None:
            return None
        settings = record.settings
        max_receives = None if settings.redrive is None else settings.redrive.max_receives
        return QueueFacts(queue_arn, settings.is_fifo, settings.visibility_s, settings.wait_s, max_receives)

    async def receive(
        self,
        queue_arn: str,
        *,
        max_messages: int = 10,
        visibility_s: int | None = None,
        wait_s: float = 0,
        cancelled: asyncio.Event | None = None,
        attempt: str | None = None,
    ) -> list[ReceivedMessage]:
        """Up to `max_messages` (at most 100), in flight for `visibility_s` (None: the queue's).

        Waits up to `wait_s` for the first of them, or until `cancelled` is set. Of a FIFO queue in order: messages of
        one group may come together; the group gives no others until all of them are deleted or visible again. The same
        `attempt` again gets the same messages of a FIFO queue (attempts.py).
        """
        key = _key_of(queue_arn)
        deadline_s = self._clock.monotonic_s() + wait_s
        cancelled = cancelled or asyncio.Event()
        limit = min(max_messages, MAX_AT_ONCE)
        # Who waits anyway, and knows that there is nothing now, need not look.
        found: list[ReceivedMessage] = []
        is_quiet = wait_s > 0 and attempt is None and await self._is_quiet(key)
        while True:
            if not found and not is_quiet:
                found = await self._receive_once(key, limit, visibility_s, attempt)
            is_quiet = False
            left_s = deadline_s - self._clock.monotonic_s()
            if found and cancelled.is_set():
                # Whoever waited has gone: the next one shall not wait for the visibility timeout.
                await self.change_visibility_batch(queue_arn, [(each.receipt_handle, 0) for each in found])
                return []
            if found or left_s <= 0 or cancelled.is_set():
                self._meter.received(key, len(found))
                return found
            if attempt is None:
                found = await self._wait_for_sender(key, left_s, cancelled, limit, visibility_s)
            else:
                await self._wait(key, left_s, cancelled)

    async def delete_batch(self, queue_arn: str, receipt_handles: Sequence[str]) -> list[ServiceError | None]:
        """One answer for each handle, None where the message is gone now."""

        def work(tx: Transaction, record: QueueRecord) -> list[ServiceError | None]:
            return delete_held(tx, record, self._shelves.of(record), receipt_handles, self._clock.now_ms())

        key = _key_of(queue_arn)
        answers = await self._write(key, work)
        self._meter.deleted(key, answers.count(None))
        return answers

    async def change_visibility_batch(
        self, queue_arn: str, changes: Sequence[tuple[str, int]]
    ) -> list[ServiceError | None]:
        """Each (receipt handle, seconds from now; 0: visible at once). One answer for each."""

        def work(tx: Transaction, record: QueueRecord) -> list[ServiceError | None]:
            return change_held(tx, record, self._shelves.of(record), changes, self._clock.now_ms())

        return await self._write(_key_of(queue_arn), work)

    async def send(self, queue_arn: str, message: NewMessage, *, sender_id: str) -> SentMessage:
        """Durable when it returns. Raises ServiceError for what the queue does not take."""
        (outcome,) = await self.send_batch(queue_arn, [message], sender_id=sender_id, in_batch=False)
        if isinstance(outcome, ServiceError):
            raise outcome
        return outcome

    async def send_batch(
        self, queue_arn: str, messages: Sequence[NewMessage], *, sender_id: str, in_batch: bool = True
    ) -> list[Outcome]:
        """All in one transaction, but for those that the queue does not take: their answers are ServiceErrors.

        Raises ServiceError for what makes AWS refuse a batch whole.
        """

        key = _key_of(queue_arn)
        for _ in range(_MAX_TRIES):
            record = await self.book.get(key)
            drafts = self._sending.prepare(record, messages, sender_id, in_batch=in_batch)
            is_due = any(not isinstance(each, ServiceError) and not each.delay_ms for each in drafts)
            waiter = self._handing.claim(record) if is_due else None
            if waiter is None:
                sent = await self._try(record, lambda tx, record, drafts=drafts: self._sending.send(tx, record, drafts))  # type: ignore[misc]
            else:
                sent = await self._send_to(waiter, record, drafts)
            if sent is not None:
                pairs = zip(messages, sent, strict=True)
                self._meter.sent(key, [size_of(each) for each, done in pairs if isinstance(done, SentMessage)])
                return sent
        raise _never_still(key)

    async def wait(self, queue_arn: str, timeout_s: float) -> bool:
        """Returns when something may be receivable, or at the timeout: then False."""
        return await self._shelves.of(await self.book.get(_key_of(queue_arn))).wait(timeout_s)

    async def depth(self, queue_arn: str) -> Depth:
        return await self._depths.depth(await self._current(_key_of(queue_arn)))

    async def _send_to(
        self, waiter: Waiter, record: QueueRecord, drafts: Sequence[Draft | ServiceError]
    ) -> list[Outcome] | None:
        """As `_try`. Should the sender go away meanwhile, who waits gets what was committed for him all the same."""

        def work(tx: Transaction, record: QueueRecord) -> list[Outcome]:
            return self._handing.send_to(tx, record, drafts, waiter)

        sending = asyncio.get_running_loop().create_task(self._try(record, work))
        sending.add_done_callback(lambda _done: waiter.settle(None))  # where it has come to nothing
        return await asyncio.shield(sending)

    async def _current(self, key: QueueKey) -> QueueRecord:
        record = await self.book.read(key)
        if record is None:
            raise no_such_queue()
        return record

    async def _receive_once(
        self, key: QueueKey, limit: int, visibility_s: int | None, attempt: str | None
    ) -> list[ReceivedMessage]:
        for _ in range(_MAX_TRIES):
            record = await self.book.get(key)
            own = attempt if record.settings.is_fifo else None
            dead_letters = await self._dead_letters_of(record)

            def work(
                tx: Transaction,
                record: QueueRecord,
                target: QueueRecord | None = dead_letters,
                own: str | None = own,
            ) -> Taken:
                if target is not None:
                    confirm(tx, target)
                return self._receiving.receive(tx, record, target, limit, visibility_s, own)

            if (taken := await self._try(record, work)) is not None:
                return self._messages_of(taken)
            if dead_letters is not None:
                self.book.mistrust(dead_letters.key)
        raise _never_still(key)

    def _messages_of(self, taken: Taken) -> list[ReceivedMessage]:
        for each in taken.moved:
            self._causes.happened(dead_letter_step(each, self._clock.now_ms()))
        return taken.messages

    async def _dead_letters_of(self, record: QueueRecord) -> QueueRecord | None:
        redrive = record.settings.redrive
        return None if redrive is None else await self.book.find(redrive.target)

    async def _write(self, key: QueueKey, work: Callable[[Transaction, QueueRecord], T]) -> T:
        for _ in range(_MAX_TRIES):
            if (result := await self._try(await self.book.get(key), work)) is not None:
                return result
        raise _never_still(key)

    async def _try(self, record: QueueRecord, work: Callable[[Transaction, QueueRecord], T]) -> T | None:
        """None where the record turned out to be stale."""
        try:
            return await self._store.write(lambda tx: confirmed(tx, record, work), serializable=False)
        except StaleRecordError:
            self.book.mistrust(record.key)
            return None

    async def _is_quiet(self, key: QueueKey) -> bool:
        return self._shelves.of(await self.book.get(key)).is_quiet

    async def _wait_for_sender(
        self, key: QueueKey, timeout_s: float, cancelled: asyncio.Event, limit: int, visibility_s: int | None
    ) -> list[ReceivedMessage]:
        """As `_wait`. What a sender hands over, where one does."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        while True:
            record = await self.book.get(key)
            waiter = self._handing.add(record, await self._dead_letters_of(record), limit, visibility_s)
            watching = self._watch(record, deadline_s - self._clock.monotonic_s(), cancelled)
            for task in watching:
                task.add_done_callback(lambda _done, waiter=waiter: self._handing.leave(waiter))  # type: ignore[misc]
            try:
                taken = await waiter.handed
            finally:
                self._handing.leave(waiter)
                for task in watching:
                    task.cancel()
            found = [] if taken is None else self._messages_of(taken)
            # Where the sender found nothing to give, there is nothing to look for: that group waits for another.
            if taken is None or found or cancelled.is_set() or self._clock.monotonic_s() >= deadline_s:
                return found

    async def _wait(self, key: QueueKey, timeout_s: float, cancelled: asyncio.Event) -> None:
        """Until something may be receivable, or the time is over."""
        watching = self._watch(await self.book.get(key), timeout_s, cancelled)
        try:
            await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in watching:
                task.cancel()

    def _watch(
        self, record: QueueRecord, timeout_s: float, cancelled: asyncio.Event
    ) -> "tuple[asyncio.Task[Any], asyncio.Task[Any]]":
        """One of them ends when something may be receivable, the time is over, or whoever waits has gone. To be
        cancelled when that is of no interest any more; nobody need wait until they are."""
        loop = asyncio.get_running_loop()
        looking: asyncio.Task[None]
        if self._receiving.is_full(record):
            looking = loop.create_task(self._clock.sleep(min(timeout_s, _LIMIT_PAUSE_S)))
        else:
            looking = loop.create_task(self._look(record, timeout_s))
        return looking, loop.create_task(cancelled.wait())

    async def _look(self, record: QueueRecord, timeout_s: float) -> None:
        """Who waits looks for himself when the database fails: so he hears of it."""
        try:
            await self._shelves.of(record).wait(timeout_s)
        except ServiceError as error:
            logger.info("nobody can look what is due of the queue %s: %s", record.key.name, error)


def _key_of(arn: str) -> QueueKey:
    key = QueueKey.of_arn(arn)
    if key is None:
        raise no_such_queue()
    return key


def _never_still(key: QueueKey) -> ServiceError:
    return ServiceError("RequestThrottled", f"The queue {key.name} is being changed. Try again.", status=403)
