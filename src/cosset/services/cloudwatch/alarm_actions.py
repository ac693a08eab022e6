"""What alarms do when they move: each action is tried until its target has taken it or never will; the history says.

Owed actions wait in a durable queue, put there by the transaction that moved the alarm. Targets are found by the
service in the action's ARN: functions are here, others come in through `AlarmTargets.serve` (assembly/observation.py).
"""

import json
import logging
from typing import Any, Protocol

from cosset.clock import Clock
from cosset.invocation import lineage
from cosset.invocation.destinations import service_of
from cosset.invocation.push import Push, PushedEvent, PushRefusedError
from cosset.invocation.queue_worker import QueueWorker
from cosset.services.cloudwatch.alarm_messages import Notice
from cosset.services.cloudwatch.alarm_records import ACTIONS_QUEUE, Alarm, add_history
from cosset.services.cloudwatch.alarm_steps import key_of_notice
from cosset.store.database import Store, Transaction
from cosset.store.queue import DurableQueue, Message
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

PRINCIPAL = "lambda.alarms.cloudwatch.amazonaws.com"
MOST_ATTEMPTS = 8
_BACKOFF_MS = (1_000, 60_000)


class ActionRefusedError(Exception):
    """The target will never take this notice."""


class AlarmTarget(Protocol):
    """One service that takes what alarms say (functions; topics)."""

    async def take(self, notice: Notice) -> None:
        """Returns when the notice is durable there; may be called again with the same one (`notice.id`).

        Raises:
            ActionRefusedError: it never will be.
            ServiceError: not now; it comes again, with back-off.
        """
        ...


class AlarmTargets:
    """By the service in the action's ARN (`lambda`, `sns`)."""

    def __init__(self) -> None:
        self._by_service: dict[str, AlarmTarget] = {}

    def serve(self, service: str, target: AlarmTarget) -> None:
        self._by_service[service] = target

    def find(self, action_arn: str) -> AlarmTarget:
        """Raises: ActionRefusedError."""
        service = service_of(action_arn)
        if service not in self._by_service:
            raise ActionRefusedError(f"{service or 'this target'} is not served here")
        return self._by_service[service]


class FunctionTarget:
    """Functions, by their own policies."""

    def __init__(self, push: Push) -> None:
        self._push = push

    async def take(self, notice: Notice) -> None:
        event = PushedEvent(
            id=notice.id,
            function_arn=notice.action_arn,
            payload=notice.event(),
            principal=PRINCIPAL,
            source_arn=notice.alarm_arn,
            source_account=notice.account,
            trace_id=lineage.led_by("", key_of_notice(notice), int(notice.said["new"]["at_ms"])),
        )
        try:
            await self._push.push(event)
        except PushRefusedError as error:
            raise ActionRefusedError(str(error)) from error


class ActionWorker:
    """Takes owed actions from the queue. `serve` and `stop` are the QueueWorker's."""

    def __init__(self, store: Store, targets: AlarmTargets, clock: Clock, *, width: int = 8) -> None:
        self._store = store
        self._queue = DurableQueue(store, ACTIONS_QUEUE, clock)
        self._targets = targets
        self._clock = clock
        worker = QueueWorker(store, self._queue, self._attempt, clock, noun="alarm action", width=width)
        self.serve = worker.serve
        self.stop = worker.stop
        self.handle = worker.handle

    async def _attempt(self, message: Message) -> None:
        notice = Notice(message.id, json.loads(message.body))
        try:
            await self._targets.find(notice.action_arn).take(notice)
        except ActionRefusedError as error:
            await self._end(message, notice, str(error))
        except ServiceError as error:
            if message.attempts >= MOST_ATTEMPTS:
                await self._end(message, notice, error.message or error.code)
                return
            lower_ms, upper_ms = _BACKOFF_MS
            delay_ms = min(upper_ms, lower_ms << min(message.attempts - 1, 20))
            logger.warning("the action %s of %s waits %d ms: %s", notice.action_arn, notice.alarm_arn, delay_ms, error)
            await self._store.write(lambda tx: self._queue.release(tx, message, delay_ms=delay_ms))
        else:
            await self._end(message, notice, None)

    async def _end(self, message: Message, notice: Notice, error: str | None) -> None:
        def work(tx: Transaction) -> None:
            if self._queue.delete(tx, message):
                note_action(tx, notice, error, self._clock.now_ms())

        await self._store.write(work)
        if error is not None:
            logger.error("the action %s of %s failed: %s", notice.action_arn, notice.alarm_arn, error)


def note_action(tx: Transaction, notice: Notice, error: str | None, now_ms: int) -> None:
    """Its line in the alarm's history."""
    arn = notice.action_arn
    data: dict[str, Any] = {
        "actionState": "Succeeded" if error is None else "Failed",
        "stateUpdateTimestamp": notice.said["new"]["at_ms"],
        "notificationResource": arn,
        "error": error,
    }
    if service_of(arn) == "sns":
        data["publishedMessage"] = notice.message()
    summary = f"Successfully executed action {arn}"
    if error is not None:
        summary = f'Failed to execute action {arn}. Received error: "{error}"'
    add_history(tx, _alarm_of(notice), "Action", now_ms, summary, data)


def _alarm_of(notice: Notice) -> Alarm:
    said = notice.said
    return Alarm(
        account=said["account"],
        region=said["region"],
        name=said["name"],
        is_composite=said["is_composite"],
        settings=said["settings"],
        state=said["new"]["value"],
        reason=said["new"]["reason"],
        reason_data=said["new"]["data"],
        configured_ms=said["configured_ms"],
        updated_ms=said["new"]["at_ms"],
        changed_ms=said["new"]["at_ms"],
    )
