"""The outbox of SNS: a delivery for each subscription, committed with the publishing, made until it is taken.

Queues and functions, which answer soon, wait apart from HTTP endpoints, which may never answer. Of a FIFO topic the
messages of a group reach each subscription in order: one that fails holds up those behind it. A delivery that can never
be made, or was tried as often as its policy says, goes to the subscription's dead-letter queue; without one it is
dropped, with a line in the node's log. Read next: notifications.py (what arrives), delivery_policy.py (how often).
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from cosset.clock import Clock
from cosset.invocation import lineage
from cosset.invocation.push import PushedEvent, PushRefusedError
from cosset.invocation.queue_worker import QueueWorker
from cosset.observe.causes import CauseRecorder, StepKind, key_of, sent_step
from cosset.services.sns.books import find_subscription, find_topic
from cosset.services.sns.delivery_policy import TO_SERVICES, Retries, effective_for, receives_per_second, retries_of
from cosset.services.sns.metering import TopicMeter
from cosset.services.sns.model import Published, Subscription, SubscriptionKey, SubscriptionState, Topic, pack, unpack
from cosset.services.sns.notifications import envelope, function_event, signed_text
from cosset.services.sns.paces import Paces, is_marked, marked
from cosset.services.sns.places import PRINCIPAL
from cosset.services.sns.ports import ForQueue, FunctionPusher, HttpPoster, QueueSender, RefusedByTargetError
from cosset.services.sns.signing import Signature, Signing
from cosset.store.database import Store, Transaction
from cosset.store.queue import Draft, DurableQueue, Message
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

_AGENT = "Amazon Simple Notification Service Agent"
_HTTP = ("http", "https")


class Deliveries:
    """The near end: `send` inside the transaction that publishes."""

    def __init__(self, queue: DurableQueue, http_queue: DurableQueue) -> None:
        self._queue = queue
        self._http_queue = http_queue

    def send(self, tx: Transaction, subscription: Subscription, message: Published) -> None:
        self.send_all(tx, [(subscription, message)])

    def send_all(self, tx: Transaction, wanted: Sequence[tuple[Subscription, Published]]) -> None:
        """Of a standard topic all at once: they may be thousands, and others wait for this transaction to end."""
        heads: dict[int, str] = {}
        plain: list[Draft] = []
        for subscription, message in wanted:
            head = heads.get(id(message))
            if head is None:
                head = heads[id(message)] = message.head()
            body = pack(subscription.key.arn, head)
            if subscription.protocol in _HTTP:
                self._http_queue.send(tx, body, group=_group(subscription, message))
            elif (group := _group(subscription, message)) is not None:
                self._queue.send(tx, body, group=group)
            else:
                plain.append(Draft(body=body))
        self._queue.put_many(tx, plain)


def _group(subscription: Subscription, message: Published) -> str | None:
    return f"{subscription.key.arn}/{message.group}" if subscription.key.topic.is_fifo and message.group else None


class DeliveryWorker:
    """The far end, for one of the two queues."""

    def __init__(
        self,
        store: Store,
        queue: DurableQueue,
        signing: Signing,
        queues: QueueSender,
        functions: FunctionPusher,
        http: HttpPoster,
        clock: Clock,
        *,
        width: int = 32,
        meter: TopicMeter,
        causes: CauseRecorder,
    ) -> None:
        self._causes = causes
        self._clock = clock
        self._store = store
        self._queue = queue
        self._signing = signing
        self._queues = queues
        self._functions = functions
        self._http = http
        self._meter = meter
        self._paces = Paces(clock)
        self._worker = QueueWorker(store, queue, self._attempt, clock, noun="notification", width=width)
        self.serve = self._worker.serve
        self.stop = self._worker.stop
        self.handle = self._worker.handle

    async def _attempt(self, message: Message) -> None:
        key, published = unpack(message.body)
        found = await self._store.read(lambda tx: _look_up(tx, key))
        if found is None or (found[1].state is SubscriptionState.REMOVED and published.token is None):
            # Unsubscribed since.
            await self._store.write(lambda tx: self._queue.delete(tx, message))
            return
        topic, subscription = found
        if published.token is None and await self._postpone(message, topic, subscription):
            return
        try:
            end = await self._deliver(message, topic, subscription, published)
        except (RefusedByTargetError, PushRefusedError) as error:
            await self._give_up(message, topic, subscription, published, str(error))
        except ServiceError as error:
            delay_ms = _retries(topic, subscription).delay_ms(message.attempts - is_marked(message.body))
            if delay_ms is None:
                await self._give_up(message, topic, subscription, published, str(error))
            else:
                logger.info("a message for %s waits %d ms: %s", subscription.endpoint, delay_ms, error)
                await self._store.write(lambda tx: self._queue.release(tx, message, delay_ms=delay_ms))
        else:
            await self._store.write(end)
            self._meter.delivered(topic.key)

    async def _postpone(self, message: Message, topic: Topic, subscription: Subscription) -> bool:
        """Gives a message back until its turn, where its subscription takes only so many a second."""
        if subscription.protocol not in _HTTP or is_marked(message.body):
            return False
        most = receives_per_second(_effective(topic, subscription))
        delay_ms = self._paces.delay_ms(subscription.key.arn, most) if most is not None else 0
        if delay_ms:
            body = marked(message.body)
            await self._store.write(lambda tx: self._queue.release(tx, message, delay_ms=delay_ms, body=body))
        return delay_ms > 0

    async def _deliver(
        self, message: Message, topic: Topic, subscription: Subscription, published: Published
    ) -> Callable[[Transaction], object]:
        """What ends it in the outbox: to a function it goes in that very transaction."""
        if subscription.protocol == "lambda":
            event = await self._for_function(topic, subscription, published)
            await self._functions.check(event)
            return partial(self._push, message=message, event=event)
        if subscription.protocol == "sqs":
            await self._queues.send(await self._for_queue(topic, subscription, published))
        else:
            await self._post(topic, subscription, published)
        return partial(self._queue.delete, message=message)

    def _push(self, tx: Transaction, message: Message, event: PushedEvent) -> None:
        """Unless the lease was lost: whoever has it now delivers it."""
        if self._queue.delete(tx, message):
            self._functions.push_within(tx, event, is_once=True)

    async def _for_queue(self, topic: Topic, subscription: Subscription, message: Published) -> ForQueue:
        to_fifo = topic.key.is_fifo and subscription.endpoint.endswith(".fifo")
        return ForQueue(
            id=message.id,
            queue_arn=subscription.endpoint,
            body=await self._body(topic, subscription, message),
            source_arn=topic.key.arn,
            attributes=message.attributes if subscription.is_raw else {},
            group=message.group if to_fifo or not topic.key.is_fifo else None,
            deduplication_id=message.deduplication_id if to_fifo else None,
            trace_header=message.trace_id or None,
        )

    async def _for_function(self, topic: Topic, subscription: Subscription, message: Published) -> PushedEvent:
        # Functions get the first version, whatever the topic's is: test_publish_lambda_verify_signature, recorded.
        signature = None if topic.key.is_fifo else await self._signing.sign(signed_text(message), "1")
        return PushedEvent(
            # The same over every attempt, and another for each subscription.
            id=str(uuid5(NAMESPACE_URL, f"{subscription.key.arn}/{message.id}")),
            function_arn=subscription.endpoint,
            payload=function_event(message, subscription, signature),
            principal=PRINCIPAL,
            source_arn=topic.key.arn,
            source_account=topic.key.account,
            trace_id=lineage.led_by(message.trace_id, key_of(message.id, StepKind.TOPIC_MESSAGE), message.sent_ms),
        )

    async def _post(self, topic: Topic, subscription: Subscription, message: Published) -> None:
        effective = _effective(topic, subscription)
        headers = {
            "x-amz-sns-message-type": message.type,
            "x-amz-sns-message-id": message.id,
            "x-amz-sns-topic-arn": topic.key.arn,
            "Content-Type": effective["requestPolicy"]["headerContentType"],
            "User-Agent": _AGENT,
            "Connection": "Keep-Alive",
            "Accept-Encoding": "gzip,deflate",
        }
        if message.type != "SubscriptionConfirmation":
            headers["x-amz-sns-subscription-arn"] = subscription.key.arn
        if subscription.is_raw and message.token is None:
            headers["x-amz-sns-rawdelivery"] = "true"
        body = await self._body(topic, subscription, message)
        step_id, cause = f"{message.id}#{subscription.key.id}", key_of(message.id, StepKind.TOPIC_MESSAGE)
        if message.trace_id or _leads_to_function(subscription.endpoint):
            headers["X-Amzn-Trace-Id"] = lineage.led_by(
                message.trace_id, key_of(step_id, StepKind.POST), self._clock.now_ms()
            )
        await self._http.post(subscription.endpoint, headers, body.encode())
        self._causes.happened(
            sent_step(
                StepKind.POST,
                step_id,
                subscription.endpoint,
                source=topic.key.arn,
                cause=cause,
                now_ms=self._clock.now_ms(),
                trace_id=message.trace_id,
                place=topic.key.arn,
            )
        )

    async def _body(self, topic: Topic, subscription: Subscription, message: Published) -> str:
        if subscription.is_raw and message.token is None:
            return message.text
        return envelope(message, subscription, await self._sign(topic, message))

    async def _sign(self, topic: Topic, message: Published) -> Signature | None:
        if topic.key.is_fifo:
            return None
        return await self._signing.sign(signed_text(message), topic.attributes.get("SignatureVersion", "1"))

    async def _give_up(
        self, message: Message, topic: Topic, subscription: Subscription, published: Published, why: str
    ) -> None:
        target = subscription.dead_letter_arn
        if target is not None and published.token is None:
            try:
                await self._queues.send(await self._for_dead_letters(topic, subscription, published, target))
            except ServiceError as error:
                logger.warning("a message for the dead-letter queue %s waits: %s", target, error)
                await self._store.write(lambda tx: self._queue.release(tx, message, delay_ms=TO_SERVICES.most_ms))
                return
            except RefusedByTargetError as error:
                why = f"{why}; nor by its dead-letter queue: {error}"
                target = None
        await self._store.write(lambda tx: self._queue.delete(tx, message))
        self._meter.failed(topic.key, redriven=target is not None)
        if target is None:
            what = f"message {published.id} of {topic.key.arn}"
            logger.error("%s was not taken by %s and is lost: %s", what, subscription.endpoint, why)

    async def _for_dead_letters(
        self, topic: Topic, subscription: Subscription, message: Published, target: str
    ) -> ForQueue:
        """As the subscriber would have got it."""
        is_fifo = target.endswith(".fifo")
        return ForQueue(
            id=message.id,
            queue_arn=target,
            body=await self._body(topic, subscription, message),
            source_arn=topic.key.arn,
            attributes=message.attributes if subscription.is_raw else {},
            group=message.group if is_fifo else None,
            deduplication_id=message.deduplication_id if is_fifo else None,
            trace_header=message.trace_id or None,
        )


def _retries(topic: Topic, subscription: Subscription) -> Retries:
    if subscription.protocol not in _HTTP:
        return TO_SERVICES
    return retries_of(_effective(topic, subscription))


def _effective(topic: Topic, subscription: Subscription) -> dict[str, Any]:
    return effective_for(topic.attributes.get("DeliveryPolicy"), subscription.attributes.get("DeliveryPolicy"))


def _leads_to_function(url: str) -> bool:
    """Whether it is a function URL, of this node or another: what comes of the message is told by the header. Others
    get it only of messages that came with one, as recorded (test_subscribe_external_http_endpoint)."""
    parts = urlsplit(url)
    return ".lambda-url." in (parts.hostname or "") or parts.path.startswith("/_cosset/url/")


def _look_up(tx: Transaction, key: SubscriptionKey) -> tuple[Topic, Subscription] | None:
    """Also the subscription that was ended: it is told so."""
    topic, subscription = find_topic(tx, key.topic), find_subscription(tx, key, removed=True)
    return None if topic is None or subscription is None else (topic, subscription)
