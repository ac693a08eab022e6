"""What notifications ask of the rooms that they go to; `assembly/notifications.py` wires them."""

from dataclasses import dataclass
from typing import Any, Protocol

from cosset.services.s3.model import Bucket
from cosset.services.s3.notification_model import Target
from cosset.store.transaction import Transaction


class TargetRefusedError(Exception):
    """The target does not take it: it has gone, or does not let this bucket in. The text is AWS's sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The bucket that speaks, as the target's policy is asked of it. Kept with every notification: whoever makes a
    bucket of the same name later speaks for himself alone."""

    bucket_arn: str
    account: str

    @classmethod
    def of(cls, bucket: Bucket) -> "Source":
        return cls(bucket_arn=bucket.arn, account=bucket.account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A text on its way. `id` stays over every attempt; `trace_id` carries the lineage of what caused it. `cause` is
    the key of the change of an object that it tells of; empty for a test."""

    id: str
    target: Target
    source: Source
    text: str
    trace_id: str
    cause: str = ""


class NotificationTargets(Protocol):
    async def check(self, target: Target, source: Source) -> None:
        """Returns when the target would take what the bucket says. Raises: TargetRefusedError, ServiceError."""
        ...

    async def deliver(self, notification: Notification) -> None:
        """Returns when the notification is durable there.

        Raises:
            TargetRefusedError: not as things are.
            ServiceError: not now.
        """
        ...


class NearTargets(Protocol):
    """Targets that may have a notification at once, without the way through the outbox."""

    def deliver_within(self, tx: Transaction, notification: Notification) -> bool:
        """In the transaction that makes it so, where it is known that the target takes it. False: nothing was done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BusEntry:
    """An event for the default bus of the bucket's account, as PutEvents takes them."""

    account: str
    region: str
    source: str
    detail_type: str
    detail: dict[str, Any]
    resources: tuple[str, ...]
    time_ms: int
    trace_id: str


class EventBus(Protocol):
    """EventBridge. Where it is not served, no bucket can be told to use it."""

    def put(self, tx: Transaction, entry: BusEntry) -> None:
        """In the transaction that makes it so."""
        ...
