"""A message as the durable queue keeps it: a line of JSON with all that is not the body, then the body."""

import base64
import json
from dataclasses import dataclass, field, replace
from typing import Any

from cosset.services.sqs.model import AttributeValue, NewMessage


@dataclass(frozen=True, slots=True)
class Envelope:
    """`dead_letter_source` is the ARN of the queue that the message was moved from for its receive count."""

    body: str
    sender_id: str
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    trace_header: str | None = None
    group_id: str | None = None
    deduplication_id: str | None = None
    dead_letter_source: str | None = None

    @classmethod
    def of(cls, message: NewMessage, sender_id: str, deduplication_id: str | None) -> "Envelope":
        return cls(
            message.body,
            sender_id,
            dict(message.attributes),
            message.trace_header,
            message.group_id,
            deduplication_id,
        )

    def moved_from(self, source_arn: str | None) -> "Envelope":
        return replace(self, dead_letter_source=source_arn)

    def pack(self) -> bytes:
        head: dict[str, Any] = {"sender": self.sender_id}
        if self.attributes:
            head["attributes"] = {name: _packed(value) for name, value in self.attributes.items()}
        for name in ("trace_header", "group_id", "deduplication_id", "dead_letter_source"):
            value = getattr(self, name)
            if value is not None:
                head[name] = value
        return json.dumps(head, separators=(",", ":")).encode() + b"\n" + self.body.encode()

    @classmethod
    def unpack(cls, data: bytes) -> "Envelope":
        head, _, body = data.partition(b"\n")
        read = json.loads(head)
        attributes = {name: _unpacked(value) for name, value in read.pop("attributes", {}).items()}
        return cls(body.decode(), read.pop("sender"), attributes, **read)


def _packed(value: AttributeValue) -> list[str]:
    if value.binary is not None:
        return [value.data_type, base64.b64encode(value.binary).decode(), "binary"]
    return [value.data_type, value.string or ""]


def _unpacked(packed: list[str]) -> AttributeValue:
    if len(packed) == 3:
        return AttributeValue(packed[0], binary=base64.b64decode(packed[1]))
    return AttributeValue(packed[0], packed[1])
