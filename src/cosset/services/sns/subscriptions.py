"""The subscription operations, confirmation among them."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from uuid import uuid4

from cosset.clock import Clock
from cosset.identity.principal import PrincipalKind
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.sns.books import (
    add_subscription,
    change_subscription,
    count_removal,
    count_subscriptions,
    find_same,
    find_subscription,
    find_token,
    find_topic,
    forget_unconfirmed,
    need_subscription,
    need_topic,
    page_of_owner,
    page_of_topic,
    remove_subscription,
)
from cosset.services.sns.deliveries import Deliveries
from cosset.services.sns.endpoints import check_endpoint, check_is_here
from cosset.services.sns.errors import invalid
from cosset.services.sns.model import Subscription, SubscriptionKey, SubscriptionState, TopicKey
from cosset.services.sns.notices import confirmation_of
from cosset.services.sns.paging import read_token, write_token
from cosset.services.sns.requirements import on_everything, on_subscribe, on_topic, topic_of
from cosset.services.sns.subscription_attributes import (
    check_attribute,
    check_attributes,
    differ,
    normalized,
    shown_attributes,
)
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

_PAGE = 100
_MOST = 10_000
"""Subscriptions of a topic. AWS has 12,500,000; here each gets its delivery within the transaction that publishes."""
_TOKEN_MS = 3 * 24 * 3600 * 1000
_BY_HTTP = ("http", "https")


class Subscriptions:
    def __init__(self, store: Store, deliveries: Deliveries, clock: Clock) -> None:
        self._store = store
        self._deliveries = deliveries
        self._clock = clock

    @operation("Subscribe", on_subscribe)
    async def subscribe(self, ctx: Context, params: Params) -> Result:
        key = topic_of(ctx, params["TopicArn"])
        protocol = params["Protocol"]
        endpoint = check_endpoint(key, protocol, params.get("Endpoint"))
        given = normalized(params.get("Attributes", {}))
        check_attributes(key, protocol, endpoint, given)
        wanted = self._made(ctx, key, protocol, endpoint, given)

        def work(tx: Transaction) -> Subscription:
            need_topic(tx, key)
            check_is_here(protocol)
            now_ms = self._clock.now_ms()
            forget_unconfirmed(tx, key, now_ms)
            there = find_same(tx, key, protocol, endpoint)
            if there is None:
                if sum(count_subscriptions(tx, key)) >= _MOST:
                    raise ServiceError("SubscriptionLimitExceeded", "Subscription limit exceeded", status=403)
                add_subscription(tx, wanted)
            elif differ(there.attributes, given):
                raise invalid("Attributes Reason: Subscription already exists with different attributes")
            subscription = there or wanted
            if subscription.state is SubscriptionState.PENDING:
                self._deliveries.send(tx, subscription, confirmation_of(subscription, _url(ctx), now_ms))
            return subscription

        subscription = await self._store.write(work)
        pends = subscription.state is SubscriptionState.PENDING
        if pends and str(params.get("ReturnSubscriptionArn", "")).lower() != "true":
            return {"SubscriptionArn": "pending confirmation"}
        return {"SubscriptionArn": subscription.key.arn}

    @operation("ConfirmSubscription", on_topic("ConfirmSubscription"))
    async def confirm_subscription(self, ctx: Context, params: Params) -> Result:
        """Whoever has the token may, unsigned too. Recorded: test_subscribe_external_http_endpoint."""
        topic = _confirmed_topic(ctx, params["TopicArn"])
        is_signed = _is_signed(ctx)
        asks = str(params.get("AuthenticateOnUnsubscribe", "")).lower() == "true"

        def work(tx: Transaction) -> SubscriptionKey:
            if find_topic(tx, topic) is None:
                raise invalid("Topic")
            found = find_token(tx, topic, params["Token"])
            confirmed = SubscriptionState.CONFIRMED
            if found is None or (found.state is not confirmed and found.token_until_ms <= self._clock.now_ms()):
                raise invalid("Token")
            if found.state is not confirmed:
                how = {"authenticated": is_signed, "authenticates_unsubscribe": is_signed and asks}
                change_subscription(tx, found.key, state=confirmed, **how)
            return found.key

        return {"SubscriptionArn": (await self._store.write(work)).arn}

    @operation("Unsubscribe", on_everything("Unsubscribe"))
    async def unsubscribe(self, ctx: Context, params: Params) -> None:
        """Unsigned from the link in a message, unless whoever confirmed asked for a signature."""
        key = SubscriptionKey.of_arn(params["SubscriptionArn"])

        def work(tx: Transaction) -> None:
            found = find_subscription(tx, key)
            if found is None:
                return
            _check_may_end(ctx, found)
            count_removal(tx, key.topic)
            if found.protocol not in _BY_HTTP:
                remove_subscription(tx, key)
                return
            token, now_ms = _new_token(), self._clock.now_ms()
            change_subscription(
                tx, key, state=SubscriptionState.REMOVED, token=token, token_until_ms=now_ms + _TOKEN_MS
            )
            last = replace(found, state=SubscriptionState.REMOVED, token=token)
            self._deliveries.send(tx, last, confirmation_of(last, _url(ctx), now_ms))

        await self._store.write(work)

    @operation("GetSubscriptionAttributes", on_everything("GetSubscriptionAttributes"))
    async def get_subscription_attributes(self, ctx: Context, params: Params) -> Result:
        key = SubscriptionKey.of_arn(params["SubscriptionArn"])

        def read(tx: Transaction) -> dict[str, str]:
            subscription = _own(ctx, need_subscription(tx, key))
            topic = find_topic(tx, key.topic)
            policy = topic.attributes.get("DeliveryPolicy") if topic is not None else None
            return shown_attributes(subscription, policy)

        return {"Attributes": await self._store.read(read)}

    @operation("SetSubscriptionAttributes", on_everything("SetSubscriptionAttributes"))
    async def set_subscription_attributes(self, ctx: Context, params: Params) -> None:
        key = SubscriptionKey.of_arn(params["SubscriptionArn"])
        name, value = params["AttributeName"], params.get("AttributeValue", "")

        def work(tx: Transaction) -> None:
            there = _own(ctx, need_subscription(tx, key))
            check_attribute(key.topic, there.protocol, there.endpoint, name, value, there.attributes)
            kept = {each: text for each, text in there.attributes.items() if each != name}
            change_subscription(tx, key, attributes=kept | normalized({name: value}))

        await self._store.write(work)

    @operation("ListSubscriptions", on_everything("ListSubscriptions"))
    async def list_subscriptions(self, ctx: Context, params: Params) -> Result:
        topic, last = read_token(params.get("NextToken"), 2)
        found = await self._store.read(lambda tx: page_of_owner(tx, ctx.account, ctx.region, (topic, last), _PAGE + 1))
        return _page(found, lambda last: (last.key.topic.name, last.key.id))

    @operation("ListSubscriptionsByTopic", on_topic("ListSubscriptionsByTopic"))
    async def list_subscriptions_by_topic(self, ctx: Context, params: Params) -> Result:
        key = topic_of(ctx, params["TopicArn"])
        after = read_token(params.get("NextToken"), 1)[0]

        def read(tx: Transaction) -> list[Subscription]:
            need_topic(tx, key)
            return page_of_topic(tx, key, after, _PAGE + 1)

        return _page(await self._store.read(read), lambda last: (last.key.id,))

    def _made(
        self, ctx: Context, key: TopicKey, protocol: str, endpoint: str, attributes: Mapping[str, str]
    ) -> Subscription:
        """Of HTTP, and of queues in other accounts, it is confirmed by who gets the messages."""
        pends = protocol in _BY_HTTP
        return Subscription(
            SubscriptionKey(key, str(uuid4())),
            ctx.account,
            ctx.principal.arn,
            protocol,
            endpoint,
            attributes,
            SubscriptionState.PENDING if pends else SubscriptionState.CONFIRMED,
            _new_token() if pends else None,
            self._clock.now_ms() + _TOKEN_MS if pends else 0,
            not pends,
            False,
        )


def _new_token() -> str:
    return secrets.token_hex(128)


def _url(ctx: Context) -> str:
    return f"{ctx.scheme}://{ctx.host}"


def _is_signed(ctx: Context) -> bool:
    return ctx.principal.kind is not PrincipalKind.ANONYMOUS


def _confirmed_topic(ctx: Context, arn: str) -> TopicKey:
    """Every flaw has one sentence here (recorded: broken-topic-arn-confirm, different-region-arn-confirm)."""
    try:
        key = TopicKey.of_arn(arn)
    except ServiceError:
        raise invalid("Topic") from None
    if _is_signed(ctx) and key.region != ctx.region:
        raise invalid("Topic")
    return key


def _check_may_end(ctx: Context, subscription: Subscription) -> None:
    if not _is_signed(ctx):
        if subscription.authenticates_unsubscribe:
            sentence = "This subscription can be ended by a signed request only"
            raise ServiceError("AuthorizationError", sentence, status=403)
    elif ctx.account not in (subscription.owner, subscription.key.topic.account):
        raise _foreign(ctx)


def _own(ctx: Context, subscription: Subscription) -> Subscription:
    if ctx.account not in (subscription.owner, subscription.key.topic.account):
        raise _foreign(ctx)
    return subscription


def _foreign(ctx: Context) -> ServiceError:
    sentence = f"User: {ctx.principal.arn} is not authorized to access this resource"
    return ServiceError("AuthorizationError", sentence, status=403)


def _page(found: Sequence[Subscription], after: Callable[[Subscription], tuple[str, ...]]) -> Result:
    result: Result = {"Subscriptions": [_listed(each) for each in found[:_PAGE]]}
    if len(found) > _PAGE:
        result["NextToken"] = write_token(*after(found[_PAGE - 1]))
    return result


def _listed(subscription: Subscription) -> dict[str, str]:
    pends = subscription.state is SubscriptionState.PENDING
    return {
        "SubscriptionArn": "PendingConfirmation" if pends else subscription.key.arn,
        "Owner": subscription.owner,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.endpoint,
        "TopicArn": subscription.key.topic.arn,
    }
