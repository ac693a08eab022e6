"""One step of a message move task, in one transaction: hold the task, move some messages, count them."""

from dataclasses import dataclass

from sqlalchemy import select, update

from cosset.clock import Clock
from cosset.services.sqs.book import QueueRecord, read_queue
from cosset.services.sqs.envelope import Envelope
from cosset.services.sqs.model import QueueKey
from cosset.services.sqs.move_tasks import COMPLETED, FAILED, RUNNING, MoveTask, task_of
from cosset.services.sqs.moves import Redriven, standing_key
from cosset.services.sqs.shelves import Shelves
from cosset.services.sqs.tables import move_tasks
from cosset.store.fairness import Fairness
from cosset.store.queue import Draft, Message
from cosset.store.transaction import Transaction

MAX_STEP = 100
HELD_MS = 10_000
STEP_MS = 1_000
_GONE = "AWS.SimpleQueueService.NonExistentQueue"


class _TargetGoneError(Exception):
    """There is no queue where the messages should go."""


@dataclass(frozen=True, slots=True)
class Next:
    """When the task wants its next step; None: it has ended, or another node is at it. `moved` is what this one did."""

    at_ms: int | None
    moved: tuple[Redriven, ...] = ()


class MoveStep:
    """`owner` names this node."""

    def __init__(self, shelves: Shelves, clock: Clock, owner: str) -> None:
        self._shelves = shelves
        self._clock = clock
        self._owner = owner

    def run(self, tx: Transaction, task_id: str) -> Next:
        now = self._clock.now_ms()
        row = tx.execute(select(move_tasks).where(move_tasks.c.id == task_id).with_for_update()).first()
        if row is None or row.status != RUNNING:
            return Next(None)
        if row.owner not in (None, self._owner) and row.owned_until_ms > now:
            return Next(row.owned_until_ms)
        if row.next_ms > now:
            return Next(row.next_ms)
        task = task_of(row)
        limit = min(MAX_STEP, task.per_second or MAX_STEP)
        # A rate above what one step moves takes several steps a second.
        next_ms = now if task.per_second is None else now + STEP_MS * limit // task.per_second
        try:
            moved = self._move(tx, task, limit)
        except _TargetGoneError:
            _write(tx, task, status=FAILED, failure=_GONE)
            return Next(None)
        if not moved:
            _write(tx, task, status=COMPLETED)
            return Next(None)
        held = {"owner": self._owner, "owned_until_ms": now + HELD_MS, "next_ms": next_ms}
        _write(tx, task, moved=task.moved + len(moved), **held)
        return Next(next_ms, tuple(moved))

    def _move(self, tx: Transaction, task: MoveTask, limit: int) -> list[Redriven]:
        source = _queue(tx, task.source_arn)
        if source is None:
            raise _TargetGoneError
        targets: dict[str, QueueRecord] = {}
        if task.destination_arn is not None:
            self._target(tx, targets, task.destination_arn)
        moved: list[Redriven] = []

        def move(tx: Transaction, message: Message) -> bool:
            envelope = Envelope.unpack(message.body)
            arn = task.destination_arn or envelope.dead_letter_source
            if arn is None:
                return True  # it was sent here: there is nowhere to move it back to
            target = self._target(tx, targets, arn)
            # As AWS, a new message: its id, its time and its count begin again.
            draft = Draft(
                body=envelope.moved_from(None).pack(),
                group=envelope.group_id if target.settings.is_fifo else None,
                tenant=envelope.group_id,
            )
            sent = self._shelves.of(target).put(tx, draft)
            cause = standing_key(message.id, task.source_arn, envelope.dead_letter_source)
            moved.append(Redriven(sent.id, task.source_arn, target.key.arn, cause, envelope.trace_header))
            return False

        shelf = self._shelves.of(source)
        shelf.lease(
            tx,
            limit=MAX_STEP,
            lease_ms=STEP_MS,
            group_limit=MAX_STEP,
            keep=move,
            max_removed=limit,
            fairness=None if source.settings.is_fifo else Fairness(),
        )
        return moved

    def _target(self, tx: Transaction, known: dict[str, QueueRecord], arn: str) -> QueueRecord:
        if arn not in known:
            record = _queue(tx, arn)
            if record is None:
                raise _TargetGoneError
            known[arn] = record
        return known[arn]


def _queue(tx: Transaction, arn: str) -> QueueRecord | None:
    key = QueueKey.of_arn(arn)
    return None if key is None else read_queue(tx, key)


def _write(tx: Transaction, task: MoveTask, **values: object) -> None:
    tx.execute(update(move_tasks).where(move_tasks.c.id == task.id).values(**values))
