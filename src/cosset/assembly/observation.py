"""What watches over metrics, wired: alarms and what they do. Next: services/cloudwatch/watch.py."""

from typing import TYPE_CHECKING

from cosset.assembly.ground import Ground
from cosset.clock import Clock
from cosset.services.cloudwatch.watch import AlarmWatch, Keeper

if TYPE_CHECKING:
    from cosset.invocation.push import Push
    from cosset.services.cloudwatch.alarm_actions import ActionWorker, AlarmTargets
    from cosset.services.cloudwatch.evaluation import Evaluator


class AlarmKeeper:
    """Implements watch.Keeper."""

    def __init__(self, evaluator: "Evaluator", worker: "ActionWorker") -> None:
        self.evaluate_all = evaluator.evaluate_all
        self.serve_actions = worker.serve
        self.stop_actions = worker.stop


def make_alarm_watch(ground: Ground, push: "Push", clock: Clock) -> AlarmWatch:
    """Nothing that evaluates is imported before there is an alarm."""

    def make() -> Keeper:
        from cosset.services.cloudwatch.alarm_actions import ActionWorker
        from cosset.services.cloudwatch.alarm_records import ACTIONS_QUEUE
        from cosset.services.cloudwatch.evaluation import Evaluator
        from cosset.store.queue import DurableQueue

        queue = DurableQueue(ground.store, ACTIONS_QUEUE, clock)
        evaluator = Evaluator(ground.store, ground.metrics, queue, clock)
        return AlarmKeeper(evaluator, ActionWorker(ground.store, make_alarm_targets(push), clock))

    return AlarmWatch(ground.store, clock, make)


def make_alarm_targets(push: "Push") -> "AlarmTargets":
    """Where alarms may lead. A service that takes notices is added here."""
    from cosset.services.cloudwatch.alarm_actions import AlarmTargets, FunctionTarget

    targets = AlarmTargets()
    targets.serve("lambda", FunctionTarget(push))
    return targets
