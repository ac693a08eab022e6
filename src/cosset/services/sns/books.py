"""Topics and subscriptions in the database: found, listed, written. Runs inside the caller's transactions."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, func, insert, select, update

from cosset.services.sns.errors import no_such_subscription, no_such_topic
from cosset.services.sns.model import Subscription, SubscriptionKey, SubscriptionState, Topic, TopicKey
from cosset.services.sns.places import CHANGES
from cosset.services.sns.tables import sns_subscriptions, sns_topics
from cosset.store.prepared import Prepared
from cosset.store.transaction import Transaction

_THERE = sns_subscriptions.c.state != SubscriptionState.REMOVED
_IN_PLACE = (
    sns_subscriptions.c.account == bindparam("of_account"),
    sns_subscriptions.c.region == bindparam("of_region"),
    sns_subscriptions.c.topic == bindparam("of_name"),
)
# What every publishing asks, and every delivery.
_TOPIC = Prepared(
    select(sns_topics).where(
        sns_topics.c.account == bindparam("of_account"),
        sns_topics.c.region == bindparam("of_region"),
        sns_topics.c.name == bindparam("of_name"),
    )
)
_SUBSCRIPTION = Prepared(select(sns_subscriptions).where(*_IN_PLACE, sns_subscriptions.c.id == bindparam("of_id")))
_CONFIRMED = Prepared(
    select(sns_subscriptions).where(*_IN_PLACE, sns_subscriptions.c.state == str(SubscriptionState.CONFIRMED))
)


def find_topic(tx: Transaction, key: TopicKey) -> Topic | None:
    row = tx.run(_TOPIC, _place(key)).first()
    return None if row is None else _topic(row)


def need_topic(tx: Transaction, key: TopicKey) -> Topic:
    """Raises ServiceError NotFound."""
    topic = find_topic(tx, key)
    if topic is None:
        raise no_such_topic()
    return topic


def list_topics(tx: Transaction, account: str, region: str, after: str, limit: int) -> list[TopicKey]:
    columns = sns_topics.c
    query = select(columns.name).where(columns.account == account, columns.region == region, columns.name > after)
    rows = tx.execute(query.order_by(columns.name).limit(limit))
    return [TopicKey(account, region, row.name) for row in rows]


def add_topic(tx: Transaction, topic: Topic) -> None:
    tx.execute(
        insert(sns_topics).values(
            account=topic.key.account,
            region=topic.key.region,
            name=topic.key.name,
            attributes=dict(topic.attributes),
            policy=topic.policy,
            tags=dict(topic.tags),
            subscriptions_deleted=0,
            sequence=0,
        )
    )
    tx.announce(CHANGES, topic.key.arn)


def change_topic(tx: Transaction, key: TopicKey, **values: Any) -> None:
    tx.execute(update(sns_topics).where(_is_topic(key)).values(**values))
    tx.announce(CHANGES, key.arn)


def next_sequence(tx: Transaction, key: TopicKey) -> int:
    """The number of a FIFO topic's next message."""
    step = update(sns_topics).where(_is_topic(key)).values(sequence=sns_topics.c.sequence + 1)
    return int(tx.execute(step.returning(sns_topics.c.sequence)).scalar_one())


def remove_topic(tx: Transaction, key: TopicKey) -> None:
    """With its subscriptions."""
    tx.execute(delete(sns_subscriptions).where(_of_topic(key)))
    tx.execute(delete(sns_topics).where(_is_topic(key)))
    tx.announce(CHANGES, key.arn)


def find_subscription(tx: Transaction, key: SubscriptionKey, *, removed: bool = False) -> Subscription | None:
    """`removed`: one that was ended, too, while its last token holds."""
    row = tx.run(_SUBSCRIPTION, {**_place(key.topic), "of_id": key.id}).first()
    found = None if row is None else _subscription(row)
    is_there = found is not None and (removed or found.state is not SubscriptionState.REMOVED)
    return found if is_there else None


def need_subscription(tx: Transaction, key: SubscriptionKey) -> Subscription:
    """Raises ServiceError NotFound."""
    subscription = find_subscription(tx, key)
    if subscription is None:
        raise no_such_subscription()
    return subscription


def confirmed_subscriptions(tx: Transaction, key: TopicKey) -> list[Subscription]:
    return [_subscription(row) for row in tx.run(_CONFIRMED, _place(key)).rows]


def find_same(tx: Transaction, key: TopicKey, protocol: str, endpoint: str) -> Subscription | None:
    """The subscription of this endpoint, if there is one already."""
    columns = sns_subscriptions.c
    query = select(sns_subscriptions).where(
        _of_topic(key), columns.protocol == protocol, columns.endpoint == endpoint, _THERE
    )
    row = tx.execute(query).first()
    return None if row is None else _subscription(row)


def find_token(tx: Transaction, key: TopicKey, token: str) -> Subscription | None:
    row = tx.execute(select(sns_subscriptions).where(_of_topic(key), sns_subscriptions.c.token == token)).first()
    return None if row is None else _subscription(row)


def page_of_topic(tx: Transaction, key: TopicKey, after: str, limit: int) -> list[Subscription]:
    """In the order of their ids."""
    columns = sns_subscriptions.c
    query = select(sns_subscriptions).where(_of_topic(key), columns.id > after, _THERE)
    query = query.order_by(columns.id).limit(limit)
    return [_subscription(row) for row in tx.execute(query)]


def page_of_owner(
    tx: Transaction, owner: str, region: str, after: tuple[str, str], limit: int
) -> Sequence[Subscription]:
    """In the order of topics, then of ids."""
    columns = sns_subscriptions.c
    topic, last = after
    beyond = (columns.topic > topic) | and_(columns.topic == topic, columns.id > last)
    query = select(sns_subscriptions).where(columns.owner == owner, columns.region == region, beyond, _THERE)
    return [_subscription(row) for row in tx.execute(query.order_by(columns.topic, columns.id).limit(limit))]


def count_subscriptions(tx: Transaction, key: TopicKey) -> tuple[int, int]:
    """How many are confirmed, and how many pend."""
    state = sns_subscriptions.c.state
    rows = tx.execute(select(state, func.count().label("number")).where(_of_topic(key)).group_by(state)).all()
    counts: dict[str, int] = {each.state: each.number for each in rows}
    return counts.get(SubscriptionState.CONFIRMED, 0), counts.get(SubscriptionState.PENDING, 0)


def add_subscription(tx: Transaction, subscription: Subscription) -> None:
    topic = subscription.key.topic
    tx.execute(
        insert(sns_subscriptions).values(
            account=topic.account,
            region=topic.region,
            topic=topic.name,
            id=subscription.key.id,
            owner=subscription.owner,
            principal=subscription.principal,
            protocol=subscription.protocol,
            endpoint=subscription.endpoint,
            attributes=dict(subscription.attributes),
            state=subscription.state,
            token=subscription.token,
            token_until_ms=subscription.token_until_ms,
            authenticated=subscription.authenticated,
            authenticates_unsubscribe=subscription.authenticates_unsubscribe,
        )
    )


def change_subscription(tx: Transaction, key: SubscriptionKey, **values: Any) -> None:
    change = update(sns_subscriptions).where(_of_topic(key.topic), sns_subscriptions.c.id == key.id)
    tx.execute(change.values(**values))


def remove_subscription(tx: Transaction, key: SubscriptionKey) -> None:
    tx.execute(delete(sns_subscriptions).where(_of_topic(key.topic), sns_subscriptions.c.id == key.id))


def count_removal(tx: Transaction, key: TopicKey) -> None:
    count = sns_topics.c.subscriptions_deleted + 1
    tx.execute(update(sns_topics).where(_is_topic(key)).values(subscriptions_deleted=count))


def forget_unconfirmed(tx: Transaction, key: TopicKey, now_ms: int) -> None:
    """Those whose token has run out."""
    columns = sns_subscriptions.c
    waiting = columns.state != SubscriptionState.CONFIRMED
    tx.execute(delete(sns_subscriptions).where(_of_topic(key), waiting, columns.token_until_ms <= now_ms))


def _is_topic(key: TopicKey) -> Any:
    columns = sns_topics.c
    return and_(columns.account == key.account, columns.region == key.region, columns.name == key.name)


def _of_topic(key: TopicKey) -> Any:
    columns = sns_subscriptions.c
    return and_(columns.account == key.account, columns.region == key.region, columns.topic == key.name)


def _place(key: TopicKey) -> dict[str, str]:
    return {"of_account": key.account, "of_region": key.region, "of_name": key.name}


def _texts(kept: Any) -> dict[str, str]:
    """As Core reads it, or as a prepared statement does."""
    return dict(json.loads(kept) if isinstance(kept, str) else kept)


def _topic(row: Row[Any]) -> Topic:
    tags: Mapping[str, str] = _texts(row.tags)
    key = TopicKey(row.account, row.region, row.name)
    kept = row.data_protection_policy
    return Topic(key, _texts(row.attributes), row.policy, kept, tags, row.subscriptions_deleted, row.sequence)


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(
        SubscriptionKey(TopicKey(row.account, row.region, row.topic), row.id),
        row.owner,
        row.principal,
        row.protocol,
        row.endpoint,
        _texts(row.attributes),
        SubscriptionState(row.state),
        row.token,
        row.token_until_ms,
        bool(row.authenticated),
        bool(row.authenticates_unsubscribe),
    )
