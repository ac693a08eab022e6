"""The queues of this node: one object for all who send and receive here, made for the first of them.

One, so that whoever sends, the service or another room, finds who waits, and hands over (services/sqs/handing.py).
"""

from functools import cached_property
from typing import TYPE_CHECKING

from cosset.clock import Clock
from cosset.observe.causes import CauseRecorder
from cosset.observe.metrics import MetricWriter
from cosset.store.database import Store

if TYPE_CHECKING:
    from cosset.services.sqs.queues import Queues


class NodeQueues:
    def __init__(self, store: Store, clock: Clock, meter: MetricWriter, causes: CauseRecorder) -> None:
        self._store = store
        self._clock = clock
        self._meter = meter
        self._causes = causes

    @cached_property
    def there(self) -> "Queues":
        """Imported now, where nobody has used a queue before."""
        from cosset.services.sqs.queues import Queues

        return Queues(self._store, self._clock, self._meter, self._causes)
