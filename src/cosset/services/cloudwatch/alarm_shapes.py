"""Alarms as DescribeAlarms shows them: what was put, the state, and when it became so."""

from typing import Any

from cosset.services.cloudwatch.alarm_records import Alarm

_ALWAYS = {"OKActions": (), "AlarmActions": (), "InsufficientDataActions": ()}


def show_alarm(alarm: Alarm) -> dict[str, Any]:
    """Recorded: test_describe_alarms_converts_date_format_correctly, test_alarm_number_of_messages_sent."""
    shown: dict[str, Any] = {
        **{name: list(each) for name, each in _ALWAYS.items()},
        **alarm.settings,
        "AlarmName": alarm.name,
        "AlarmArn": alarm.arn,
        "AlarmConfigurationUpdatedTimestamp": alarm.configured_ms / 1000,
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
        "StateReasonData": alarm.reason_data,
        "StateUpdatedTimestamp": alarm.updated_ms / 1000,
        "StateTransitionedTimestamp": alarm.changed_ms / 1000,
    }
    if not alarm.is_composite and "Metrics" not in alarm.settings:
        shown.setdefault("Dimensions", [])
    return shown
