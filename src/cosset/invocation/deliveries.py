"""Records on their way to destinations: committed with the end of their event, kept until the destination took them.

The outbox of asynchronous invocations. A delivery that fails comes again with back-off (1 s doubling to 5 min) for six
hours; one that never can be made, or has grown too old, is dropped with an error in the node's log, as AWS drops it
with a metric (DestinationDeliveryFailures, DeadLetterErrors). Read next: destinations.py.
"""

import logging

from cosset.clock import Clock
from cosset.invocation.destination_shapes import name_object
from cosset.invocation.destinations import (
    Delivery,
    DeliveryRefusedError,
    DeliveryRights,
    DestinationDirectory,
    resource_of,
    service_of,
)
from cosset.invocation.metering import call_of_arn
from cosset.invocation.queue_worker import QueueWorker
from cosset.observe.function_metrics import FunctionMeter, FunctionMetric, Unmetered
from cosset.store.database import Store
from cosset.store.queue import DurableQueue, Message
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

MAX_AGE_MS = 6 * 3600 * 1000
BACKOFF_MS = (1_000, 300_000)


class Deliveries:
    """The near end: `send` inside the transaction that ends the event."""

    def __init__(self, queue: DurableQueue) -> None:
        self._queue = queue

    def send(self, tx: Transaction, delivery: Delivery) -> None:
        self._queue.send(tx, delivery.pack())


class DeliveryWorker:
    """The far end: hands each delivery to its destination."""

    def __init__(
        self,
        store: Store,
        queue: DurableQueue,
        directory: DestinationDirectory,
        rights: DeliveryRights,
        clock: Clock,
        *,
        width: int = 32,
        meter: FunctionMeter | None = None,
    ) -> None:
        self._meter = meter or Unmetered()
        self._queue = queue
        self._directory = directory
        self._rights = rights
        self._clock = clock
        self._worker = QueueWorker(store, queue, self._attempt, clock, noun="delivery", width=width)
        self.serve = self._worker.serve
        self.stop = self._worker.stop
        self.handle = self._worker.handle

    async def _attempt(self, message: Message) -> None:
        delivery = Delivery.unpack(message.body)
        if self._clock.now_ms() - delivery.sent_ms > MAX_AGE_MS:
            await self._drop(message, delivery, "it was tried for six hours")
            return
        try:
            await self._deliver(delivery)
        except DeliveryRefusedError as error:
            await self._drop(message, delivery, str(error))
        except ServiceError as error:
            await self._again(message, delivery, error)
        else:
            await self._worker.settle(lambda tx: self._queue.delete(tx, message))

    async def _deliver(self, delivery: Delivery) -> None:
        destination = self._directory.find(delivery.target_arn)
        if destination is None:
            raise DeliveryRefusedError(f"{service_of(delivery.target_arn)} is not served here")
        resource = resource_of(delivery.target_arn, name_object(delivery))
        if not await self._rights.may(delivery.role, delivery.function_arn, destination.action, resource):
            # The owner may still allow it: so it is tried again.
            raise ServiceError("AccessDeniedException", f"{delivery.role} does not allow {destination.action}")
        await destination.deliver(delivery)

    async def _again(self, message: Message, delivery: Delivery, error: ServiceError) -> None:
        lower_ms, upper_ms = BACKOFF_MS
        delay_ms = min(upper_ms, lower_ms << min(message.attempts - 1, 20))
        logger.warning("a record for %s waits %d ms: %s", delivery.target_arn, delay_ms, error)
        await self._worker.settle(lambda tx: self._queue.release(tx, message, delay_ms=delay_ms))

    async def _drop(self, message: Message, delivery: Delivery, why: str) -> None:
        await self._worker.settle(lambda tx: self._queue.delete(tx, message))
        # Only a dead-letter message says so.
        is_dead_letter = "RequestID" in delivery.attributes
        lost = FunctionMetric.DEAD_LETTER_ERRORS if is_dead_letter else FunctionMetric.DESTINATION_DELIVERY_FAILURES
        self._meter.measure(call_of_arn(delivery.source_arn), lost)
        logger.error(
            "the record of an event of %s (%s) did not reach %s and is lost: %s",
            delivery.source_arn,
            delivery.condition,
            delivery.target_arn,
            why,
        )
