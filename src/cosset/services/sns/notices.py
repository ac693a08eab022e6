"""What SNS itself says to an HTTP endpoint: that it is to be confirmed, that it was unsubscribed."""

from uuid import uuid4

from cosset.services.sns.model import Published, Subscription, SubscriptionState


def confirmation_of(subscription: Subscription, url: str, now_ms: int) -> Published:
    """The message that carries the subscription's token; `url` is where links begin."""
    topic = subscription.key.topic.arn
    if subscription.state is SubscriptionState.REMOVED:
        kind = "UnsubscribeConfirmation"
        text = (
            f"You have chosen to deactivate subscription {subscription.key.arn}.\n"
            "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
        )
    else:
        kind = "SubscriptionConfirmation"
        text = (
            f"You have chosen to subscribe to the topic {topic}.\n"
            "To confirm the subscription, visit the SubscribeURL included in this message."
        )
    return Published(
        id=str(uuid4()), topic_arn=topic, text=text, sent_ms=now_ms, url=url, type=kind, token=subscription.token
    )
