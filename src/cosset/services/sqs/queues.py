"""Queues: what SQS's handlers, event source mappings, destinations and topics do with them, by a queue's ARN.

For other rooms (they see a port of their own, wired in assembly/queues.py):

    facts(arn) -> QueueFacts | None                    None: there is no such queue
    receive(arn, max_messages=, visibility_s=, wait_s=, cancelled=) -> [ReceivedMessage]
                                                       returns at once when something comes; [] at the end of the wait
    delete_batch(arn, [receipt_handle]) -> [ServiceError | None]
    change_visibility_batch(arn, [(receipt_handle, seconds)]) -> [ServiceError | None]
    send(arn, NewMessage, sender_id=) -> SentMessage   durable when it returns
    wait(arn, timeout_s) -> bool                       returns when something may be receivable
    depth(arn) -> Depth

None of them asks IAM: who calls has asked (`deliver.py` asks, for services that send on their own behalf). All raise
ServiceError QueueDoesNotExist where there is no such queue.
"""

import asyncio
from collections.abc import Sequence

from cosset.services.sqs.model import Depth, NewMessage, QueueFacts, ReceivedMessage, SentMessage
from cosset.wire.errors import OperationNotImplementedError, ServiceError


class Queues:
    """Any number may be made over one store, on any number of nodes."""

    async def facts(self, queue_arn: str) -> QueueFacts | None:
        """None when there is no such queue."""
        raise OperationNotImplementedError("sqs", "GetQueueAttributes")

    async def receive(
        self,
        queue_arn: str,
        *,
        max_messages: int = 10,
        visibility_s: int | None = None,
        wait_s: float = 0,
        cancelled: asyncio.Event | None = None,
    ) -> list[ReceivedMessage]:
        """Up to `max_messages` (at most 100), in flight for `visibility_s` (None: the queue's).

        Waits up to `wait_s` for the first of them, or until `cancelled` is set. Of a FIFO queue in order: messages of
        one group may come together; the group gives no others until all of them are deleted or visible again.
        """
        raise OperationNotImplementedError("sqs", "ReceiveMessage")

    async def delete_batch(self, queue_arn: str, receipt_handles: Sequence[str]) -> list[ServiceError | None]:
        """One answer for each handle, None where the message is gone now."""
        raise OperationNotImplementedError("sqs", "DeleteMessageBatch")

    async def change_visibility_batch(
        self, queue_arn: str, changes: Sequence[tuple[str, int]]
    ) -> list[ServiceError | None]:
        """Each (receipt handle, seconds from now; 0: visible at once). One answer for each."""
        raise OperationNotImplementedError("sqs", "ChangeMessageVisibilityBatch")

    async def send(self, queue_arn: str, message: NewMessage, *, sender_id: str) -> SentMessage:
        """Durable when it returns. Raises ServiceError for what the queue does not take."""
        raise OperationNotImplementedError("sqs", "SendMessage")

    async def wait(self, queue_arn: str, timeout_s: float) -> bool:
        """Returns when something may be receivable, or at the timeout: then False."""
        raise OperationNotImplementedError("sqs", "ReceiveMessage")

    async def depth(self, queue_arn: str) -> Depth:
        raise OperationNotImplementedError("sqs", "GetQueueAttributes")
