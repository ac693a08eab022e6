"""The far end of the outbox: hands each notification to its target until that has taken it, at least once.

A target that is out of order for a while is tried for a day. One that has gone, or does not let the bucket in (any
more), is tried for some minutes, in case its owner puts that right; then the notification is dropped with an error in
the node's log. Notifications do not wait for each other.
"""

import logging

from cosset.clock import Clock
from cosset.invocation.queue_worker import QueueWorker
from cosset.services.s3.notification_outbox import unpack
from cosset.services.s3.notification_ports import Notification, NotificationTargets, TargetRefusedError
from cosset.store.database import Store
from cosset.store.queue import DurableQueue, Message
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

MAX_AGE_MS = 24 * 3600 * 1000
MOST_REFUSALS = 10
"""Attempts at a target that refuses: eight and a half minutes."""
BACKOFF_MS = (1_000, 300_000)


class NotificationWorker:
    def __init__(
        self, store: Store, queue: DurableQueue, targets: NotificationTargets, clock: Clock, *, width: int = 32
    ) -> None:
        self._queue = queue
        self._targets = targets
        self._clock = clock
        self._worker = QueueWorker(store, queue, self._attempt, clock, noun="bucket notification", width=width)
        self.serve = self._worker.serve
        self.stop = self._worker.stop
        self.handle = self._worker.handle

    async def _attempt(self, message: Message) -> None:
        notification = unpack(message.id, message.body)
        try:
            await self._targets.deliver(notification)
        except TargetRefusedError as error:
            await self._again(message, notification, str(error), is_over=message.attempts >= MOST_REFUSALS)
        except ServiceError as error:
            is_over = self._clock.now_ms() - message.sent_at_ms > MAX_AGE_MS
            await self._again(message, notification, str(error), is_over=is_over)
        else:
            await self._worker.settle(lambda tx: self._queue.delete(tx, message))

    async def _again(self, message: Message, notification: Notification, why: str, *, is_over: bool) -> None:
        what = f"a notification of {notification.source.bucket_arn} for {notification.target.arn}"
        if is_over:
            await self._worker.settle(lambda tx: self._queue.delete(tx, message))
            logger.error("%s was not taken and is lost: %s", what, why)
            return
        lower_ms, upper_ms = BACKOFF_MS
        delay_ms = min(upper_ms, lower_ms << min(message.attempts - 1, 20))
        logger.info("%s waits %d ms: %s", what, delay_ms, why)
        await self._worker.settle(lambda tx: self._queue.release(tx, message, delay_ms=delay_ms))
