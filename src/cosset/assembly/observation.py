"""What watches over metrics, wired: alarms and what they do. Next: services/cloudwatch/watch.py."""

from typing import TYPE_CHECKING

from cosset.assembly.ground import Ground
from cosset.assembly.topics import Topics
from cosset.clock import Clock
from cosset.invocation import lineage
from cosset.observe.causes import CauseRecorder, StepKind, sent_step
from cosset.services.cloudwatch.watch import AlarmWatch, Keeper
from cosset.wire.errors import ServiceError

if TYPE_CHECKING:
    from cosset.invocation.push import Push
    from cosset.services.cloudwatch.alarm_actions import ActionWorker, AlarmTargets
    from cosset.services.cloudwatch.alarm_messages import Notice
    from cosset.services.cloudwatch.evaluation import Evaluator


class AlarmKeeper:
    """Implements watch.Keeper."""

    def __init__(self, evaluator: "Evaluator", worker: "ActionWorker") -> None:
        self.evaluate_all = evaluator.evaluate_all
        self.serve_actions = worker.serve
        self.stop_actions = worker.stop


class TopicTarget:
    """Implements services/cloudwatch's AlarmTarget with topics, by their own policies."""

    principal = "cloudwatch.amazonaws.com"
    _never = frozenset({"AuthorizationError", "NotFound", "InvalidParameter"})

    def __init__(self, topics: Topics, causes: CauseRecorder, clock: Clock) -> None:
        self._topics = topics
        self._causes = causes
        self._clock = clock

    async def take(self, notice: "Notice") -> None:
        from cosset.services.cloudwatch.alarm_actions import ActionRefusedError
        from cosset.services.cloudwatch.alarm_steps import key_of_notice

        cause = key_of_notice(notice)
        trace_id = lineage.led_by("", cause, self._clock.now_ms())
        try:
            message_id = await self._topics.publisher().publish(
                notice.action_arn,
                notice.message(),
                principal=self.principal,
                source_arn=notice.alarm_arn,
                source_account=notice.account,
                subject=notice.subject(),
                trace_id=trace_id,
            )
        except ServiceError as error:
            if error.code in self._never:
                raise ActionRefusedError(error.message) from error
            raise
        self._causes.happened(
            sent_step(
                StepKind.TOPIC_MESSAGE,
                message_id,
                notice.action_arn,
                source=notice.alarm_arn,
                cause=cause,
                now_ms=self._clock.now_ms(),
                trace_id=trace_id,
                name="alarm action",
            )
        )


def make_alarm_watch(ground: Ground, push: "Push", topics: Topics, clock: Clock) -> AlarmWatch:
    """Nothing that evaluates is imported before there is an alarm."""

    def make() -> Keeper:
        from cosset.services.cloudwatch.alarm_actions import ActionWorker
        from cosset.services.cloudwatch.alarm_records import ACTIONS_QUEUE
        from cosset.services.cloudwatch.evaluation import Evaluator
        from cosset.store.queue import DurableQueue

        queue = DurableQueue(ground.store, ACTIONS_QUEUE, clock)
        evaluator = Evaluator(ground.store, ground.metrics, queue, clock, ground.causes)
        return AlarmKeeper(
            evaluator, ActionWorker(ground.store, make_alarm_targets(ground, push, topics, clock), clock)
        )

    return AlarmWatch(ground.store, clock, make)


def make_alarm_targets(ground: Ground, push: "Push", topics: Topics, clock: Clock) -> "AlarmTargets":
    """Where alarms may lead. A service that takes notices is added here."""
    from cosset.services.cloudwatch.alarm_actions import AlarmTargets, FunctionTarget

    targets = AlarmTargets()
    targets.serve("lambda", FunctionTarget(push))
    targets.serve("sns", TopicTarget(topics, ground.causes, clock))
    return targets
