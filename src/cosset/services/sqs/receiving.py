"""Messages on their way out: leased, dropped when they are too old, moved when they were received too often."""

from collections.abc import Sequence
from dataclasses import dataclass

from cosset.clock import Clock
from cosset.services.sqs.attempts import remember, repeat
from cosset.services.sqs.book import QueueRecord
from cosset.services.sqs.envelope import Envelope
from cosset.services.sqs.flights import Flights
from cosset.services.sqs.model import ReceivedMessage
from cosset.services.sqs.receipts import make_handle
from cosset.services.sqs.sequence import sequence_number
from cosset.services.sqs.shelves import Shelves
from cosset.store.fairness import Fairness
from cosset.store.queue import Draft, Message
from cosset.store.transaction import Transaction

_MAX_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was moved. `came_from`: it stood in this queue as a dead letter already."""

    id: str
    source_arn: str
    target_arn: str
    came_from: str | None
    trace_header: str | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a receive comes to: the messages, and those that were moved on the way."""

    messages: list[ReceivedMessage]
    moved: list[DeadLetter]


class Receiving:
    def __init__(self, shelves: Shelves, clock: Clock) -> None:
        self._shelves = shelves
        self._clock = clock
        self._flights = Flights()
        self._fairness: dict[str, Fairness] = {}

    def receive(
        self,
        tx: Transaction,
        record: QueueRecord,
        dead_letters: QueueRecord | None,
        limit: int,
        visibility_s: int | None,
        attempt: str | None = None,
    ) -> Taken:
        """`dead_letters` is the queue that the redrive policy names, where there is one; `attempt` the
        ReceiveRequestAttemptId of a receive from a FIFO queue.

        Raises ServiceError OverLimit.
        """
        shelf, settings = self._shelves.of(record), record.settings
        lease_ms = 1000 * (settings.visibility_s if visibility_s is None else visibility_s)
        now_ms = self._clock.now_ms()
        if attempt is not None:
            again = repeat(tx, shelf, record.uid, attempt, now_ms, lease_ms)
            if again is not None:
                messages, received_ms = again
                return Taken([_received(record, message, received_ms) for message in messages], [])
        limit = self._flights.room(tx, shelf, record, limit)
        if limit == 0:
            return Taken([], [])
        moved: list[DeadLetter] = []

        def keep(tx: Transaction, message: Message) -> bool:
            return not self._ended(tx, record, dead_letters, message, moved)

        fairness = None if settings.is_fifo else self._fairness_of(record)
        leased = shelf.lease(tx, limit=limit, lease_ms=lease_ms, group_limit=limit, keep=keep, fairness=fairness)
        self._flights.taken(record, len(leased))
        if attempt is not None:
            remember(tx, record.uid, attempt, leased, now_ms)
        return Taken([_received(record, message, now_ms) for message in leased], moved)

    def entrust(
        self, tx: Transaction, record: QueueRecord, drafts: Sequence[Draft], visibility_s: int
    ) -> list[ReceivedMessage]:
        """What is sent to a standard queue and received at once. Raises ServiceError OverLimit.

        As many as there is room for: those from the front.
        """
        shelf, now_ms = self._shelves.of(record), self._clock.now_ms()
        room = self._flights.room(tx, shelf, record, len(drafts))
        self._flights.taken(record, room)
        leased = [shelf.put_for(tx, draft, 1000 * visibility_s) for draft in drafts[:room]]
        return [_received(record, message, now_ms) for message in leased]

    def is_full(self, record: QueueRecord) -> bool:
        """Whether the queue gives nothing because too much of it is in flight."""
        return self._flights.is_full(record)

    def _fairness_of(self, record: QueueRecord) -> Fairness:
        if len(self._fairness) >= _MAX_KEPT:
            self._fairness.clear()
        return self._fairness.setdefault(record.uid, Fairness())

    def _ended(
        self,
        tx: Transaction,
        record: QueueRecord,
        dead_letters: QueueRecord | None,
        message: Message,
        moved: list[DeadLetter],
    ) -> bool:
        settings = record.settings
        if self._clock.now_ms() - message.sent_at_ms >= 1000 * settings.retention_s:
            return True
        if settings.redrive is None or dead_letters is None or message.attempts <= settings.redrive.max_receives:
            return False
        if not dead_letters.settings.allows.allows(record.key):
            return False
        before = Envelope.unpack(message.body)
        envelope = before.moved_from(record.key.arn)
        # Its age counts from when it was first sent; in a FIFO queue, from when it was moved.
        draft = Draft(
            id=message.id,
            body=envelope.pack(),
            group=message.group,
            tenant=before.group_id,
            sent_at_ms=None if settings.is_fifo else message.sent_at_ms,
            attempts=message.attempts - 1,
            first_received_at_ms=message.first_received_at_ms,
        )
        self._shelves.of(dead_letters).put(tx, draft)
        source, target = record.key.arn, dead_letters.key.arn
        moved.append(DeadLetter(message.id, source, target, before.dead_letter_source, before.trace_header))
        return True


def _received(record: QueueRecord, message: Message, received_ms: int) -> ReceivedMessage:
    envelope = Envelope.unpack(message.body)
    system = {
        "SenderId": envelope.sender_id,
        "SentTimestamp": str(message.sent_at_ms),
        "ApproximateReceiveCount": str(message.attempts),
        "ApproximateFirstReceiveTimestamp": str(message.first_received_at_ms),
    }
    further = {
        "SequenceNumber": sequence_number(message.seq) if record.settings.is_fifo else None,
        "MessageGroupId": envelope.group_id,
        "MessageDeduplicationId": envelope.deduplication_id if record.settings.is_fifo else None,
        "AWSTraceHeader": envelope.trace_header,
        "DeadLetterQueueSourceArn": envelope.dead_letter_source,
    }
    return ReceivedMessage(
        id=message.id,
        receipt_handle=make_handle(record.secret, record.uid, message.lease, received_ms),
        body=envelope.body,
        system=system | {name: value for name, value in further.items() if value is not None},
        attributes=envelope.attributes,
    )
