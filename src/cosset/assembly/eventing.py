"""What makes functions run, and what their ends lead to, wired: queues, topics, event source mappings, notifications of
buckets, subscriptions and exports of logs, alarms. Read next: the module of each.
"""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass

from cosset.assembly.causes import RecordedDestination
from cosset.assembly.ground import Ground
from cosset.assembly.invocation import Outward, Running
from cosset.assembly.log_exports import LogExporting
from cosset.assembly.log_filters import LogSubscriptions
from cosset.assembly.notifications import BucketNotifications
from cosset.assembly.observation import make_alarm_watch
from cosset.assembly.queues import QueueChores, serve_queues
from cosset.assembly.replication import BucketReplications
from cosset.assembly.topics import LateTopicDestination, QueuesForTopics, Topics
from cosset.assembly.triggers import Triggers
from cosset.clock import Clock
from cosset.identity.authorizer import PolicyAuthorizer
from cosset.invocation.push import Push
from cosset.observe.causes import StepKind
from cosset.services.cloudwatch.watch import AlarmWatch
from cosset.settings import Settings


@dataclass(frozen=True, slots=True)
class Eventing:
    """`work` is for tasks of the node; `stop` comes before they are cancelled."""

    queues: QueueChores
    triggers: Triggers
    subscriptions: LogSubscriptions
    topics: Topics
    notifications: BucketNotifications
    replications: BucketReplications
    exports: LogExporting
    alarms: AlarmWatch

    def work(self) -> Sequence[tuple[str, Coroutine[None, None, None]]]:
        return (
            ("queue-chores", self.queues.serve()),
            ("triggers", self.triggers.serve()),
            ("topics", self.topics.serve()),
            ("notifications", self.notifications.serve()),
            ("replication", self.replications.serve()),
            ("log-exports", self.exports.serve()),
            ("alarms", self.alarms.serve()),
        )

    async def stop(self, timeout_s: float) -> None:
        """Takes nothing more, and lets what is under way end: each at most this long."""
        await self.triggers.stop(timeout_s)
        await self.notifications.stop(timeout_s)
        await self.replications.stop(timeout_s)
        await self.exports.stop(timeout_s)
        await self.topics.stop(timeout_s)


def make_eventing(
    settings: Settings,
    ground: Ground,
    running: Running,
    outward: Outward,
    authorizer: PolicyAuthorizer,
    endpoint: str,
    clock: Clock,
) -> Eventing:
    """From here on the ends of asynchronous events may go to queues and topics."""
    push = Push(running.functions, authorizer, running.events, clock)
    subscriptions = LogSubscriptions(ground.store, push, ground.metrics, ground.causes)
    ground.logs.follow(subscriptions)
    topics = Topics(settings, ground, push, QueuesForTopics(ground, authorizer, clock), authorizer, endpoint, clock)
    to_topics = RecordedDestination(LateTopicDestination(topics), StepKind.TOPIC_MESSAGE, ground.causes, clock)
    outward.destinations.serve("sns", to_topics)
    notifications = BucketNotifications(ground, push, topics, authorizer, clock)
    return Eventing(
        queues=serve_queues(ground, outward, clock),
        triggers=Triggers(ground, running.functions, running.dispatcher, outward, clock),
        subscriptions=subscriptions,
        topics=topics,
        notifications=notifications,
        replications=BucketReplications(settings, ground, notifications, authorizer, clock),
        exports=LogExporting(ground, authorizer, clock),
        alarms=make_alarm_watch(ground, push, topics, clock),
    )
