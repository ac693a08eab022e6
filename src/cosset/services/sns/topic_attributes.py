"""The attributes of topics: which there are, what each may be, how they are shown."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from cosset.services.sns.delivery_policy import check_delivery_policy, effective_policy
from cosset.services.sns.errors import invalid
from cosset.services.sns.model import FIFO_SUFFIX, Topic
from cosset.services.sns.topic_policy import check_policy
from cosset.wire.errors import OperationNotImplementedError

_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
_FEEDBACK = re.compile(
    r"(Application|HTTP|Lambda|SQS|Firehose)((Success|Failure)FeedbackRoleArn|SuccessFeedbackSampleRate)"
)
_FIFO_ONLY = ("ContentBasedDeduplication", "FifoThroughputScope", "ArchivePolicy")
_KEPT_ELSEWHERE = ("Policy",)


def check_name(name: str, attributes: Mapping[str, str]) -> None:
    """Raises ServiceError InvalidParameter; recorded: test_create_topic_name_constraints."""
    fifo = attributes.get("FifoTopic") == "true"
    bare = name.removesuffix(FIFO_SUFFIX) if fifo else name
    if not _NAME.fullmatch(bare) or len(name) > 256 or name.endswith(FIFO_SUFFIX) != fifo:
        raise invalid("Topic Name")


def check_attributes(attributes: Mapping[str, str], *, is_fifo: bool) -> None:
    """Those that CreateTopic is given. Raises ServiceError InvalidParameter."""
    for name, value in attributes.items():
        if name == "FifoTopic":
            if value not in ("true", "false"):
                raise invalid("Attributes Reason: FifoTopic: Invalid value [" + value + "]")
            continue
        check_attribute(name, value, is_fifo=is_fifo, opening="Attributes Reason: ", unknown="Attributes")


def check_attribute(name: str, value: str, *, is_fifo: bool, opening: str = "", unknown: str = "AttributeName") -> None:
    """`opening` is where the sentence begins, `unknown` what is said of a name that there is not."""
    if name in _FIFO_ONLY and not is_fifo:
        raise invalid(f"{opening}{name}: This attribute is only supported for FIFO topics" if opening else name)
    if _FEEDBACK.fullmatch(name):
        raise OperationNotImplementedError("sns", f"delivery status logging ({name})")
    check = _CHECKS.get(name)
    if check is None:
        raise invalid(f"{unknown} Reason: Unknown attribute {name}" if opening else unknown)
    problem = check(value)
    if problem is not None:
        raise invalid(f"{opening}{name}: {problem}" if problem else f"{opening}{name}")


def shown_attributes(topic: Topic, confirmed: int, pending: int) -> dict[str, str]:
    shown = {
        "TopicArn": topic.key.arn,
        "Owner": topic.key.account,
        "Policy": topic.policy,
        "DisplayName": "",
        "SubscriptionsConfirmed": str(confirmed),
        "SubscriptionsPending": str(pending),
        "SubscriptionsDeleted": str(topic.subscriptions_deleted),
        "EffectiveDeliveryPolicy": json.dumps(effective_policy(topic.attributes.get("DeliveryPolicy"))),
    }
    if topic.key.is_fifo:
        shown |= {"FifoTopic": "true", "ContentBasedDeduplication": "false"}
    return shown | dict(topic.attributes)


def kept_attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    """Without what is kept apart; empty values mean that nothing is set."""
    apart = (*_KEPT_ELSEWHERE, "FifoTopic")
    return {name: value for name, value in attributes.items() if name not in apart and value != ""}


def _one_of(*allowed: str) -> Callable[[str], str | None]:
    return lambda value: (
        None if value in allowed else f"Invalid value [{value}]. Valid values are: [{', '.join(allowed)}]"
    )


def _display_name(value: str) -> str | None:
    return "" if len(value) > 100 or any(ord(character) < 32 for character in value) else None


def _policy(value: str) -> str | None:
    check_policy(value)
    return None


def _delivery_policy(value: str) -> str | None:
    check_delivery_policy(value)
    return None


def _archive(value: str) -> str | None:
    raise OperationNotImplementedError("sns", "archiving of messages (ArchivePolicy)")


def _anything(value: str) -> str | None:
    return None


_CHECKS: Mapping[str, Callable[[str], Any]] = {
    "DisplayName": _display_name,
    "Policy": _policy,
    "DeliveryPolicy": _delivery_policy,
    "SignatureVersion": _one_of("1", "2"),
    "TracingConfig": _one_of("PassThrough", "Active"),
    "ContentBasedDeduplication": _one_of("true", "false"),
    "FifoThroughputScope": _one_of("Topic", "MessageGroup"),
    "KmsMasterKeyId": _anything,
    "ArchivePolicy": _archive,
}
