"""The services that functions pull from: the port that each implements, and the directory of those that are here.

What is not in the directory cannot be mapped, and the Lambda API says so by name. Put a source in only together with
the engine that pulls from it: a mapping that says Enabled must deliver.
"""

from typing import Protocol


class EventSource(Protocol):
    """One service with queues or streams, for all ARNs of its kind."""

    async def exists(self, arn: str) -> bool:
        """Whether there is such a queue or stream. Asked when it is mapped."""
        ...


class EventSources:
    """By the service in the ARN: `sqs`, `kinesis`, `dynamodb`. The composition root fills it."""

    def __init__(self) -> None:
        self._by_service: dict[str, EventSource] = {}

    def serve(self, service: str, source: EventSource) -> None:
        self._by_service[service] = source

    def find(self, service: str) -> EventSource | None:
        return self._by_service.get(service)
