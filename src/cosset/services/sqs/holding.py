"""What a holder of a receipt handle may do: delete the message, or change how long nobody else sees it.

Of a standard queue every handle that was ever given serves, also after the message was visible again (recorded:
test_change_message_visibility_after_visibility_timeout_expiration, test_delete_after_visibility_timeout). Of a FIFO
queue only the newest does, and only until it ends. Twelve hours after a message was received nobody holds it any more,
however often that was changed (the API reference of ChangeMessageVisibility).
"""

from collections.abc import Callable, Sequence

from cosset.services.sqs.book import QueueRecord
from cosset.services.sqs.errors import invalid_value
from cosset.services.sqs.receipts import Receipt, read_handle
from cosset.store.queue import DurableQueue
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

_EXPIRED = "The receipt handle has expired."
_UNAVAILABLE = "Message does not exist or is not available for visibility timeout change."
MAX_VISIBILITY_S = 43_200


def delete_held(
    tx: Transaction, record: QueueRecord, shelf: DurableQueue, handles: Sequence[str], now_ms: int
) -> list[ServiceError | None]:
    """One answer for each handle; None also for a message that is gone already."""
    if record.settings.is_fifo:
        return [_attempt(record, handle, lambda held: _end(tx, shelf, held, now_ms)) for handle in handles]
    ended: list[int] = []

    def note(receipt: Receipt) -> None:
        if receipt.uid == record.uid:
            ended.append(receipt.seq)

    answers = [_attempt(record, handle, note) for handle in handles]
    shelf.remove_many(tx, ended)
    return answers


def change_held(
    tx: Transaction, record: QueueRecord, shelf: DurableQueue, changes: Sequence[tuple[str, int]], now_ms: int
) -> list[ServiceError | None]:
    def change(receipt: Receipt, visibility_s: int) -> None:
        standing = shelf.standing(tx, receipt.seq) if receipt.uid == record.uid else None
        if standing is None:
            raise LookupError(_UNAVAILABLE)
        if record.settings.is_fifo and not _holds(receipt, standing.lease, standing.due_ms, now_ms):
            raise LookupError(_EXPIRED)
        if visibility_s and now_ms - receipt.received_ms + 1000 * visibility_s > 1000 * MAX_VISIBILITY_S:
            reason = f"Total VisibilityTimeout for the message is beyond the limit [{MAX_VISIBILITY_S} seconds]"
            raise invalid_value(visibility_s, "VisibilityTimeout", reason)
        # An old handle serves too; a message that is visible is in flight again.
        lease = standing.lease or receipt.lease
        shelf.extend_seq(tx, receipt.seq, lease, 1000 * visibility_s)

    return [_attempt(record, handle, lambda held, to=to: change(held, to)) for handle, to in changes]  # type: ignore[misc]


def _end(tx: Transaction, shelf: DurableQueue, receipt: Receipt, now_ms: int) -> None:
    standing = shelf.standing(tx, receipt.seq)
    if standing is None:
        return
    if not _holds(receipt, standing.lease, standing.due_ms, now_ms):
        raise LookupError(_EXPIRED)
    shelf.delete_held(tx, receipt.lease, standing.group)


def _holds(receipt: Receipt, lease: str | None, due_ms: int | None, now_ms: int) -> bool:
    return lease == receipt.lease and due_ms is not None and due_ms > now_ms


def _attempt(record: QueueRecord, handle: str, work: Callable[[Receipt], None]) -> ServiceError | None:
    try:
        work(read_handle(record.secret, handle))
    except LookupError as error:
        return invalid_value(handle, "ReceiptHandle", str(error))
    except ServiceError as error:
        return error
    return None
