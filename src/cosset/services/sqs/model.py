"""What a queue and a message are to SQS. Values only; `queues.py` is what one does with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cosset.identity.arn import Arn

FIFO_SUFFIX = ".fifo"


@dataclass(frozen=True, slots=True)
class QueueKey:
    """Which queue: names are unique within an account and a region."""

    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{self.region}:{self.account}:{self.name}"

    @classmethod
    def of_arn(cls, text: str) -> "QueueKey | None":
        """None for what is no ARN of a queue."""
        arn = Arn.parse(text)
        if arn is None or arn.service != "sqs" or not arn.region or not arn.account or ":" in arn.resource:
            return None
        return cls(arn.account, arn.region, arn.resource)


@dataclass(frozen=True, slots=True)
class AttributeValue:
    """One message attribute. `data_type` is String, Number or Binary, perhaps with a label (`Number.int`)."""

    data_type: str
    string: str | None = None
    binary: bytes | None = None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be sent. `delay_s` None: the queue's own delay. `trace_header` is AWSTraceHeader."""

    body: str
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    trace_header: str | None = None
    group_id: str | None = None
    deduplication_id: str | None = None
    delay_s: int | None = None


@dataclass(frozen=True, slots=True)
class SentMessage:
    """What became of it. A duplicate within five minutes has the id and the sequence number of the first."""

    id: str
    sequence_number: str | None = None


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message in flight. `system` are its system attributes by AWS's names, all texts: SenderId, SentTimestamp,
    ApproximateReceiveCount, ApproximateFirstReceiveTimestamp, and where there are such: SequenceNumber,
    MessageDeduplicationId, MessageGroupId, AWSTraceHeader, DeadLetterQueueSourceArn."""

    id: str
    receipt_handle: str
    body: str
    system: Mapping[str, str]
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What a consumer must know of a queue."""

    arn: str
    is_fifo: bool
    visibility_s: int
    wait_s: int
    max_receives: int | None = None
    """Of its redrive policy; None without a dead-letter queue."""


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages a queue has. Approximate for long queues."""

    visible: int
    in_flight: int
    delayed: int
