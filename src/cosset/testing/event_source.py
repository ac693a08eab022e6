"""An event source that has what a test says it has: the double of SQS, Kinesis and DynamoDB Streams.

Put it where the real service would stand: `sources.serve("sqs", ListedEventSource([arn]))`.
"""

from collections.abc import Collection


class ListedEventSource:
    """Implements triggers.sources.EventSource for the ARNs that it was given."""

    def __init__(self, arns: Collection[str]) -> None:
        self._arns = frozenset(arns)

    async def exists(self, arn: str) -> bool:
        return arn in self._arns
