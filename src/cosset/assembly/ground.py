"""What every room stands on, opened: what is kept, who is who, who decides, where logs and measurements go."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from cosset.assembly.causes import open_causes
from cosset.assembly.node_queues import NodeQueues
from cosset.assembly.tables import EVERY_TABLE
from cosset.clock import Clock
from cosset.functions.function_book import FunctionBook
from cosset.functions.records import TOPIC as FUNCTION_CHANGES
from cosset.functions.resource_policies import FunctionResources
from cosset.identity.access_book import AccessBook
from cosset.identity.authorizer import PolicyAuthorizer
from cosset.identity.policy_sources import LateResources, ResourceSource
from cosset.invocation.underway import Underway
from cosset.observe.cause_buffer import CauseBuffer
from cosset.observe.log_buffer import LogBuffer
from cosset.observe.metric_buffer import MetricBuffer
from cosset.services.iam.directory import IamDirectory
from cosset.services.iam.held_policies import CarriedPolicies, IamResources, RoleTrust
from cosset.services.iam.policy_book import PolicyBook
from cosset.services.iam.records import CHANGES as IAM_CHANGES
from cosset.services.iam.uses import UseLog
from cosset.services.installation.access_log import AccessLog
from cosset.services.logs.group_book import LogGroupBook
from cosset.services.logs.places import POLICY_CHANGES as LOG_POLICY_CHANGES
from cosset.services.logs.retention import LogRetention
from cosset.services.s3.places import CHANGES as BUCKET_CHANGES
from cosset.services.sns.places import CHANGES as TOPIC_CHANGES
from cosset.services.sqs.tables import CHANGES as QUEUE_CHANGES
from cosset.settings import Settings
from cosset.store.database import Store
from cosset.store.metrics import MetricStore
from cosset.store.segments import SegmentStore


@dataclass(frozen=True, slots=True)
class Ground:
    """What every room stands on: what is kept, who is who, where logs and measurements go."""

    data: Path
    store: Store
    functions: FunctionBook
    segments: SegmentStore
    directory: IamDirectory
    logs: LogBuffer
    metrics: MetricStore
    meter: MetricBuffer
    causes: CauseBuffer
    underway: Underway
    access_book: AccessBook
    access_log: AccessLog
    uses: UseLog
    queues: NodeQueues


async def open_ground(stack: AsyncExitStack, settings: Settings, data: Path, clock: Clock) -> Ground:
    assert EVERY_TABLE
    store = await Store.open(
        data=data,
        database=settings.database,
        clock=clock,
        min_free_mb=settings.min_free_mb,
        key_file=settings.key_file,
    )
    stack.push_async_callback(store.close)
    segments = await SegmentStore.open(data / "logs", clock, min_free_mb=settings.min_free_mb)
    stack.push_async_callback(segments.close)
    logs = LogBuffer(segments, LogGroupBook(store, clock), clock)
    logs.start()
    stack.push_async_callback(logs.close)
    retention = LogRetention(store, segments, clock)
    retention.start()
    stack.push_async_callback(retention.close)
    metrics = MetricStore(store, clock)
    meter = MetricBuffer(metrics, clock)
    meter.start()
    stack.push_async_callback(meter.close)
    causes = open_causes(stack, settings, data, clock)
    directory = IamDirectory(store, clock, dev=settings.dev)
    uses = UseLog(store, clock)
    uses.start()
    stack.push_async_callback(uses.close)
    book = AccessBook()
    log = AccessLog(store, book, clock)
    queues = NodeQueues(store, clock, meter, causes)
    functions = FunctionBook(store)
    return Ground(
        data, store, functions, segments, directory, logs, metrics, meter, causes, Underway(), book, log, uses, queues
    )


def make_authorizer(settings: Settings, ground: Ground, clock: Clock) -> PolicyAuthorizer:
    """Decisions hold until anything that they may rest on changes, here or on another node."""
    resources: dict[str, ResourceSource] = {
        "iam": IamResources(ground.store),
        "lambda": FunctionResources(ground.store, ground.functions),
        "logs": LateResources(lambda: _log_resources(ground.store)),
        "s3": LateResources(lambda: _bucket_resources(ground.store)),
        "sns": LateResources(lambda: _topic_resources(ground.store)),
        "sqs": LateResources(lambda: _queue_resources(ground.store)),
        "sts": RoleTrust(ground.store, dev=settings.dev),
    }
    policies = CarriedPolicies(ground.store, PolicyBook())
    authorizer = PolicyAuthorizer(policies, resources, clock, audit=settings.dev, book=ground.access_book)
    ground.store.on_change(IAM_CHANGES, authorizer.forget)
    for topic in (FUNCTION_CHANGES, TOPIC_CHANGES, QUEUE_CHANGES, BUCKET_CHANGES, LOG_POLICY_CHANGES):
        ground.store.on_change(topic, authorizer.forget_resources)
    return authorizer


def _bucket_resources(store: Store) -> ResourceSource:
    from cosset.services.s3.bucket_resources import BucketResources

    return BucketResources(store)


def _log_resources(store: Store) -> ResourceSource:
    from cosset.services.logs.policy_book import LogResources

    return LogResources(store)


def _topic_resources(store: Store) -> ResourceSource:
    from cosset.services.sns.topic_policy import TopicResources

    return TopicResources(store)


def _queue_resources(store: Store) -> ResourceSource:
    from cosset.services.sqs.resources import QueueResources

    return QueueResources(store)
