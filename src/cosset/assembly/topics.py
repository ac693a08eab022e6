"""SNS, wired: made when it is first called, delivering when there is something to deliver.

Until then none of it is imported.
"""

import base64
from functools import cached_property
from typing import TYPE_CHECKING

from cosset.assembly.ground import Ground
from cosset.assembly.late_workers import LateWorkers
from cosset.clock import Clock
from cosset.identity.ports import Authorizer
from cosset.identity.service_callers import ServiceCaller
from cosset.invocation.destinations import Delivery, Destination
from cosset.invocation.push import Push
from cosset.observe.causes import StepKind, key_of, sent_step
from cosset.services.operation import Service
from cosset.services.sns.places import HTTP_QUEUE, PRINCIPAL, QUEUE
from cosset.settings import Settings
from cosset.store.queue import DurableQueue
from cosset.wire.errors import ServiceError
from cosset.wire.message import Request, Response

if TYPE_CHECKING:
    from cosset.services.sns.deliveries import DeliveryWorker
    from cosset.services.sns.http_poster import Poster
    from cosset.services.sns.outside import TopicPublisher
    from cosset.services.sns.ports import ForQueue, QueueSender
    from cosset.services.sns.publishing import Publishing
    from cosset.services.sns.signing import Signing

_SENDER = "AIDAISMY7JYY5F7RTT6AO"
"""Who SNS is to SQS: the SenderId in messages that AWS's own SNS sends."""
_LATER = frozenset({"OverLimit", "RequestThrottled", "ThrottlingException", "KmsThrottled"})


class Topics:
    """SNS on this node."""

    def __init__(
        self,
        settings: Settings,
        ground: Ground,
        push: Push,
        queues: "QueueSender",
        authorizer: Authorizer,
        url: str,
        clock: Clock,
    ) -> None:
        """`url` is the node's own, for links in messages that no caller asked for."""
        self._settings = settings
        self._authorizer = authorizer
        self._url = url
        self._ground = ground
        self._push = push
        self._queues = queues
        self._clock = clock
        self._queue = DurableQueue(ground.store, QUEUE, clock)
        self._http_queue = DurableQueue(ground.store, HTTP_QUEUE, clock)
        self._signing: Signing | None = None
        self._poster: Poster | None = None
        self._workers = LateWorkers(ground.store, (QUEUE, HTTP_QUEUE), self._make_workers)
        self.serve = self._workers.serve

    def service(self) -> Service:
        """For a LateService."""
        from cosset.services.sns.service import sns_service

        publishing = self._publishing()
        return sns_service(self._ground.store, publishing.deliveries, publishing, self._clock)

    def destination(self) -> Destination:
        """For asynchronous invocations that end in a topic."""
        from cosset.services.sns.outside import TopicDestination

        return TopicDestination(self._ground.store, self._publishing(), self._clock, self._url)

    def publisher(self) -> "TopicPublisher":
        """For services that publish on their own behalf."""
        from cosset.services.sns.outside import TopicPublisher

        return TopicPublisher(self._publishing(), self._authorizer, self._clock, self._url)

    async def certificate(self, request: Request) -> Response:
        """A GET on the URL in a message: the certificate that it was signed by."""
        found = await self._signer().certificate(request.path)
        if found is None:
            return Response(404, [("content-type", "text/plain")], b"There is no such certificate.\n")
        return Response(200, [("content-type", "application/x-pem-file")], found)

    async def stop(self, timeout_s: float) -> None:
        """Takes no more deliveries; waits for those under way, at most this long."""
        await self._workers.stop(timeout_s)
        if self._poster is not None:
            self._poster.close()

    def _make_workers(self) -> "list[DeliveryWorker]":
        from cosset.services.sns.deliveries import DeliveryWorker
        from cosset.services.sns.http_poster import Poster
        from cosset.services.sns.metering import TopicMeter

        self._poster = Poster(self._settings.egress_allow, anywhere=self._settings.dev)
        return [
            DeliveryWorker(
                self._ground.store,
                queue,
                self._signer(),
                self._queues,
                self._push,
                self._poster,
                self._clock,
                meter=TopicMeter(self._ground.meter),
                causes=self._ground.causes,
            )
            for queue in (self._queue, self._http_queue)
        ]

    def _publishing(self) -> "Publishing":
        from cosset.services.sns.deliveries import Deliveries
        from cosset.services.sns.metering import TopicMeter
        from cosset.services.sns.publishing import Publishing

        deliveries = Deliveries(self._queue, self._http_queue)
        return Publishing(self._ground.store, deliveries, self._clock, TopicMeter(self._ground.meter))

    def _signer(self) -> "Signing":
        from cosset.services.sns.signing import Signing

        if self._signing is None:
            self._signing = Signing(self._ground.store, self._clock)
        return self._signing


class QueuesForTopics:
    """Implements services.sns.ports.QueueSender: a queue takes what its own policy lets sns.amazonaws.com send."""

    def __init__(self, ground: Ground, authorizer: Authorizer, clock: Clock) -> None:
        self._ground = ground
        self._authorizer = authorizer
        self._clock = clock

    async def send(self, message: "ForQueue") -> None:
        """Raises: RefusedByTargetError, ServiceError."""
        from cosset.services.sns.ports import RefusedByTargetError
        from cosset.services.sqs.model import AttributeValue, NewMessage

        attributes = {
            name: AttributeValue(each.data_type, binary=base64.b64decode(each.value))
            if each.kind == "Binary"
            else AttributeValue(each.data_type, each.value)
            for name, each in message.attributes.items()
        }
        new = NewMessage(
            message.body,
            attributes,
            message.trace_header,
            message.group,
            message.deduplication_id,
        )
        try:
            await self._authorize(message)
            sent = await self._ground.queues.there.send(message.queue_arn, new, sender_id=_SENDER)
        except ServiceError as error:
            if error.status < 500 and error.code not in _LATER:
                raise RefusedByTargetError(error.message) from error
            raise
        self._ground.causes.happened(
            sent_step(
                StepKind.MESSAGE,
                sent.id,
                message.queue_arn,
                source=message.source_arn,
                cause=key_of(message.id, StepKind.TOPIC_MESSAGE),
                now_ms=self._clock.now_ms(),
                trace_id=message.trace_header or "",
            )
        )

    async def _authorize(self, message: "ForQueue") -> None:
        caller = ServiceCaller(PRINCIPAL, message.source_arn, message.source_arn.split(":")[4])
        await caller.authorize(self._authorizer, "sqs:SendMessage", message.queue_arn, self._clock.now_ms())


class LateTopicDestination:
    """A Destination that imports SNS when a function first ends in a topic."""

    action = "sns:Publish"

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    async def accepts(self, target_arn: str, *, source_arn: str) -> bool:
        return await self._destination.accepts(target_arn, source_arn=source_arn)

    async def deliver(self, delivery: Delivery) -> None:
        await self._destination.deliver(delivery)

    @cached_property
    def _destination(self) -> Destination:
        return self._topics.destination()
