"""What buckets tell of their objects, wired: to functions, queues and topics that let them.

Nothing of it is imported before there is something to tell.
"""

from typing import TYPE_CHECKING

from cosset.assembly.ground import Ground
from cosset.assembly.late_workers import LateWorkers
from cosset.assembly.topics import Topics
from cosset.clock import Clock
from cosset.identity.ports import Authorizer
from cosset.identity.service_callers import ServiceCaller
from cosset.invocation import lineage
from cosset.invocation.push import Push, PushedEvent, PushRefusedError
from cosset.observe.causes import StepKind, sent_step
from cosset.services.s3.places import NOTIFICATIONS
from cosset.store.queue import DurableQueue
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

if TYPE_CHECKING:
    from cosset.services.s3.notification_model import Target
    from cosset.services.s3.notification_outbox import NotificationOutbox
    from cosset.services.s3.notification_ports import Notification, Source
    from cosset.services.s3.notification_worker import NotificationWorker
    from cosset.services.s3.notifications import Notifications
    from cosset.services.sns.outside import TopicPublisher

_PRINCIPAL = "s3.amazonaws.com"
_SENDER = "AROAS3NOTIFICATIONS00:S3-PROD-END"
"""Who S3 is to SQS: the SenderId of its messages, after the pattern of AWS's own."""
_LATER = frozenset({"OverLimit", "RequestThrottled", "ThrottlingException", "KmsThrottled"})


class BucketNotifications:
    """Notifications on this node."""

    def __init__(self, ground: Ground, push: Push, topics: Topics, authorizer: Authorizer, clock: Clock) -> None:
        self._ground = ground
        self._clock = clock
        self._queue = DurableQueue(ground.store, NOTIFICATIONS, clock)
        self._targets = TargetsOfBuckets(ground, push, topics, authorizer, clock)
        self._workers = LateWorkers(ground.store, (NOTIFICATIONS,), self._make_workers)
        self.serve, self.stop = self._workers.serve, self._workers.stop

    def outbox(self) -> "NotificationOutbox":
        """For whatever changes objects."""
        from cosset.services.s3.notification_outbox import NotificationOutbox

        return NotificationOutbox(self._queue, near=self._targets)

    def operations(self) -> "Notifications":
        """A part of the service s3."""
        from cosset.services.s3.notifications import Notifications

        return Notifications(self._ground.store, self.outbox(), self._targets, self._clock)

    def _make_workers(self) -> "list[NotificationWorker]":
        from cosset.services.s3.notification_worker import NotificationWorker

        return [NotificationWorker(self._ground.store, self._queue, self._targets, self._clock)]


class TargetsOfBuckets:
    """Implements services.s3.notification_ports.NotificationTargets and NearTargets: the target's own policy decides,
    asked for s3.amazonaws.com with the bucket's ARN and its owner's account."""

    def __init__(self, ground: Ground, push: Push, topics: Topics, authorizer: Authorizer, clock: Clock) -> None:
        self._ground = ground
        self._push = push
        self._topics = topics
        self._authorizer = authorizer
        self._clock = clock
        self._publisher: TopicPublisher | None = None

    async def check(self, target: "Target", source: "Source") -> None:
        from cosset.services.s3.notification_model import TargetKind

        if target.kind is TargetKind.FUNCTION:
            await self._check_function(target, source)
        elif target.kind is TargetKind.QUEUE:
            await self._check_queue(target, source)
        else:
            await self._check_topic(target, source)

    async def deliver(self, notification: "Notification") -> None:
        from cosset.services.s3.notification_model import TargetKind
        from cosset.services.s3.notification_ports import TargetRefusedError

        kind = notification.target.kind
        try:
            if kind is TargetKind.FUNCTION:
                await self._push.push(
                    _pushed(notification.target, notification.source, notification, self._clock.now_ms())
                )
            elif kind is TargetKind.QUEUE:
                await self._send(notification)
            else:
                await self._publish(notification)
        except PushRefusedError as error:
            raise TargetRefusedError(str(error)) from error
        except ServiceError as error:
            if error.status < 500 and error.code not in _LATER:
                raise TargetRefusedError(error.message) from error
            raise

    def deliver_within(self, tx: Transaction, notification: "Notification") -> bool:
        """Of functions alone."""
        event = _pushed(notification.target, notification.source, notification, self._clock.now_ms())
        return self._push.push_if_known(tx, event)

    async def _check_function(self, target: "Target", source: "Source") -> None:
        from cosset.services.s3.notification_ports import TargetRefusedError

        try:
            await self._push.check(_pushed(target, source, None))
        except PushRefusedError as error:
            raise TargetRefusedError(f"Not authorized to invoke function [{target.arn}]") from error

    async def _check_queue(self, target: "Target", source: "Source") -> None:
        from cosset.services.s3.notification_ports import TargetRefusedError

        if _is_own(target, source) and await self._ground.queues.there.facts(target.arn) is None:
            raise TargetRefusedError("The destination queue does not exist")
        await self._check_policy("sqs:SendMessage", "queue", target, source)

    async def _check_topic(self, target: "Target", source: "Source") -> None:
        from cosset.services.s3.notification_ports import TargetRefusedError
        from cosset.services.sns.books import find_topic
        from cosset.services.sns.model import TopicKey

        key = TopicKey.of_arn(target.arn)
        if _is_own(target, source) and await self._ground.store.read(lambda tx: find_topic(tx, key)) is None:
            raise TargetRefusedError("The destination topic does not exist")
        await self._check_policy("sns:Publish", "topic", target, source)

    async def _check_policy(self, action: str, noun: str, target: "Target", source: "Source") -> None:
        from cosset.services.s3.notification_ports import TargetRefusedError

        try:
            await self._authorize(action, target, source)
        except ServiceError as error:
            if error.status >= 500:
                raise
            sentence = (
                f"Permissions on the destination {noun} do not allow S3 to publish notifications from this bucket"
            )
            raise TargetRefusedError(sentence) from error

    async def _send(self, notification: "Notification") -> None:
        from cosset.services.sqs.model import NewMessage

        target = notification.target
        await self._authorize("sqs:SendMessage", target, notification.source)
        message = NewMessage(notification.text, {}, notification.trace_id or None)
        sent = await self._ground.queues.there.send(target.arn, message, sender_id=_SENDER)
        self._record(StepKind.MESSAGE, sent.id, notification)

    async def _publish(self, notification: "Notification") -> None:
        from cosset.services.s3.notification_records import SUBJECT

        if self._publisher is None:
            self._publisher = self._topics.publisher()
        message_id = await self._publisher.publish(
            notification.target.arn,
            notification.text,
            principal=_PRINCIPAL,
            source_arn=notification.source.bucket_arn,
            source_account=notification.source.account,
            subject=SUBJECT,
            trace_id=notification.trace_id,
        )
        self._record(StepKind.TOPIC_MESSAGE, message_id, notification)

    def _record(self, kind: str, message_id: str, notification: "Notification") -> None:
        self._ground.causes.happened(
            sent_step(
                kind,
                message_id,
                notification.target.arn,
                source=notification.source.bucket_arn,
                cause=notification.cause,
                now_ms=self._clock.now_ms(),
                trace_id=notification.trace_id,
            )
        )

    async def _authorize(self, action: str, target: "Target", source: "Source") -> None:
        caller = ServiceCaller(_PRINCIPAL, source.bucket_arn, source.account)
        await caller.authorize(self._authorizer, action, target.arn, self._clock.now_ms())


def _pushed(target: "Target", source: "Source", notification: "Notification | None", now_ms: int = 0) -> PushedEvent:
    """`notification` None: to ask whether one would be taken."""
    trace_id = notification.trace_id if notification is not None else ""
    if notification is not None and notification.cause:
        trace_id = lineage.led_by(trace_id, notification.cause, now_ms)
    return PushedEvent(
        id=notification.id if notification is not None else "",
        function_arn=target.arn,
        payload=notification.text.encode() if notification is not None else b"{}",
        principal=_PRINCIPAL,
        source_arn=source.bucket_arn,
        source_account=source.account,
        trace_id=trace_id,
    )


def _is_own(target: "Target", source: "Source") -> bool:
    """Of another account's nobody learns whether it is there."""
    return target.arn.split(":")[4] == source.account
