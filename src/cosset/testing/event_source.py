"""An event source that has what a test says it has: the double of SQS, Kinesis and DynamoDB Streams.

Put it where the real service would stand: `sources.serve("sqs", ListedEventSource([arn]))`.
"""

from collections.abc import Collection, Sequence


class ListedEventSource:
    """Implements triggers.sources.EventSource for the ARNs that it was given. `actions` are what roles must be
    allowed."""

    def __init__(self, arns: Collection[str], actions: Sequence[str] = ()) -> None:
        self._arns = frozenset(arns)
        self.actions = tuple(actions)

    async def exists(self, arn: str) -> bool:
        return arn in self._arns
