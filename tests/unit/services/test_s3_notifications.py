"""The outbox of notifications over a real store: what is committed with an object, and what becomes of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.s3.bucket_book import add_bucket, put_setting, remove_setting
from cosset.services.s3.model import Bucket
from cosset.services.s3.notification_model import KIND
from cosset.services.s3.notification_outbox import NotificationOutbox, unpack
from cosset.services.s3.notification_ports import Notification, TargetRefusedError
from cosset.services.s3.notification_rules import checked
from cosset.services.s3.notification_worker import MAX_AGE_MS, MOST_REFUSALS, NotificationWorker
from cosset.services.s3.notifications import Notifications
from cosset.services.s3.ports import ObjectEvent
from cosset.store.database import Store
from cosset.store.queue import DurableQueue
from cosset.testing.buses import RecordingEventBus
from cosset.wire.errors import ServiceError
from support.clock import ManualClock

QUEUE = "arn:aws:sqs:us-east-1:111111111111:q"
FUNCTION = "arn:aws:lambda:us-east-1:111111111111:function:f"
BUCKET = Bucket("pictures", "111111111111", "us-east-1", 0)
ADA = Principal(PrincipalKind.USER, "111111111111", "arn:aws:iam::111111111111:user/ada", "AIDAEXAMPLE")
EVENT = ObjectEvent(
    name="ObjectCreated:Put",
    bucket=BUCKET,
    key="k",
    size=1,
    etag="e",
    sequencer="1",
    now_ms=0,
    principal=ADA,
    source_ip="127.0.0.1",
    request_id="R",
    trace_id="Root=1-a;Lineage=b:1",
)
LATER = ServiceError("ServiceUnavailable", "not now", status=503)


@dataclass
class Targets:
    """NotificationTargets that answer in turn, then take everything."""

    answers: list[Exception] = field(default_factory=list)
    taken: list[Notification] = field(default_factory=list)
    asked: int = 0

    async def check(self, target: Any, source: Any) -> None:
        raise AssertionError

    async def deliver(self, notification: Notification) -> None:
        self.asked += 1
        if self.answers:
            raise self.answers.pop(0)
        self.taken.append(notification)


@dataclass
class Bench:
    store: Store
    clock: ManualClock
    queue: DurableQueue
    outbox: NotificationOutbox
    targets: Targets
    worker: NotificationWorker

    async def configure(self, *, arn: str = QUEUE, **more: Any) -> None:
        given = {"QueueConfigurations": [{"Id": "mine", "QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}], **more}
        document = checked(given, "us-east-1", lambda: "x")
        await self.store.write(lambda tx: put_setting(tx, "pictures", KIND, document))

    async def happen(self, **more: Any) -> None:
        await self.store.write(lambda tx: self.outbox.happened(tx, replace(EVENT, **more)))

    async def attempt(self) -> None:
        """Everything that is due, once."""
        for message in await self.queue.receive(limit=100, lease_ms=60_000):
            await self.worker.handle(message)


@asynccontextmanager
async def bench_in(folder: Path) -> AsyncIterator[Bench]:
    clock = ManualClock()
    store = await Store.open(data=folder, database=None, clock=clock, min_free_mb=0)
    queue = DurableQueue(store, "s3-notifications", clock)
    targets = Targets()
    worker = NotificationWorker(store, queue, targets, clock)
    try:
        await store.write(lambda tx: add_bucket(tx, BUCKET))
        yield Bench(store, clock, queue, NotificationOutbox(queue), targets, worker)
    finally:
        await store.close()


def run(folder: Path, test: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        async with bench_in(folder) as bench:
            await test(bench)

    asyncio.run(main())


def test_a_notification_is_there_with_its_object_or_not_at_all(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.configure()

        def fail(tx: Any) -> None:
            bench.outbox.happened(tx, EVENT)
            raise ServiceError("PreconditionFailed", "no", status=412)

        with pytest.raises(ServiceError):
            await bench.store.write(fail)
        assert await bench.queue.count() == 0
        await bench.happen()
        await bench.happen(name="ObjectRemoved:Delete")
        assert await bench.queue.count() == 1

    run(tmp_path, test)


def test_what_waits_goes_where_it_was_to_go(tmp_path: Path) -> None:
    """The configuration and the bucket may change meanwhile; who speaks stays who it was."""

    async def test(bench: Bench) -> None:
        await bench.configure()
        await bench.happen()
        await bench.configure(arn=QUEUE + "-other")
        await bench.happen(bucket=replace(BUCKET, account="222222222222"))
        await bench.store.write(lambda tx: remove_setting(tx, "pictures", KIND))
        await bench.happen()
        await bench.attempt()
        assert [(each.target.arn, each.source.account) for each in bench.targets.taken] == [
            (QUEUE, "111111111111"),
            (QUEUE + "-other", "222222222222"),
        ]
        assert {each.trace_id for each in bench.targets.taken} == {EVENT.trace_id}
        assert await bench.queue.count() == 0

    run(tmp_path, test)


def test_a_target_that_is_out_of_order_is_tried_for_a_day(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.configure()
        await bench.happen()
        bench.targets.answers = [LATER] * 40
        for _ in range(40):
            await bench.attempt()
            bench.clock.advance(300)
        assert not bench.targets.taken
        await bench.attempt()
        assert len(bench.targets.taken) == 1
        await bench.happen()
        bench.targets.answers = [LATER] * 2
        bench.clock.advance(MAX_AGE_MS / 1000 + 1)
        await bench.attempt()
        assert await bench.queue.count() == 0

    run(tmp_path, test)


def test_a_target_that_refuses_may_be_put_right_for_some_minutes(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.configure()
        await bench.happen()
        bench.targets.answers = [TargetRefusedError("no")] * (MOST_REFUSALS - 1)
        for _ in range(MOST_REFUSALS):
            await bench.attempt()
            bench.clock.advance(300)
        assert len(bench.targets.taken) == 1
        await bench.happen()
        bench.targets.answers = [TargetRefusedError("no")] * 100
        for _ in range(MOST_REFUSALS + 5):
            await bench.attempt()
            bench.clock.advance(300)
        assert bench.targets.asked == 2 * MOST_REFUSALS
        assert await bench.queue.count() == 0

    run(tmp_path, test)


def test_one_that_waits_holds_up_no_other(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.configure()
        await bench.happen(key="first")
        bench.targets.answers = [LATER]
        await bench.attempt()
        await bench.happen(key="second")
        await bench.attempt()
        assert ["second" in each.text for each in bench.targets.taken] == [True]

    run(tmp_path, test)


def test_a_bus_is_told_where_there_is_one(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bus = RecordingEventBus()
        bench.outbox.bus = bus
        await bench.store.write(lambda tx: put_setting(tx, "pictures", KIND, {"EventBridgeConfiguration": {}}))
        await bench.happen()
        (entry,) = bus.entries
        assert (entry.source, entry.detail_type, entry.resources) == ("aws.s3", "Object Created", (BUCKET.arn,))
        assert entry.trace_id == EVENT.trace_id

    run(tmp_path, test)


def test_without_a_bus_no_bucket_may_use_one(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        part = Notifications(bench.store, bench.outbox, bench.targets, bench.clock)
        given = {"Bucket": "pictures", "NotificationConfiguration": {"EventBridgeConfiguration": {}}}
        with pytest.raises(ServiceError, match="EventBridge"):
            await part.put_bucket_notification_configuration(None, given)  # type: ignore[arg-type]

    run(tmp_path, test)


class Near:
    """NearTargets that know one function."""

    def __init__(self, known: str) -> None:
        self.known = known
        self.taken: list[Notification] = []

    def deliver_within(self, tx: Any, notification: Notification) -> bool:
        is_known = notification.target.arn == self.known
        self.taken += [notification] * is_known
        return is_known


def test_a_function_that_is_known_to_take_it_gets_it_without_the_outbox(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        near = Near(FUNCTION)
        outbox = NotificationOutbox(bench.queue, near=near)

        def entry(arn: str, event: str) -> dict[str, Any]:
            return {"Id": event, "LambdaFunctionArn": arn, "Events": [f"s3:{event}"]}

        told = ((FUNCTION, "ObjectTagging:Put"), (f"{FUNCTION}2", "ObjectTagging:Delete"), (QUEUE, "ObjectCreated:Put"))
        await bench.configure(LambdaFunctionConfigurations=[entry(*each) for each in told[:2]])
        for _, name in told:
            event = replace(EVENT, name=name)
            await bench.store.write(lambda tx, event=event: outbox.happened(tx, event))  # type: ignore[misc]
        (notification,) = near.taken
        assert (notification.target.arn, notification.trace_id) == (FUNCTION, EVENT.trace_id)
        assert notification.cause
        assert notification.id
        waiting = [unpack(each.id, each.body) for each in await bench.queue.receive(limit=10, lease_ms=1000)]
        assert sorted(each.target.arn for each in waiting) == [f"{FUNCTION}2", QUEUE]

    run(tmp_path, test)
