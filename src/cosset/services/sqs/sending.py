"""Messages on their way into a queue: checked before the transaction, written within it."""

import hashlib
from collections.abc import Sequence

from cosset.clock import Clock
from cosset.services.sqs.attributes import MAX_MESSAGE_BYTES
from cosset.services.sqs.book import QueueRecord
from cosset.services.sqs.envelope import Envelope
from cosset.services.sqs.message_rules import check_message, check_order, size_of
from cosset.services.sqs.model import NewMessage, SentMessage
from cosset.services.sqs.sequence import sequence_number
from cosset.services.sqs.shelves import Shelves
from cosset.store.queue import Draft, DurableQueue
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

Outcome = SentMessage | ServiceError


class Sending:
    def __init__(self, shelves: Shelves, clock: Clock) -> None:
        self._shelves = shelves
        self._clock = clock

    def prepare(
        self, record: QueueRecord, messages: Sequence[NewMessage], sender_id: str, *, in_batch: bool
    ) -> list[Draft | ServiceError]:
        """The drafts; in the place of each that the queue does not take, why. Raises what refuses all of them."""
        for message in messages:
            check_order(message, record.settings)
        if in_batch and (total := sum(map(size_of, messages))) > MAX_MESSAGE_BYTES:
            raise ServiceError(
                "BatchRequestTooLong",
                f"Batch requests cannot be longer than {MAX_MESSAGE_BYTES} bytes. You have sent {total} bytes.",
            )
        return [self._prepare_one(record, message, sender_id, in_batch=in_batch) for message in messages]

    def send(self, tx: Transaction, record: QueueRecord, drafts: Sequence[Draft | ServiceError]) -> list[Outcome]:
        shelf = self._shelves.of(record)
        if record.settings.is_fifo:
            shelf.deduplication.forget_sometimes(tx)
            return [each if isinstance(each, ServiceError) else _put(tx, shelf, each) for each in drafts]
        ids = iter(shelf.put_many(tx, [each for each in drafts if not isinstance(each, ServiceError)]))
        return [each if isinstance(each, ServiceError) else SentMessage(next(ids)) for each in drafts]

    def _prepare_one(
        self, record: QueueRecord, message: NewMessage, sender_id: str, *, in_batch: bool
    ) -> Draft | ServiceError:
        settings = record.settings
        try:
            check_message(message, settings, in_batch=in_batch)
        except ServiceError as error:
            return error
        deduplication_id = message.deduplication_id
        if settings.is_fifo and deduplication_id is None:
            deduplication_id = hashlib.sha256(message.body.encode()).hexdigest()
        body = Envelope.of(message, sender_id, deduplication_id).pack()
        # A FIFO queue knows no delay of a message's own: zero means the queue's.
        own_delay_s = (message.delay_s or None) if settings.is_fifo else message.delay_s
        delay_ms = 1000 * (settings.delay_s if own_delay_s is None else own_delay_s)
        if not settings.is_fifo:
            return Draft(body=body, delay_ms=delay_ms, tenant=message.group_id)
        scope = f"{message.group_id}\n" if settings.deduplicates_by_group else "\n"
        return Draft(
            body=body, delay_ms=delay_ms, group=message.group_id, deduplication_id=f"{scope}{deduplication_id}"
        )


def _put(tx: Transaction, shelf: DurableQueue, draft: Draft) -> SentMessage:
    sent = shelf.put(tx, draft)
    return SentMessage(sent.id, sequence_number(sent.seq))
