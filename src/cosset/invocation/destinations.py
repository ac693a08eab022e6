"""Where the records of ended events go: the port that a service implements to be a destination or a dead-letter queue.

What is not in the directory cannot be configured, and the Lambda API says so by name. Read next: deliveries.py, which
keeps a delivery until its destination has taken it; testing/destination.py, the double for tests.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One record on its way, or, for a dead-letter queue, the event itself.

    `id` stays the same over every attempt, so that a destination can know a record that comes twice. `source_arn` is
    the function that the event was for, qualified; `condition` how the event ended (`Success`, `RetriesExhausted`,
    `EventAgeExceeded`, ...). `attributes` are those of a dead-letter message: `RequestID`, `ErrorCode` (a number),
    `ErrorMessage`. `role` is the function's, by whose rights it is delivered. `trace_id` carries the lineage on.
    """

    id: str
    target_arn: str
    source_arn: str
    condition: str
    role: str
    trace_id: str
    sent_ms: int
    body: bytes = b""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def function_arn(self) -> str:
        """Unqualified."""
        return ":".join(self.source_arn.split(":")[:7])

    def pack(self) -> bytes:
        """A JSON line, then the body as it is."""
        head = asdict(replace(self, body=b""))
        del head["body"]
        return json.dumps(head, separators=(",", ":")).encode() + b"\n" + self.body

    @classmethod
    def unpack(cls, data: bytes) -> "Delivery":
        head, _, body = data.partition(b"\n")
        return cls(body=body, **json.loads(head))


class DeliveryRefusedError(Exception):
    """The destination will never take this record: it is too large, or the destination has gone."""


class Destination(Protocol):
    """One service that takes records, for all ARNs of its kind.

    `action` is what the function's role must be allowed on the ARN (`lambda:InvokeFunction`, `sqs:SendMessage`); who
    delivers asks for it before, and who configures too.
    """

    @property
    def action(self) -> str: ...

    async def accepts(self, target_arn: str, *, source_arn: str) -> bool:
        """Whether there is such a place within the function's reach. Asked when it is configured."""
        ...

    async def deliver(self, delivery: Delivery) -> None:
        """Returns when the record is durable there. May be called again with the same delivery.

        Raises:
            DeliveryRefusedError: it never will be.
            ServiceError: not now; the delivery comes again, with back-off, for six hours.
        """
        ...


class DeliveryRights(Protocol):
    """Asks IAM; identity/role_rights.py implements it."""

    async def may(self, role_arn: str, function_arn: str, action: str, resource: str) -> bool:
        """Whether the function's role allows the action. `function_arn` is unqualified."""
        ...


class DestinationDirectory(Protocol):
    """Finds the destination of an ARN."""

    def find(self, target_arn: str) -> Destination | None:
        """By the service in the ARN (`sqs`, `lambda`, ...); None when that service is not there."""
        ...


class Destinations:
    """The DestinationDirectory of a node; the composition root fills it as it makes the services."""

    def __init__(self) -> None:
        self._by_service: dict[str, Destination] = {}

    def serve(self, service: str, destination: Destination) -> None:
        self._by_service[service] = destination

    def find(self, target_arn: str) -> Destination | None:
        return self._by_service.get(service_of(target_arn))


def resource_of(target_arn: str, key: str) -> str:
    """What a function's role must be allowed the destination's action on: of a bucket the object `key` in it."""
    return f"{target_arn}/{key}" if service_of(target_arn) == "s3" else target_arn


def service_of(arn: str) -> str:
    """`sqs` of an SQS queue's ARN; empty for what is no ARN."""
    parts = arn.split(":", 3)
    return parts[2] if len(parts) == 4 and parts[0] == "arn" else ""
