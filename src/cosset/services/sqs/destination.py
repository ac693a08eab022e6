"""Queues as destinations of asynchronous invocations, and as their dead-letter queues.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html: a record is the body of a message;
an event for a dead-letter queue has three message attributes that say what became of it. FIFO queues are no
destinations.
"""

from cosset.invocation.destinations import Delivery, DeliveryRefusedError
from cosset.services.sqs.model import AttributeValue, NewMessage, QueueKey
from cosset.services.sqs.queues import Queues
from cosset.wire.errors import ServiceError

_NUMBERS = frozenset({"ErrorCode"})
_NEVER = frozenset(
    {
        *("QueueDoesNotExist", "InvalidMessageContents", "InvalidParameterValueException"),
        "MissingRequiredParameterException",
    }
)


class QueueDestination:
    """Implements invocation.destinations.Destination. By the rights of the function's role, which the caller asked."""

    action = "sqs:SendMessage"

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def accepts(self, target_arn: str, *, source_arn: str) -> bool:
        key = QueueKey.of_arn(target_arn)
        if key is None or key.region != source_arn.split(":")[3]:
            return False
        facts = await self._queues.facts(target_arn)
        return facts is not None and not facts.is_fifo

    async def deliver(self, delivery: Delivery) -> None:
        message = NewMessage(
            body=delivery.body.decode("utf-8", "replace"),
            attributes={
                name: AttributeValue("Number" if name in _NUMBERS else "String", value)
                for name, value in delivery.attributes.items()
            },
            trace_header=delivery.trace_id or None,
        )
        try:
            await self._queues.send(delivery.target_arn, message, sender_id=_sender_of(delivery))
        except ServiceError as error:
            if error.code in _NEVER:
                raise DeliveryRefusedError(error.message) from error
            raise


def _sender_of(delivery: Delivery) -> str:
    """As the role's session would be named."""
    role = delivery.role.rpartition("/")[2]
    return f"{role}:{delivery.function_arn.rpartition(':')[2]}"
