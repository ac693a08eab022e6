"""Alarms: AWS's table of missing data, rules of composites, moves with their history and actions, on a real store."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cosset.identity.principal import Principal, PrincipalKind
from cosset.observe.metrics import Cell, Distribution, MetricKey
from cosset.services.cloudwatch.alarm_actions import ActionRefusedError, ActionWorker, AlarmTargets
from cosset.services.cloudwatch.alarm_messages import Notice
from cosset.services.cloudwatch.alarm_records import ACTIONS_QUEUE, Alarm
from cosset.services.cloudwatch.alarm_rules import read_rule
from cosset.services.cloudwatch.evaluation import Evaluator, Reading, judge
from cosset.services.cloudwatch.service import cloudwatch_service
from cosset.services.cloudwatch.watch import AlarmWatch
from cosset.services.operation import Context
from cosset.store.database import Store
from cosset.store.metrics import MetricStore
from cosset.store.queue import DurableQueue
from cosset.wire.errors import ServiceError
from support.clock import ManualClock

ACCOUNT, REGION = "111111111111", "us-east-1"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"
SETTINGS = {
    "MetricName": "m",
    "Namespace": "n",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 0.0,
    "ComparisonOperator": "GreaterThanThreshold",
}


def alarm(state: str = "KEPT", **settings: Any) -> Alarm:
    return Alarm(
        account=ACCOUNT,
        region=REGION,
        name="a",
        is_composite=False,
        settings={**SETTINGS, **settings},
        state=state,
        reason="",
        reason_data=None,
        configured_ms=0,
        updated_ms=0,
        changed_ms=0,
    )


# "Configuring how CloudWatch alarms treat missing data": five periods, the newest last; X breaches, 0 does not.
@pytest.mark.parametrize(
    ("needed", "periods", "expected"),
    [
        *((3, "0 - X - X", ("OK",) * 4), (3, "- - - - 0", ("OK", "OK", "OK", "OK"))),
        (3, "- - - - -", ("INSUFFICIENT_DATA", "KEPT", "ALARM", "OK")),
        *((3, "0 X X - X", ("ALARM",) * 4), (3, "- - X - -", ("ALARM", "KEPT", "ALARM", "OK"))),
        *((2, "0 - X - X", ("ALARM",) * 4), (2, "0 0 X 0 X", ("ALARM",) * 4)),
        *((2, "0 - X - -", ("OK", "OK", "ALARM", "OK")), (2, "- - - - 0", ("OK", "OK", "ALARM", "OK"))),
        (2, "- - - - X", ("ALARM", "KEPT", "ALARM", "OK")),
    ],
)
def test_missing_data_are_treated_as_on_aws(needed: int, periods: str, expected: tuple[str, ...]) -> None:
    values = [(number * 60, each) for number, each in enumerate(periods.split())]
    readings = [Reading(at, float(each == "X"), 1.0) for at, each in reversed(values) if each != "-"]
    found = []
    for missing in ("missing", "ignore", "breaching", "notBreaching"):
        given = alarm(EvaluationPeriods=3, DatapointsToAlarm=needed, TreatMissingData=missing)
        move = judge(given, readings, 300, 300_000)
        found.append("KEPT" if move is None else move.state)
    assert tuple(found) == expected


def test_the_sentence_of_one_datapoint() -> None:
    move = judge(alarm(Statistic="SampleCount"), [Reading(60, 1.0, 1.0)], 120, 121_000)
    assert move is not None
    assert move.reason == (
        "Threshold Crossed: 1 datapoint [1.0 (01/01/70 00:01:00)] was greater than the threshold (0.0)."
    )
    assert move.data is not None
    assert json.loads(move.data) == {
        "version": "1.0",
        "queryDate": "1970-01-01T00:02:01.000+0000",
        "startDate": "1970-01-01T00:01:00.000+0000",
        "statistic": "SampleCount",
        "period": 60,
        "recentDatapoints": [1.0],
        "threshold": 0.0,
        "evaluatedDatapoints": [{"timestamp": "1970-01-01T00:01:00.000+0000", "sampleCount": 1.0, "value": 1.0}],
    }


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        *(("ALARM(a)", True), ('ALARM("b")', False), ("NOT OK(a) AND OK(b)", True), ("TRUE AND FALSE OR TRUE", True)),
        *(("(OK(a) OR OK(b)) AND INSUFFICIENT_DATA(c)", True), ("NOT (ALARM(a) OR ALARM(b))", False)),
        ("ALARM(arn:aws:cloudwatch:us-east-1:111111111111:alarm:a)", True),
    ],
)
def test_rules_of_composite_alarms(rule: str, holds: bool) -> None:
    states = {"a": "ALARM", "b": "OK", "c": "INSUFFICIENT_DATA"}
    assert read_rule(rule).holds(states.get) is holds


_MALFORMED = ("", "ALARM()", "ALARM(a) OK(b)", "(ALARM(a)", "AND", "BROKEN(a)", "NOT " * 500 + "TRUE")


@pytest.mark.parametrize("rule", _MALFORMED)
def test_rules_that_cannot_be_read_are_refused(rule: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read_rule(rule)
    assert caught.value.code == "ValidationError"


@dataclass
class Topics:
    """Takes notices, once it is told to."""

    refuses: bool = False
    taken: list[Notice] = field(default_factory=list)

    async def take(self, notice: Notice) -> None:
        if self.refuses:
            raise ActionRefusedError("there is no such topic")
        self.taken.append(notice)


@dataclass
class Room:
    store: Store
    clock: ManualClock
    metrics: MetricStore
    evaluator: Evaluator
    worker: ActionWorker
    topics: Topics

    async def call(self, operation: str, **params: Any) -> Any:
        service = cloudwatch_service(self.store, self.metrics, self.clock)
        principal = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/u", "AIDAEXAMPLE")
        context = Context("cloudwatch", operation, principal, ACCOUNT, REGION, "id", "localhost")
        return await service.operations[operation].handler(context, params)

    async def value(self, value: float) -> None:
        """A value of a minute that is over, and three minutes in which there is none."""
        key = MetricKey(ACCOUNT, REGION, "n", "m")
        start_s = self.clock.now_ms() // 60_000 * 60
        await self.metrics.add([Cell(key, "None", start_s, 60, Distribution.of(value))])
        self.clock.advance(65)

    async def state(self, name: str = "a") -> str:
        answer = await self.call("DescribeAlarms", AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        [found] = answer["MetricAlarms"] + answer["CompositeAlarms"]
        return str(found["StateValue"])

    async def act(self) -> None:
        queue = DurableQueue(self.store, ACTIONS_QUEUE, self.clock)
        for message in await queue.receive(limit=10, lease_ms=60_000):
            await self.worker.handle(message)

    async def history(self, kind: str) -> list[dict[str, Any]]:
        answer = await self.call("DescribeAlarmHistory", AlarmName="a", HistoryItemType=kind)
        return list(answer["AlarmHistoryItems"])


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Room]:
    clock = ManualClock()
    store = await Store.open(data=folder / "data", database=None, clock=clock)
    metrics, topics, targets = MetricStore(store, clock), Topics(), AlarmTargets()
    targets.serve("sns", topics)
    evaluator = Evaluator(store, metrics, DurableQueue(store, ACTIONS_QUEUE, clock), clock)
    try:
        yield Room(store, clock, metrics, evaluator, ActionWorker(store, targets, clock), topics)
    finally:
        await store.close()


def test_an_alarm_moves_says_so_and_is_written_down(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path) as room:
            await room.call("PutMetricAlarm", AlarmName="a", AlarmActions=[TOPIC], AlarmDescription="d", **SETTINGS)
            assert await room.state() == "INSUFFICIENT_DATA"
            await room.value(1.0)
            assert await room.evaluator.evaluate_all() == 1
            assert await room.state() == "ALARM"
            await room.act()
            [notice] = room.topics.taken
            message = json.loads(notice.message())
            assert message["NewStateValue"] == "ALARM"
            assert message["OldStateValue"] == "INSUFFICIENT_DATA"
            assert message["Region"] == "US East (N. Virginia)"
            assert message["Trigger"]["Statistic"] == "SUM"
            await room.value(0.0)
            await room.evaluator.evaluate_all()
            assert await room.state() == "OK"
            [back, there] = await room.history("StateUpdate")
            assert there["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM"
            assert back["HistorySummary"] == "Alarm updated from ALARM to OK"
            [action] = await room.history("Action")
            assert action["HistorySummary"] == f"Successfully executed action {TOPIC}"

    asyncio.run(run())


def test_an_action_that_cannot_be_taken_is_written_down_by_name(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path) as room:
            scaling = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:x"
            room.topics.refuses = True
            await room.call("PutMetricAlarm", AlarmName="a", AlarmActions=[TOPIC, scaling], **SETTINGS)
            await room.call("SetAlarmState", AlarmName="a", StateValue="ALARM", StateReason="by hand")
            await room.act()
            said = [each["HistorySummary"] for each in await room.history("Action")]
            assert sorted(said) == [
                f'Failed to execute action {scaling}. Received error: "autoscaling is not served here"',
                f'Failed to execute action {TOPIC}. Received error: "there is no such topic"',
            ]

    asyncio.run(run())


def test_actions_that_are_switched_off_do_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path) as room:
            await room.call("PutMetricAlarm", AlarmName="a", AlarmActions=[TOPIC], **SETTINGS)
            await room.call("DisableAlarmActions", AlarmNames=["a"])
            await room.call("SetAlarmState", AlarmName="a", StateValue="ALARM", StateReason="by hand")
            await room.act()
            assert room.topics.taken == []
            assert await room.state() == "ALARM"

    asyncio.run(run())


def test_a_composite_alarm_follows_its_children(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path) as room:
            await room.call("PutMetricAlarm", AlarmName="a", TreatMissingData="ignore", **SETTINGS)
            await room.call("PutCompositeAlarm", AlarmName="c", AlarmRule='ALARM("a")')
            await room.call("PutCompositeAlarm", AlarmName="d", AlarmRule="NOT ALARM(c)")
            await room.evaluator.evaluate_all()
            assert (await room.state("c"), await room.state("d")) == ("OK", "ALARM")
            await room.call("SetAlarmState", AlarmName="a", StateValue="ALARM", StateReason="by hand")
            await room.evaluator.evaluate_all()
            assert (await room.state("c"), await room.state("d")) == ("ALARM", "OK")
            with pytest.raises(ServiceError):
                await room.call("PutCompositeAlarm", AlarmName="c", AlarmRule="ALARM(d)")

    asyncio.run(run())


def test_two_nodes_that_see_the_same_move_it_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path) as room:
            await room.call("PutMetricAlarm", AlarmName="a", AlarmActions=[TOPIC], **SETTINGS)
            await room.value(1.0)
            queue = DurableQueue(room.store, ACTIONS_QUEUE, room.clock)
            other = Evaluator(room.store, room.metrics, queue, room.clock)
            await asyncio.gather(room.evaluator.evaluate_all(), other.evaluate_all())
            assert len(await room.history("StateUpdate")) == 1
            await room.act()
            assert len(room.topics.taken) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "given",
    [
        *({"Period": 7}, {"Period": 60, "EvaluationPeriods": 1441}, {"AlarmActions": ["x"]}, {"Statistic": None}),
        *({"DatapointsToAlarm": 2}, {"TreatMissingData": "x"}, {"Metrics": [{"Id": "a", "Expression": "1"}]}),
    ],
)
def test_alarms_that_make_no_sense_are_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    async def run() -> None:
        async with opened(tmp_path) as room:
            params = {name: value for name, value in {**SETTINGS, **given}.items() if value is not None}
            with pytest.raises(ServiceError) as caught:
                await room.call("PutMetricAlarm", AlarmName="a", **params)
            assert caught.value.code in ("ValidationError", "InvalidParameterCombination")

    asyncio.run(run())


def test_a_node_without_alarms_makes_no_keeper_until_there_is_one(tmp_path: Path) -> None:
    @dataclass
    class Keeper:
        evaluated: asyncio.Event

        async def evaluate_all(self) -> int:
            self.evaluated.set()
            return 1

        async def serve_actions(self) -> None:
            await asyncio.Event().wait()

        async def stop_actions(self, timeout_s: float) -> None: ...

    async def run() -> None:
        async with opened(tmp_path) as room:
            made: list[Keeper] = []
            evaluated = asyncio.Event()

            def make() -> Keeper:
                made.append(Keeper(evaluated))
                return made[-1]

            watch = asyncio.create_task(AlarmWatch(room.store, room.clock, make).serve())
            await room.store.read(lambda tx: None)
            await asyncio.sleep(0)
            assert made == []
            await room.call("PutMetricAlarm", AlarmName="a", **SETTINGS)
            await asyncio.wait_for(evaluated.wait(), 60)
            assert len(made) == 1
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    asyncio.run(run())
