"""The services that functions pull from: the ports that each implements, and the directory of those that are here.

A source supplies only how records are fetched and settled, and what they look like; batches, filters, order, retries
and the rest are the engine's. There are two kinds: a queue gives messages that are deleted one by one, a log has shards
that are read in order up to a position. What is not in the directory cannot be mapped, and the Lambda API says so by
name. Read next: engine.py.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One message or record.

    `id` is what a function names in `batchItemFailures` (message id, sequence number). `encoded` is the JSON that the
    function gets of it. `metadata` and `content` are what filters see: `content` is the text under `content_key`
    (`body` of a message, `data` of a record), None where filters see all of it as metadata. `key`: records of one key
    are in order (message group, partition key). `receipt` is the source's own. `cause` is the key of the step that
    brought it to where it was fetched (observe/causes.py).
    """

    id: str
    encoded: bytes
    metadata: Mapping[str, Any]
    content_key: str | None = None
    content: str | None = None
    key: str | None = None
    arrived_ms: int = 0
    trace_id: str = ""
    receipt: str = field(default="", repr=False)
    cause: str = ""


class EventSource(Protocol):
    """One service with queues or streams, for all ARNs of its kind."""

    @property
    def actions(self) -> Sequence[str]:
        """What the function's role must be allowed on the ARN; the first is the one that AWS names."""
        ...

    async def exists(self, arn: str) -> bool:
        """Whether there is such a queue or stream. Asked when it is mapped."""
        ...


@runtime_checkable
class QueueSource(EventSource, Protocol):
    """A service with queues. Every call may raise ServiceError; the engine asks again."""

    async def visibility_s(self, arn: str) -> int | None:
        """For how long a received message is nobody else's; None when there is no such queue."""
        ...

    async def receive(self, arn: str, *, limit: int, wait_s: float, cancelled: asyncio.Event) -> Sequence[Record]:
        """Up to `limit` messages, nobody else's for `visibility_s`. Waits for the first up to `wait_s`, or until
        `cancelled` is set. Of an ordered queue in order, and no more of a group until these are settled."""
        ...

    async def delete(self, arn: str, records: Sequence[Record]) -> None:
        """They are done with. One whose time was over may come again."""
        ...

    async def give_back(self, arn: str, records: Sequence[Record]) -> None:
        """They were not tried: somebody may have them at once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One ordered part of a log. Read only after its parents have been read to their ends."""

    id: str
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What was read. `position` is that of the last record (or where reading began), `positions` that of each.
    `is_end`: the shard is closed, and nothing comes behind."""

    records: Sequence[Record]
    positions: Sequence[str]
    position: str
    is_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where reading begins: TRIM_HORIZON, LATEST or AT_TIMESTAMP."""

    position: str
    timestamp_ms: int | None = None


@runtime_checkable
class LogSource(EventSource, Protocol):
    """A service with sharded logs. Positions are the source's own words, kept durably by the engine."""

    @property
    def info_key(self) -> str:
        """What a record of a failed batch calls the batch: `KinesisBatchInfo`, `DDBStreamBatchInfo`."""
        ...

    async def shards(self, arn: str) -> Sequence[Shard]:
        """All that can be read."""
        ...

    async def begin(self, arn: str, shard_id: str, start: Start) -> str:
        """The position behind which reading begins."""
        ...

    async def read(self, arn: str, shard_id: str, *, after: str, limit: int, role: str) -> Page:
        """The next records, if any; from the oldest there is, when those behind `after` have been dropped by age.
        `role` is the function's, which records of Kinesis name."""
        ...

    async def wait(self, arn: str, shard_id: str, *, after: str, timeout_s: float) -> None:
        """Returns when there may be more to read behind `after`, or at the timeout."""
        ...


class EventSources:
    """By the service in the ARN: `sqs`, `kinesis`, `dynamodb`. The composition root fills it."""

    def __init__(self) -> None:
        self._makers: dict[str, Callable[[], EventSource]] = {}
        self._made: dict[str, EventSource] = {}

    def serve(self, service: str, source: EventSource) -> None:
        self._made[service] = source

    def serve_late(self, service: str, make: Callable[[], EventSource]) -> None:
        """Made when it is first asked for."""
        self._makers[service] = make

    def find(self, service: str) -> EventSource | None:
        if service not in self._made and service in self._makers:
            self._made[service] = self._makers[service]()
        return self._made.get(service)
