"""Messages that AWS services send on their own behalf (SNS, S3, EventBridge): the queue's policy decides.

Like invocation/push.py for functions. The caller keeps its own event until this has returned.
"""

from dataclasses import dataclass

from cosset.clock import Clock
from cosset.identity.evaluation.context import CallContext, ContextValue
from cosset.identity.ports import Authorizer, Requirement
from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.sqs.model import NewMessage, QueueKey, SentMessage
from cosset.services.sqs.queues import Queues
from cosset.wire.errors import ServiceError

_NEVER = frozenset(
    {
        *("AccessDenied", "AccessDeniedException", "QueueDoesNotExist", "InvalidMessageContents"),
        *("InvalidParameterValueException", "MissingRequiredParameterException"),
    }
)


class QueueRefusedError(Exception):
    """The queue will not take this message, however often it is offered: no permission, no queue, too large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceMessage:
    """A message for one queue. `principal` is the service's (`sns.amazonaws.com`), `source_arn` and `source_account`
    what the message comes from; `sender_id` is what SenderId shows."""

    queue_arn: str
    message: NewMessage
    principal: str
    source_arn: str
    source_account: str
    sender_id: str


class Delivery:
    """What the services call that send to queues."""

    def __init__(self, queues: Queues, authorizer: Authorizer, clock: Clock) -> None:
        self._queues = queues
        self._authorizer = authorizer
        self._clock = clock

    async def deliver(self, sent: ServiceMessage) -> SentMessage:
        """Durable when it returns.

        Raises:
            QueueRefusedError: it never will be.
            ServiceError: not now; offer it again, with back-off.
        """
        try:
            await self.check(sent)
            return await self._queues.send(sent.queue_arn, sent.message, sender_id=sent.sender_id)
        except ServiceError as error:
            if error.code in _NEVER:
                raise QueueRefusedError(error.message) from error
            raise

    async def check(self, sent: ServiceMessage) -> None:
        """Raises ServiceError: the queue's policy does not let the service send."""
        if QueueKey.of_arn(sent.queue_arn) is None:
            raise QueueRefusedError(f"{sent.queue_arn} is no queue")
        context: dict[str, ContextValue] = {"aws:SourceArn": sent.source_arn, "aws:SourceAccount": sent.source_account}
        await self._authorizer.authorize(
            Principal(PrincipalKind.SERVICE, "", sent.principal, ""),
            [Requirement("sqs:SendMessage", sent.queue_arn, context)],
            CallContext(self._clock.now_ms(), service="sqs"),
        )
