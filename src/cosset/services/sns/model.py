"""What a topic, a subscription and a published message are. Values only."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from cosset.services.sns.errors import invalid

FIFO_SUFFIX = ".fifo"
BODY_SCOPE = "MessageBody"


@dataclass(frozen=True, slots=True)
class TopicKey:
    """Which topic: names are unique within an account and a region."""

    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:sns:{self.region}:{self.account}:{self.name}"

    @property
    def is_fifo(self) -> bool:
        return self.name.endswith(FIFO_SUFFIX)

    @classmethod
    def of_arn(cls, arn: str, parameter: str = "TopicArn") -> "TopicKey":
        """Raises ServiceError InvalidParameter, as it is recorded (test_publish_wrong_arn_format)."""
        parts = _elements(arn, parameter)
        if parts[:3] != ["arn", "aws", "sns"] or len(parts) != 6 or not all(parts[3:]):
            raise invalid(parameter)
        return cls(parts[4], parts[3], parts[5])


@dataclass(frozen=True, slots=True)
class SubscriptionKey:
    topic: TopicKey
    id: str

    @property
    def arn(self) -> str:
        return f"{self.topic.arn}:{self.id}"

    @classmethod
    def of_arn(cls, arn: str) -> "SubscriptionKey":
        """Raises ServiceError InvalidParameter."""
        parts = _elements(arn, "SubscriptionArn")
        if parts[:3] == ["arn", "aws", "sns"] and len(parts) == 6:  # a topic's: what follows it is missing
            raise invalid("SubscriptionId")
        if parts[:3] != ["arn", "aws", "sns"] or len(parts) != 7 or not all(parts[3:]):
            raise invalid("SubscriptionArn")
        return cls(TopicKey(parts[4], parts[3], parts[5]), parts[6])


def _elements(arn: str, parameter: str) -> list[str]:
    parts = arn.split(":")
    if len(parts) < 6:
        raise invalid(f"{parameter} Reason: An ARN must have at least 6 elements, not {len(parts)}")
    return parts


@dataclass(frozen=True, slots=True)
class Topic:
    key: TopicKey
    attributes: Mapping[str, str]
    policy: str
    data_protection_policy: str | None
    tags: Mapping[str, str]
    subscriptions_deleted: int
    sequence: int

    @property
    def deduplicates_by_content(self) -> bool:
        return self.attributes.get("ContentBasedDeduplication") == "true"

    @property
    def deduplicates_by_group(self) -> bool:
        return self.attributes.get("FifoThroughputScope") == "MessageGroup"


class SubscriptionState(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    REMOVED = "removed"
    """Ended, but the token in its last message brings it back."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """`token` confirms it, until `token_until_ms`; None where nothing need be confirmed. `principal` is the ARN of who
    subscribed. `authenticated`: who confirmed it signed; `authenticates_unsubscribe`: so must who ends it."""

    key: SubscriptionKey
    owner: str
    principal: str
    protocol: str
    endpoint: str
    attributes: Mapping[str, str]
    state: SubscriptionState
    token: str | None
    token_until_ms: int
    authenticated: bool
    authenticates_unsubscribe: bool

    @property
    def is_raw(self) -> bool:
        return self.attributes.get("RawMessageDelivery") == "true"

    @property
    def dead_letter_arn(self) -> str | None:
        text = self.attributes.get("RedrivePolicy")
        return str(json.loads(text)["deadLetterTargetArn"]) if text else None


@dataclass(frozen=True, slots=True)
class MessageAttribute:
    """One attribute: `value` is a text, of a Binary one its base64 form."""

    data_type: str
    value: str

    @property
    def kind(self) -> str:
        """`String`, `Number`, `Binary` or `String.Array`; without the label that a caller may add."""
        return self.data_type if self.data_type == "String.Array" else self.data_type.split(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One message as it was accepted, for one protocol.

    `url` is where the caller found this server: links in the message start with it. `trace_id` carries the lineage on.
    `number` is the sequence number of a FIFO topic's message.
    """

    id: str
    topic_arn: str
    text: str
    sent_ms: int
    url: str
    subject: str | None = None
    attributes: Mapping[str, MessageAttribute] = field(default_factory=dict)
    group: str | None = None
    deduplication_id: str | None = None
    number: str | None = None
    trace_id: str = ""
    type: str = "Notification"
    token: str | None = None

    def head(self) -> str:
        """What is the same for every subscription; see `pack`."""
        head = asdict(self)
        head["attributes"] = {name: [each.data_type, each.value] for name, each in self.attributes.items()}
        return json.dumps(head, separators=(",", ":"))


def pack(subscription_arn: str, head: str) -> bytes:
    """A message as it waits in the queue of deliveries."""
    return f"[{json.dumps(subscription_arn)},{head}]".encode()


def unpack(data: bytes) -> tuple[SubscriptionKey, Published]:
    """The reverse of `pack`; also of what was marked since (paces.py)."""
    arn, head, *_ = json.loads(data)
    attributes: Mapping[str, Any] = head.pop("attributes")
    kept = {name: MessageAttribute(*each) for name, each in attributes.items()}
    return SubscriptionKey.of_arn(arn), Published(attributes=kept, **head)
