"""Destinations that keep what they are given, for tests of asynchronous invocations: doubles of the services.

Put one where the real service would stand: `destinations.serve("sqs", RecordingDestination())`.
"""

from collections.abc import Collection

from cosset.invocation.destination_shapes import BusEvent, name_object, write_bus_event
from cosset.invocation.destinations import Delivery, DeliveryRefusedError
from cosset.wire.errors import ServiceError


class RecordingDestination:
    """Implements invocation.destinations.Destination, as a queue.

    Args:
        missing: ARNs that are not there: not to be configured, and refused for good when something comes for them.
        failures: how many deliveries fail for now before one is taken.
    """

    action = "sqs:SendMessage"

    def __init__(self, *, missing: Collection[str] = (), failures: int = 0) -> None:
        self.taken: list[Delivery] = []
        self._missing = frozenset(missing)
        self._failures = failures

    async def accepts(self, target_arn: str, *, source_arn: str) -> bool:
        return target_arn not in self._missing

    async def deliver(self, delivery: Delivery) -> None:
        if delivery.target_arn in self._missing:
            raise DeliveryRefusedError(f"{delivery.target_arn} does not exist")
        if self._failures:
            self._failures -= 1
            raise ServiceError("ServiceUnavailable", "The destination is not there for a moment.", status=503)
        self.taken.append(delivery)


class RecordingTopic(RecordingDestination):
    """As a topic."""

    action = "sns:Publish"


class RecordingBus(RecordingDestination):
    """As an event bus: `events` are what rules would see."""

    action = "events:PutEvents"

    @property
    def events(self) -> list[BusEvent]:
        return [write_bus_event(delivery) for delivery in self.taken]


class RecordingBucket(RecordingDestination):
    """As a bucket: `objects` by key, each once however often it came."""

    action = "s3:PutObject"

    @property
    def objects(self) -> dict[str, bytes]:
        return {name_object(delivery): delivery.body for delivery in self.taken}
