"""The attributes of subscriptions: which there are, what each may be, how they are shown."""

import json
from collections.abc import Mapping
from typing import Any

from cosset.services.sns.delivery_policy import check_delivery_policy, effective_for
from cosset.services.sns.errors import invalid
from cosset.services.sns.filter_policies import check_filter_policy, check_json
from cosset.services.sns.model import FIFO_SUFFIX, Subscription, SubscriptionState, TopicKey
from cosset.wire.errors import OperationNotImplementedError

_SCOPES = ("MessageAttributes", "MessageBody")
_RAW = ("sqs", "http", "https", "firehose")


def check_attributes(topic: TopicKey, protocol: str, endpoint: str, attributes: Mapping[str, str]) -> None:
    """Those that Subscribe is given. Raises ServiceError InvalidParameter."""
    for name, value in attributes.items():
        check_attribute(topic, protocol, endpoint, name, value, attributes, "Attributes Reason: ")


def check_attribute(
    topic: TopicKey,
    protocol: str,
    endpoint: str,
    name: str,
    value: str,
    others: Mapping[str, str],
    opening: str = "",
) -> None:
    """`others` are the attributes beside it. Raises ServiceError InvalidParameter."""
    if name == "RawMessageDelivery":
        if value.lower() not in ("true", "false"):
            raise invalid(f"{opening}RawMessageDelivery: Invalid value [{value}]. Must be true or false.")
        if value.lower() == "true" and protocol not in _RAW:
            raise invalid(f"{opening}Delivery protocol [{protocol}] does not support raw message delivery.")
    elif name == "FilterPolicy":
        check_filter_policy(value, others.get("FilterPolicyScope") or _SCOPES[0], opening)
    elif name == "FilterPolicyScope":
        if value not in _SCOPES:
            allowed = "Please use either MessageBody or MessageAttributes"
            raise invalid(f"{opening}FilterPolicyScope: Invalid value [{value}]. {allowed}")
        check_filter_policy(others.get("FilterPolicy", ""), value, opening)
    elif name == "RedrivePolicy":
        _check_redrive(topic, endpoint, value, opening)
    elif name == "DeliveryPolicy":
        if value:
            check_delivery_policy(value, opening)
    elif name == "SubscriptionRoleArn":
        raise OperationNotImplementedError("sns", "SubscriptionRoleArn, for Firehose")
    elif name == "ReplayPolicy":
        raise OperationNotImplementedError("sns", "replaying of archived messages (ReplayPolicy)")
    else:
        raise invalid("AttributeName" if not opening else f"{opening}Unknown attribute {name}")


def normalized(attributes: Mapping[str, str]) -> dict[str, str]:
    """As they are kept: the empty ones mean that nothing is set."""
    kept = {name: value for name, value in attributes.items() if value != ""}
    if "RawMessageDelivery" in kept:
        kept["RawMessageDelivery"] = kept["RawMessageDelivery"].lower()
    return kept


def differ(there: Mapping[str, str], given: Mapping[str, str]) -> bool:
    """Whether what is asked for is not what there is; what is not asked for does not count."""
    defaults = {"RawMessageDelivery": "false", "FilterPolicyScope": _SCOPES[0]}
    return any(not _equal(there.get(name, defaults.get(name, "")), value) for name, value in given.items())


def shown_attributes(subscription: Subscription, topic_policy: str | None) -> dict[str, str]:
    shown = {
        "SubscriptionArn": subscription.key.arn,
        "TopicArn": subscription.key.topic.arn,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.endpoint,
        "Owner": subscription.owner,
        "SubscriptionPrincipal": subscription.principal,
        "ConfirmationWasAuthenticated": str(subscription.authenticated).lower(),
        "PendingConfirmation": str(subscription.state is SubscriptionState.PENDING).lower(),
        "RawMessageDelivery": "false",
    }
    if subscription.protocol in ("http", "https"):
        effective = effective_for(topic_policy, subscription.attributes.get("DeliveryPolicy"))
        shown["EffectiveDeliveryPolicy"] = json.dumps(effective)
    kept = dict(subscription.attributes)
    if kept.get("FilterPolicy"):
        shown["FilterPolicyScope"] = _SCOPES[0]
    else:
        kept.pop("FilterPolicyScope", None)
    return shown | kept


def _check_redrive(topic: TopicKey, endpoint: str, value: str, opening: str) -> None:
    if not value:
        return
    try:
        policy = json.loads(value)
    except (ValueError, RecursionError):
        check_json(value, f"{opening}RedrivePolicy: ")
        raise invalid(f"{opening}RedrivePolicy: failed to parse JSON.") from None
    target = policy.get("deadLetterTargetArn") if isinstance(policy, dict) else None
    if not isinstance(target, str) or target.count(":") != 5 or not target.startswith("arn:aws:sqs:"):
        raise invalid(f"{opening}RedrivePolicy: deadLetterTargetArn is an invalid arn")
    if set(policy) != {"deadLetterTargetArn"}:
        raise invalid(f"{opening}RedrivePolicy: unknown fields")
    region, account = target.split(":")[3:5]
    if (region, account) != (topic.region, topic.account):
        raise invalid(f"{opening}RedrivePolicy: deadLetterTargetArn must be in the topic's account and region")
    is_fifo = target.endswith(FIFO_SUFFIX)
    if endpoint.endswith(FIFO_SUFFIX) and topic.is_fifo and not is_fifo:
        # Recorded: test_validations_for_fifo.
        sentence = "must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic."
        raise invalid(f"{opening}RedrivePolicy: {sentence}")
    if is_fifo and not endpoint.endswith(FIFO_SUFFIX):
        raise invalid(f"{opening}RedrivePolicy: must use a standard queue as DLQ for a standard Subscription.")


def _equal(one: str, other: str) -> bool:
    if one == other or one.lower() == other.lower() in ("true", "false"):
        return True
    try:
        first: Any = json.loads(one)
        return isinstance(first, dict) and bool(first == json.loads(other))
    except (ValueError, RecursionError):
        return False
