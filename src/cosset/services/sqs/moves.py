"""Messages that are moved, as steps of what caused what: into a dead-letter queue, and out of it again.

A message that is moved for its receive count keeps its id; one that is redriven gets another. Both lead on from the
step that brought it to where it stood. Read next: observe/causes.py.
"""

from dataclasses import dataclass

from cosset.observe.causes import Step, StepKind, dead_letter_id, key_of, sent_step
from cosset.services.sqs.receiving import DeadLetter

TO_DEAD_LETTERS = "dead-letter queue"
REDRIVE = "redrive"


@dataclass(frozen=True, slots=True)
class Redriven:
    """A message `id` that a task put into a queue in the place of another; `cause` is how that one stood there."""

    id: str
    source_arn: str
    target_arn: str
    cause: str
    trace_header: str | None


def standing_key(message_id: str, queue_arn: str, dead_letter_source: str | None) -> str:
    """The key of the step by which a message stands in a queue."""
    if dead_letter_source is None:
        return key_of(message_id, StepKind.MESSAGE)
    return key_of(dead_letter_id(message_id, queue_arn), StepKind.DEAD_LETTER)


def dead_letter_step(moved: DeadLetter, now_ms: int) -> Step:
    return sent_step(
        StepKind.DEAD_LETTER,
        dead_letter_id(moved.id, moved.target_arn),
        moved.target_arn,
        source=moved.source_arn,
        cause=standing_key(moved.id, moved.source_arn, moved.came_from),
        now_ms=now_ms,
        trace_id=moved.trace_header or "",
        name=TO_DEAD_LETTERS,
    )


def redrive_step(moved: Redriven, now_ms: int) -> Step:
    return sent_step(
        StepKind.MESSAGE,
        moved.id,
        moved.target_arn,
        source=moved.source_arn,
        cause=moved.cause,
        now_ms=now_ms,
        trace_id=moved.trace_header or "",
        name=REDRIVE,
    )
