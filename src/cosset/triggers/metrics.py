"""What mappings count, for whoever keeps metrics: AWS's names. `MetricsConfig` opts into the counts of events."""

from typing import Protocol

from cosset.triggers.model import EventSourceMapping

POLLED = "PolledEventCount"
FILTERED_OUT = "FilteredOutEventCount"
INVOKED = "InvokedEventCount"
FAILED = "FailedInvokeEventCount"
DROPPED = "DroppedEventCount"
DELIVERED = "OnFailureDestinationDeliveredEventCount"
DELETED = "DeletedEventCount"
ITERATOR_AGE = "IteratorAge"
EVENT_COUNT = "EventCount"


class TriggerMetrics(Protocol):
    """Takes what it is told and never raises; the assembly wires it to observe/."""

    def record(self, mapping: EventSourceMapping, name: str, value: float) -> None:
        """`value` is a count, or milliseconds for IteratorAge."""
        ...


class NoMetrics:
    """For a node that keeps none."""

    def record(self, mapping: EventSourceMapping, name: str, value: float) -> None: ...


class Counts:
    """The metrics of one mapping: those of events only where the mapping asks for them."""

    def __init__(self, metrics: TriggerMetrics, mapping: EventSourceMapping) -> None:
        self._metrics = metrics
        self._mapping = mapping
        self._counts = EVENT_COUNT in (mapping.settings.metrics or ())

    def count(self, name: str, number: int) -> None:
        if self._counts and number:
            self._metrics.record(self._mapping, name, number)

    def iterator_age(self, age_ms: int) -> None:
        self._metrics.record(self._mapping, ITERATOR_AGE, max(0, age_ms))
