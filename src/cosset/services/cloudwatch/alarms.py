"""The alarm operations. What moves alarms by themselves is evaluation.py; what they then do, alarm_actions.py."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import select

from cosset.clock import Clock
from cosset.observe.causes import StepKind
from cosset.services.cloudwatch import alarm_records as records
from cosset.services.cloudwatch.alarm_checks import composite_alarm_settings, metric_alarm_settings
from cosset.services.cloudwatch.alarm_records import Alarm, Move
from cosset.services.cloudwatch.alarm_rules import read_rule
from cosset.services.cloudwatch.alarm_shapes import show_alarm
from cosset.services.cloudwatch.alarm_steps import move_id
from cosset.services.cloudwatch.errors import invalid, no_such_resource
from cosset.services.cloudwatch.names import (
    alarm_arn,
    on_alarm,
    on_alarms,
    read_dimensions,
    read_tags,
    read_token,
    write_token,
)
from cosset.services.cloudwatch.tables import alarm_history
from cosset.services.cloudwatch.tags import drop_tags, write_tags
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction
from cosset.store.queue import DurableQueue
from cosset.wire.errors import ServiceError
from cosset.wire.timestamps import as_datetime

MOST_ALARMS = 5_000
_PAGE = 100
_MOST_HISTORY = 10_000


class Alarms:
    def __init__(self, store: Store, queue: DurableQueue, clock: Clock) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock

    @operation("PutMetricAlarm", on_alarm("PutMetricAlarm"))
    async def put_metric_alarm(self, ctx: Context, params: Params) -> None:
        await self._put(ctx, params, metric_alarm_settings(params))

    @operation("PutCompositeAlarm", on_alarm("PutCompositeAlarm"))
    async def put_composite_alarm(self, ctx: Context, params: Params) -> None:
        await self._put(ctx, params, composite_alarm_settings(params))

    async def _put(self, ctx: Context, params: Params, settings: Mapping[str, Any]) -> None:
        name = params["AlarmName"]

        def work(tx: Transaction) -> None:
            there = records.find_alarms(tx, ctx.account, ctx.region)
            found = next((each for each in there if each.name == name), None)
            if found is None and len(there) >= MOST_ALARMS:
                raise ServiceError("LimitExceeded", "The maximum number of alarms has been reached.")
            if found is not None and found.is_composite != ("AlarmRule" in settings):
                raise invalid(f"{name} is the name of an alarm of another type.")
            _check_children(settings, name, there)
            if records.put_alarm(tx, ctx.account, ctx.region, name, settings, self._clock.now_ms()):
                write_tags(tx, alarm_arn(ctx.account, ctx.region, name), read_tags(params.get("Tags")))

        await self._store.write(work)

    @operation("DescribeAlarms", on_alarms("DescribeAlarms"))
    async def describe_alarms(self, ctx: Context, params: Params) -> Result:
        there = await self._store.read(lambda tx: records.find_alarms(tx, ctx.account, ctx.region))
        found = [each for each in there if _is_asked_for(each, params, there)]
        begin, most = read_token(params.get("NextToken")), params.get("MaxRecords", _PAGE)
        page = found[begin : begin + most]
        result: Result = {
            "MetricAlarms": [show_alarm(each) for each in page if not each.is_composite],
            "CompositeAlarms": [show_alarm(each) for each in page if each.is_composite],
        }
        if begin + most < len(found):
            result["NextToken"] = write_token(begin + most)
        return result

    @operation("DescribeAlarmsForMetric", on_alarms("DescribeAlarmsForMetric"))
    async def describe_alarms_for_metric(self, ctx: Context, params: Params) -> Result:
        there = await self._store.read(lambda tx: records.find_alarms(tx, ctx.account, ctx.region))
        return {"MetricAlarms": [show_alarm(each) for each in there if _watches(each, params)]}

    @operation("DeleteAlarms", on_alarms("DeleteAlarms"))
    async def delete_alarms(self, ctx: Context, params: Params) -> None:
        """Those that are there."""

        def drop(tx: Transaction, alarm: Alarm, now_ms: int) -> None:
            records.drop_alarm(tx, alarm, now_ms)
            drop_tags(tx, alarm.arn)

        await self._each(ctx, params["AlarmNames"], drop)

    @operation("EnableAlarmActions", on_alarms("EnableAlarmActions"))
    async def enable_alarm_actions(self, ctx: Context, params: Params) -> None:
        await self._each(ctx, params["AlarmNames"], _switch(on=True))

    @operation("DisableAlarmActions", on_alarms("DisableAlarmActions"))
    async def disable_alarm_actions(self, ctx: Context, params: Params) -> None:
        await self._each(ctx, params["AlarmNames"], _switch(on=False))

    async def _each(self, ctx: Context, names: Iterable[str], apply: Callable[[Transaction, Alarm, int], None]) -> None:
        now_ms = self._clock.now_ms()

        def work(tx: Transaction) -> None:
            for name in names:
                alarm = records.find_alarm(tx, ctx.account, ctx.region, name)
                if alarm is not None:
                    apply(tx, alarm, now_ms)

        await self._store.write(work)

    @operation("SetAlarmState", on_alarm("SetAlarmState"))
    async def set_alarm_state(self, ctx: Context, params: Params) -> None:
        data = params.get("StateReasonData")
        if data is not None:
            try:
                json.loads(data)
            except (ValueError, RecursionError):
                raise ServiceError("InvalidFormat", "StateReasonData must be valid JSON.") from None
        move = Move(params["StateValue"], params["StateReason"], data)

        def work(tx: Transaction) -> str | None:
            alarm = records.find_alarm(tx, ctx.account, ctx.region, params["AlarmName"])
            if alarm is None:
                raise no_such_resource()
            moved = records.move_alarm(tx, self._queue, alarm, move, now_ms)
            return alarm.arn if moved and alarm.state != move.state else None

        now_ms = self._clock.now_ms()
        arn = await self._store.write(work)
        if arn is not None:
            ctx.led_to(StepKind.ALARM, move_id(arn, move.state, now_ms), arn)

    @operation("DescribeAlarmHistory", on_alarms("DescribeAlarmHistory"))
    async def describe_alarm_history(self, ctx: Context, params: Params) -> Result:
        rows = await self._store.read(lambda tx: list(tx.execute(_history(ctx, params))))
        kinds = params.get("AlarmTypes") or ["MetricAlarm"]
        found = [row for row in rows if _kind(row) in kinds or "AlarmName" in params]
        begin, most = read_token(params.get("NextToken")), params.get("MaxRecords", _PAGE)
        shown = [
            {
                "AlarmName": row.name,
                "AlarmType": _kind(row),
                "Timestamp": row.at_ms / 1000,
                "HistoryItemType": row.kind,
                "HistorySummary": row.summary,
                "HistoryData": row.data,
            }
            for row in found[begin : begin + most]
        ]
        more = {"NextToken": write_token(begin + most)} if begin + most < len(found) else {}
        return {"AlarmHistoryItems": shown, **more}


def _kind(row: Any) -> str:
    return "CompositeAlarm" if row.is_composite else "MetricAlarm"


def _history(ctx: Context, params: Params) -> Any:
    table = alarm_history.c
    newest_first = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    query = select(alarm_history).where(table.account == ctx.account, table.region == ctx.region)
    query = query.order_by(table.id.desc() if newest_first else table.id).limit(_MOST_HISTORY)
    if "AlarmName" in params:
        query = query.where(table.name == params["AlarmName"])
    if "HistoryItemType" in params:
        query = query.where(table.kind == params["HistoryItemType"])
    if "StartDate" in params:
        query = query.where(table.at_ms >= int(as_datetime(params["StartDate"]).timestamp() * 1000))
    if "EndDate" in params:
        query = query.where(table.at_ms <= int(as_datetime(params["EndDate"]).timestamp() * 1000))
    return query


def _switch(*, on: bool) -> Callable[[Transaction, Alarm, int], None]:
    return lambda tx, alarm, now_ms: records.change_settings(tx, alarm, now_ms, ActionsEnabled=on)


def _check_children(settings: Mapping[str, Any], name: str, there: list[Alarm]) -> None:
    """Raises ServiceError ValidationError: a rule names what is not there, or leads back to the alarm itself."""
    if "AlarmRule" not in settings:
        return
    known = {each.name: each for each in there}
    waiting, seen = list(read_rule(settings["AlarmRule"]).children), set[str]()
    missing = [child for child in waiting if child not in known and child != name]
    if missing:
        raise invalid(
            f"Could not save the composite alarm as alarms [{', '.join(missing)}] in the alarm rule do not exist"
        )
    while waiting:
        child = waiting.pop()
        if child == name:
            raise invalid("The composite alarm would depend on itself.")
        if child in seen or child not in known:
            continue
        seen.add(child)
        if known[child].is_composite:
            waiting += read_rule(known[child].settings["AlarmRule"]).children


def _is_asked_for(alarm: Alarm, params: Params, there: list[Alarm]) -> bool:
    settings = alarm.settings
    kinds = params.get("AlarmTypes") or (["MetricAlarm", "CompositeAlarm"] if _names_some(params) else ["MetricAlarm"])
    actions = [
        arn for name in ("OKActions", "AlarmActions", "InsufficientDataActions") for arn in settings.get(name, ())
    ]
    return (
        alarm.kind in kinds
        and (not params.get("AlarmNames") or alarm.name in params["AlarmNames"])
        and alarm.name.startswith(params.get("AlarmNamePrefix", ""))
        and params.get("StateValue") in (None, alarm.state)
        and ("ActionPrefix" not in params or any(arn.startswith(params["ActionPrefix"]) for arn in actions))
        and _is_relative(alarm, params, there)
    )


def _names_some(params: Params) -> bool:
    return "ChildrenOfAlarmName" in params or "ParentsOfAlarmName" in params


def _is_relative(alarm: Alarm, params: Params, there: list[Alarm]) -> bool:
    if "ChildrenOfAlarmName" in params:
        parent = next((each for each in there if each.name == params["ChildrenOfAlarmName"]), None)
        return parent is not None and alarm.name in _children(parent)
    if "ParentsOfAlarmName" in params:
        return params["ParentsOfAlarmName"] in _children(alarm)
    return True


def _children(alarm: Alarm) -> tuple[str, ...]:
    return read_rule(alarm.settings["AlarmRule"]).children if alarm.is_composite else ()


def _watches(alarm: Alarm, params: Params) -> bool:
    settings = alarm.settings
    same = all(
        params.get(name) in (None, settings.get(name)) for name in ("Period", "Unit", "Statistic", "ExtendedStatistic")
    )
    return (
        same
        and settings.get("MetricName") == params["MetricName"]
        and settings.get("Namespace") == params["Namespace"]
        and read_dimensions(settings.get("Dimensions")) == read_dimensions(params.get("Dimensions"))
    )
