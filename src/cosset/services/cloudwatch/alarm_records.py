"""Alarms as rows: found, written, moved from state to state; their history; and the actions that a move owes.

A move, its line in the history and its actions are one transaction: after a crash all are there or none.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from cosset.observe.metrics import MINUTE_S
from cosset.services.cloudwatch.names import alarm_arn
from cosset.services.cloudwatch.tables import alarm_history, alarms
from cosset.services.cloudwatch.watch import ACTIONS_QUEUE as ACTIONS_QUEUE
from cosset.services.cloudwatch.watch import CHANGES
from cosset.store.database import Transaction
from cosset.store.queue import DurableQueue

KEEP_HISTORY_MS = 30 * 86_400_000
_ACTIONS = {"OK": "OKActions", "ALARM": "AlarmActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
UNCHECKED = "Unchecked: Initial alarm creation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """`settings` is what was put, under AWS's names."""

    account: str
    region: str
    name: str
    is_composite: bool
    settings: Mapping[str, Any]
    state: str
    reason: str
    reason_data: str | None
    configured_ms: int
    updated_ms: int
    changed_ms: int

    @property
    def arn(self) -> str:
        return alarm_arn(self.account, self.region, self.name)

    @property
    def kind(self) -> str:
        return "CompositeAlarm" if self.is_composite else "MetricAlarm"

    @property
    def period_s(self) -> int:
        """Of an alarm on expressions the widest of its metrics."""
        if "Period" in self.settings:
            return int(self.settings["Period"])
        queries = self.settings.get("Metrics", ())
        periods = [each["MetricStat"]["Period"] for each in queries if "MetricStat" in each]
        periods += [each["Period"] for each in queries if "Period" in each]
        return max(periods, default=MINUTE_S)


@dataclass(frozen=True, slots=True)
class Move:
    """A state that an alarm is to be in. `data` is JSON."""

    state: str
    reason: str
    data: str | None = None


def _alarm(row: Any) -> Alarm:
    return Alarm(**row._mapping)


def find_alarm(tx: Transaction, account: str, region: str, name: str) -> Alarm | None:
    row = tx.execute(select(alarms).where(*_place(account, region, name))).one_or_none()
    return None if row is None else _alarm(row)


def find_alarms(tx: Transaction, account: str, region: str) -> list[Alarm]:
    query = select(alarms).where(alarms.c.account == account, alarms.c.region == region)
    return sorted((_alarm(row) for row in tx.execute(query)), key=lambda alarm: alarm.name)


def all_alarms(tx: Transaction) -> list[Alarm]:
    return [_alarm(row) for row in tx.execute(select(alarms))]


def put_alarm(tx: Transaction, account: str, region: str, name: str, settings: Mapping[str, Any], now_ms: int) -> bool:
    """Keeps the alarm; one that is there keeps its state. True: it is new."""
    is_composite = "AlarmRule" in settings
    found = find_alarm(tx, account, region, name)
    changed = {"settings": dict(settings), "configured_ms": now_ms, "is_composite": is_composite}
    if found is None:
        row = {"account": account, "region": region, "name": name, **changed}
        row |= {"state": "INSUFFICIENT_DATA", "reason": UNCHECKED, "updated_ms": now_ms, "changed_ms": now_ms}
        tx.execute(insert(alarms).values(**row))
    else:
        tx.execute(update(alarms).where(*_place(account, region, name)).values(**changed))
    alarm = find_alarm(tx, account, region, name)
    assert alarm is not None
    done = "created" if found is None else "updated"
    data = {"type": "Create" if found is None else "Update", "version": "1.0"}
    add_history(tx, alarm, "ConfigurationUpdate", now_ms, f'Alarm "{name}" {done}', data)
    tx.announce(CHANGES, name)
    return found is None


def change_settings(tx: Transaction, alarm: Alarm, now_ms: int, **changed: Any) -> None:
    settings = {**alarm.settings, **changed}
    place = _place(alarm.account, alarm.region, alarm.name)
    tx.execute(update(alarms).where(*place).values(settings=settings, configured_ms=now_ms))
    data = {"type": "Update", "version": "1.0"}
    add_history(tx, alarm, "ConfigurationUpdate", now_ms, f'Alarm "{alarm.name}" updated', data)


def drop_alarm(tx: Transaction, alarm: Alarm, now_ms: int) -> None:
    tx.execute(delete(alarms).where(*_place(alarm.account, alarm.region, alarm.name)))
    data = {"type": "Delete", "version": "1.0"}
    add_history(tx, alarm, "ConfigurationUpdate", now_ms, f'Alarm "{alarm.name}" deleted', data)


def move_alarm(tx: Transaction, queue: DurableQueue, seen: Alarm, move: Move, now_ms: int) -> bool:
    """Brings the alarm into the state, with its history and what it owes. False: it is not as it was seen any more, or
    nothing changes."""
    alarm = find_alarm(tx, seen.account, seen.region, seen.name)
    if alarm is None or (alarm.state, alarm.configured_ms) != (seen.state, seen.configured_ms):
        return False
    if (alarm.state, alarm.reason) == (move.state, move.reason):
        return False
    has_changed = alarm.state != move.state
    written: dict[str, Any] = {"state": move.state, "reason": move.reason, "reason_data": move.data}
    written["updated_ms"] = now_ms
    if has_changed:
        written["changed_ms"] = now_ms
    tx.execute(update(alarms).where(*_place(alarm.account, alarm.region, alarm.name)).values(**written))
    if not has_changed:
        return True
    _note_move(tx, alarm, move, now_ms)
    if alarm.settings.get("ActionsEnabled", True):
        for action in alarm.settings.get(_ACTIONS[move.state], ()):
            queue.send(tx, _owed(alarm, move, action, now_ms))
    tx.announce(CHANGES, alarm.name)
    return True


def _note_move(tx: Transaction, alarm: Alarm, move: Move, now_ms: int) -> None:
    old = {"stateValue": alarm.state, "stateReason": alarm.reason}
    new = {"stateValue": move.state, "stateReason": move.reason}
    for said, text in ((old, alarm.reason_data), (new, move.data)):
        if text is not None:
            said["stateReasonData"] = json.loads(text)
    data = {"version": "1.0", "oldState": old, "newState": new}
    add_history(tx, alarm, "StateUpdate", now_ms, f"Alarm updated from {alarm.state} to {move.state}", data)


def _owed(alarm: Alarm, move: Move, action: str, now_ms: int) -> bytes:
    """Everything that a notification says: the alarm may change before it goes out."""
    said = {
        "account": alarm.account,
        "region": alarm.region,
        "name": alarm.name,
        "is_composite": alarm.is_composite,
        "settings": dict(alarm.settings),
        "configured_ms": alarm.configured_ms,
        "old": {
            "value": alarm.state,
            "reason": alarm.reason,
            "data": alarm.reason_data,
            "at_ms": alarm.updated_ms,
        },
        "new": {"value": move.state, "reason": move.reason, "data": move.data, "at_ms": now_ms},
        "action": action,
    }
    return json.dumps(said).encode()


def add_history(tx: Transaction, alarm: Alarm, kind: str, now_ms: int, summary: str, data: Mapping[str, Any]) -> None:
    tx.execute(
        insert(alarm_history).values(
            account=alarm.account,
            region=alarm.region,
            name=alarm.name,
            is_composite=alarm.is_composite,
            kind=kind,
            at_ms=now_ms,
            summary=summary,
            data=json.dumps(data),
        )
    )
    tx.execute(delete(alarm_history).where(alarm_history.c.at_ms < now_ms - KEEP_HISTORY_MS))


def _place(account: str, region: str, name: str) -> tuple[Any, ...]:
    return alarms.c.account == account, alarms.c.region == region, alarms.c.name == name
