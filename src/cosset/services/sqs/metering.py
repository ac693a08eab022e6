"""What CloudWatch is told of queues, under AWS's names: what goes through them, as it happens, and each minute how deep
they are. Source: SQS developer guide, "Available CloudWatch metrics for Amazon SQS".

Not here: ApproximateAgeOfOldestMessage, and the metrics of groups.
"""

from collections.abc import Sequence

from cosset.observe.metrics import MetricKey, MetricWriter
from cosset.services.sqs.model import Depth, QueueKey

NAMESPACE = "AWS/SQS"
_COUNT, _BYTES = "Count", "Bytes"


class QueueMeter:
    """Never waits. Without a writer nothing is measured."""

    def __init__(self, writer: MetricWriter | None) -> None:
        self._writer = writer

    def sent(self, queue: QueueKey, sizes: Sequence[int]) -> None:
        if sizes:
            self._record(queue, "NumberOfMessagesSent", _COUNT, len(sizes))
        for size in sizes:
            self._record(queue, "SentMessageSize", _BYTES, size)

    def received(self, queue: QueueKey, number: int) -> None:
        if number:
            self._record(queue, "NumberOfMessagesReceived", _COUNT, number)
        else:
            self._record(queue, "NumberOfEmptyReceives", _COUNT, 1)

    def deleted(self, queue: QueueKey, number: int) -> None:
        if number:
            self._record(queue, "NumberOfMessagesDeleted", _COUNT, number)

    def stands(self, queue: QueueKey, depth: Depth) -> None:
        self._record(queue, "ApproximateNumberOfMessagesVisible", _COUNT, depth.visible)
        self._record(queue, "ApproximateNumberOfMessagesNotVisible", _COUNT, depth.in_flight)
        self._record(queue, "ApproximateNumberOfMessagesDelayed", _COUNT, depth.delayed)

    def _record(self, queue: QueueKey, name: str, unit: str, value: float) -> None:
        if self._writer is not None:
            key = MetricKey(queue.account, queue.region, NAMESPACE, name, (("QueueName", queue.name),))
            self._writer.record(key, unit, value)
