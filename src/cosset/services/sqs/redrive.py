"""Redrive policies: where messages go that were received too often, and whose a dead-letter queue takes.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
"""

import json
from dataclasses import dataclass
from typing import Any

from cosset.services.sqs.errors import invalid_value
from cosset.services.sqs.model import FIFO_SUFFIX, QueueKey
from cosset.wire.errors import ServiceError

MAX_RECEIVES = 1000
MAX_SOURCES = 10
_UNREADABLE = "Amazon SQS can't create the redrive policy, as it’s in an unsupported format."
_PERMISSIONS = ("allowAll", "denyAll", "byQueue")


@dataclass(frozen=True, slots=True)
class RedrivePolicy:
    """The RedrivePolicy attribute. After `max_receives` a message goes to the dead-letter queue."""

    target: QueueKey
    max_receives: int

    @property
    def text(self) -> str:
        return _compact({"deadLetterTargetArn": self.target.arn, "maxReceiveCount": self.max_receives})


@dataclass(frozen=True, slots=True)
class RedriveAllowPolicy:
    """The RedriveAllowPolicy attribute: which queues may name this one as their dead-letter queue."""

    permission: str = "allowAll"
    sources: tuple[str, ...] = ()

    def allows(self, source: QueueKey) -> bool:
        return self.permission == "allowAll" or (self.permission == "byQueue" and source.arn in self.sources)

    @property
    def text(self) -> str:
        sources = {"sourceQueueArns": list(self.sources)} if self.permission == "byQueue" else {}
        return _compact({"redrivePermission": self.permission, **sources})


def read_redrive_policy(text: str, source: QueueKey) -> RedrivePolicy:
    """Raises ServiceError InvalidParameterValue. Whether the target exists is not looked up."""
    document = _read(text)
    if document is None:
        raise _refused(text, _UNREADABLE)
    for name in ("maxReceiveCount", "deadLetterTargetArn"):
        if name not in document:
            raise _refused(text, f"Redrive policy does not contain mandatory attribute: {name}.")
    unknown = [name for name in document if name not in ("maxReceiveCount", "deadLetterTargetArn")]
    if unknown:
        raise _refused(text, f"Redrive policy contains invalid attribute: {unknown[0]}.")
    count = _whole(document["maxReceiveCount"])
    if count is None or not 1 <= count <= MAX_RECEIVES:
        shown = document["maxReceiveCount"]
        raise _refused(
            text,
            f"Invalid value for maxReceiveCount: {shown}, valid values are from 1 to {MAX_RECEIVES} both inclusive.",
        )
    arn = document["deadLetterTargetArn"]
    target = QueueKey.of_arn(arn) if isinstance(arn, str) else None
    if target is None:
        raise _refused(text, "Invalid value for deadLetterTargetArn.")
    if target.name.endswith(FIFO_SUFFIX) != source.name.endswith(FIFO_SUFFIX):
        raise _refused(text, "Dead-letter queue must be same type of queue as the source.")
    if (target.account, target.region) != (source.account, source.region):
        raise _refused(text, "Dead-letter queue must be in same account and region as the source.")
    return RedrivePolicy(target, count)


def target_missing(policy: str) -> ServiceError:
    return _refused(policy, "Dead letter target does not exist.")


def target_refuses(policy: str) -> ServiceError:
    return _refused(policy, "Queue does not have permission to use the dead letter queue.")


def read_redrive_allow_policy(text: str) -> RedriveAllowPolicy:
    """Raises ServiceError InvalidParameterValue."""
    document = _read(text)
    if document is None or document.get("redrivePermission") not in _PERMISSIONS:
        raise _allow_refused(
            text, "Amazon SQS can't create the redrive allow policy, as it’s in an unsupported format."
        )
    permission, sources = document["redrivePermission"], document.get("sourceQueueArns")
    if permission != "byQueue":
        if sources:
            raise _allow_refused(text, "sourceQueueArns can be specified only when redrivePermission is byQueue.")
        return RedriveAllowPolicy(permission)
    if not isinstance(sources, list) or not 1 <= len(sources) <= MAX_SOURCES:
        raise _allow_refused(text, f"sourceQueueArns must contain between 1 and {MAX_SOURCES} ARNs.")
    if not all(isinstance(each, str) and QueueKey.of_arn(each) is not None for each in sources):
        raise _allow_refused(text, "sourceQueueArns contains an invalid ARN.")
    return RedriveAllowPolicy(permission, tuple(sources))


def _read(text: str) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _whole(value: Any) -> int | None:
    """A count, as a number or as text: AWS takes both."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _refused(policy: str, reason: str) -> ServiceError:
    return invalid_value(policy, "RedrivePolicy", reason)


def _allow_refused(policy: str, reason: str) -> ServiceError:
    return invalid_value(policy, "RedriveAllowPolicy", reason)


def _compact(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
