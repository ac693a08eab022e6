"""What SNS asks of the rooms that its messages go to; `assembly/topics.py` wires them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cosset.invocation.push import PushedEvent
from cosset.services.sns.model import MessageAttribute
from cosset.store.transaction import Transaction


class RefusedByTargetError(Exception):
    """The target will not take this message, however often it is offered: it has gone, or does not let the topic in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForQueue:
    """A message for a queue. `source_arn` is the topic that it comes from, `id` stays over every attempt."""

    id: str
    queue_arn: str
    body: str
    source_arn: str
    attributes: Mapping[str, MessageAttribute] = field(default_factory=dict)
    group: str | None = None
    deduplication_id: str | None = None
    trace_header: str | None = None


class QueueSender(Protocol):
    async def send(self, message: ForQueue) -> None:
        """Returns when the message is durable in the queue, whose policy has let sns.amazonaws.com in.

        Raises:
            RefusedByTargetError: it never will be.
            ServiceError: not now.
        """
        ...


class FunctionPusher(Protocol):
    """`invocation.push.Push`."""

    async def check(self, event: PushedEvent) -> None: ...

    def push_within(self, tx: Transaction, event: PushedEvent, *, is_once: bool) -> None: ...


class HttpPoster(Protocol):
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """Returns when the endpoint has answered 2xx.

        Raises:
            RefusedByTargetError: it never will: it answered 4xx, or lies where nothing may be sent.
            ServiceError: not now.
        """
        ...
