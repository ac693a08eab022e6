"""ReceiveRequestAttemptId: a receiver of a FIFO queue whose answer was lost asks again, and gets the same messages.

With the same handles, for five minutes, as long as none of them was deleted or became visible; their visibility begins
anew. Without it a group whose batch was lost on the way would wait for its visibility timeout. An attempt is refused
when somebody has dealt with its messages since (seen in reports); when they became visible, it is as good as a new one.
"""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select

from cosset.services.sqs.errors import invalid_value
from cosset.services.sqs.tables import receive_attempts
from cosset.store.queue import DEDUPLICATION_MS, DurableQueue, Message
from cosset.store.queue_messages import seq_of
from cosset.store.transaction import Transaction

_OVER = "The receiveRequestAttemptId is not valid anymore since the receive call is not retryable."
_at = receive_attempts.c


def repeat(
    tx: Transaction, shelf: DurableQueue, uid: str, attempt: str, now_ms: int, lease_ms: int
) -> tuple[list[Message], int] | None:
    """What the attempt got, under lease anew, and when it first got it. None: it is the first, or what it got is not
    all its own any more. Raises ServiceError InvalidParameterValue."""
    row = tx.execute(select(_at.until_ms, _at.leases).where(_at.uid == uid, _at.attempt == attempt)).first()
    if row is None or row.until_ms <= now_ms:
        return None
    leases = row.leases.split()
    held = [shelf.held(tx, lease) for lease in leases]
    messages = [message for message in held if message is not None]
    if len(messages) < len(held):
        if not all(_stands(tx, shelf, lease) for lease in leases):
            raise invalid_value(attempt, "ReceiveRequestAttemptId", _OVER)
        return None
    for message in messages:
        shelf.extend(tx, message, lease_ms)
    return messages, row.until_ms - DEDUPLICATION_MS


def _stands(tx: Transaction, shelf: DurableQueue, lease: str) -> bool:
    """Whether the message was not deleted, nor received by somebody else."""
    standing = shelf.standing(tx, seq_of(lease))
    return standing is not None and standing.lease in (None, lease)


def remember(tx: Transaction, uid: str, attempt: str, messages: Sequence[Message], now_ms: int) -> None:
    """Forgets old attempts of the queue on the way."""
    tx.execute(delete(receive_attempts).where(_at.uid == uid, (_at.until_ms <= now_ms) | (_at.attempt == attempt)))
    if messages:
        leases = " ".join(message.lease for message in messages)
        row = {"uid": uid, "attempt": attempt, "until_ms": now_ms + DEDUPLICATION_MS, "leases": leases}
        tx.execute(insert(receive_attempts), row)
