"""What CloudWatch is told of topics, under AWS's names. Source: SNS developer guide, "Available CloudWatch metrics"."""

from cosset.observe.metrics import MetricKey, MetricWriter
from cosset.services.sns.model import TopicKey

NAMESPACE = "AWS/SNS"


class TopicMeter:
    """Never waits. Without a writer nothing is measured."""

    def __init__(self, writer: MetricWriter | None) -> None:
        self._writer = writer

    def published(self, topic: TopicKey, size: int, filtered_out: int) -> None:
        self._record(topic, "NumberOfMessagesPublished", "Count", 1)
        self._record(topic, "PublishSize", "Bytes", size)
        if filtered_out:
            self._record(topic, "NumberOfNotificationsFilteredOut", "Count", filtered_out)

    def delivered(self, topic: TopicKey) -> None:
        self._record(topic, "NumberOfNotificationsDelivered", "Count", 1)

    def failed(self, topic: TopicKey, *, redriven: bool) -> None:
        """For good: `redriven` to the dead-letter queue, or lost."""
        self._record(topic, "NumberOfNotificationsFailed", "Count", 1)
        if redriven:
            self._record(topic, "NumberOfNotificationsRedrivenToDlq", "Count", 1)

    def _record(self, topic: TopicKey, name: str, unit: str, value: float) -> None:
        if self._writer is not None:
            key = MetricKey(topic.account, topic.region, NAMESPACE, name, (("TopicName", topic.name),))
            self._writer.record(key, unit, value)
