"""What an alarm says when it moves: the event that a function gets, the message that a topic gets.

Recorded: test_alarm_lambda_target, test_alarm_number_of_messages_sent.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from cosset.services.cloudwatch.names import alarm_arn


@dataclass(frozen=True, slots=True)
class Notice:
    """One action of one move. `id` stays the same over every attempt; `said` is what alarm_records.py wrote down."""

    id: str
    said: Mapping[str, Any]

    @property
    def action_arn(self) -> str:
        return str(self.said["action"])

    @property
    def account(self) -> str:
        return str(self.said["account"])

    @property
    def region(self) -> str:
        return str(self.said["region"])

    @property
    def alarm_arn(self) -> str:
        return alarm_arn(self.account, self.region, str(self.said["name"]))

    def event(self) -> bytes:
        """For a function."""
        said = self.said
        configuration: dict[str, Any] = {}
        if said["settings"].get("AlarmDescription"):
            configuration["description"] = said["settings"]["AlarmDescription"]
        if said["is_composite"]:
            configuration["alarmRule"] = said["settings"]["AlarmRule"]
        else:
            configuration["metrics"] = _metrics(self.alarm_arn, said["settings"])
        event = {
            "source": "aws.cloudwatch",
            "alarmArn": self.alarm_arn,
            "accountId": said["account"],
            "time": _moment(said["new"]["at_ms"]),
            "region": said["region"],
            "alarmData": {
                "alarmName": said["name"],
                "state": _state(said["new"]),
                "previousState": _state(said["old"]),
                "configuration": configuration,
            },
        }
        return json.dumps(event, separators=(",", ":")).encode()

    def subject(self) -> str:
        said = self.said
        return f'{said["new"]["value"]}: "{said["name"]}" in {region_name(said["region"])}'[:100]

    def message(self) -> str:
        """For a topic."""
        said, settings = self.said, self.said["settings"]
        body: dict[str, Any] = {
            "AlarmName": said["name"],
            "AlarmDescription": settings.get("AlarmDescription"),
            "AWSAccountId": said["account"],
            "AlarmConfigurationUpdatedTimestamp": _moment(said["configured_ms"]),
            "NewStateValue": said["new"]["value"],
            "NewStateReason": said["new"]["reason"],
            "StateChangeTime": _moment(said["new"]["at_ms"]),
            "Region": region_name(said["region"]),
            "AlarmArn": self.alarm_arn,
            "OldStateValue": said["old"]["value"],
        }
        for name in ("OKActions", "AlarmActions", "InsufficientDataActions"):
            body[name] = settings.get(name, [])
        if said["is_composite"]:
            body["AlarmRule"] = settings["AlarmRule"]
        else:
            body["Trigger"] = _trigger(settings)
        return json.dumps(body, separators=(",", ":"))


def _state(said: Mapping[str, Any]) -> dict[str, Any]:
    state = {"value": said["value"], "reason": said["reason"], "timestamp": _moment(said["at_ms"])}
    return state if said["data"] is None else {**state, "reasonData": said["data"]}


def _metrics(arn: str, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "Metrics" in settings:
        return [_query(each) for each in settings["Metrics"]]
    stat = {
        "metric": {
            "namespace": settings["Namespace"],
            "name": settings["MetricName"],
            "dimensions": {each["Name"]: each["Value"] for each in settings.get("Dimensions", ())},
        },
        "period": settings["Period"],
        "stat": settings.get("Statistic") or settings.get("ExtendedStatistic"),
    }
    # An id that is the same in every event of the alarm.
    number = UUID(bytes=hashlib.sha256(arn.encode()).digest()[:16], version=4)
    return [{"id": str(number), "metricStat": stat, "returnData": True}]


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    if "Label" in query:
        shown["label"] = query["Label"]
    if "Expression" in query:
        return {**shown, "expression": query["Expression"]}
    stat, metric = query["MetricStat"], query["MetricStat"]["Metric"]
    dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions", ())}
    named = {"namespace": metric.get("Namespace"), "name": metric.get("MetricName"), "dimensions": dimensions}
    return {**shown, "metricStat": {"metric": named, "period": stat["Period"], "stat": stat["Stat"]}}


_STATISTICS = {"SampleCount": "SAMPLE_COUNT"}


def _trigger(settings: Mapping[str, Any]) -> dict[str, Any]:
    trigger: dict[str, Any] = {
        "Period": settings.get("Period"),
        "EvaluationPeriods": settings["EvaluationPeriods"],
        "ComparisonOperator": settings["ComparisonOperator"],
        "Threshold": float(settings["Threshold"]),
        "TreatMissingData": settings.get("TreatMissingData", ""),
        "EvaluateLowSampleCountPercentile": settings.get("EvaluateLowSampleCountPercentile", ""),
    }
    if "DatapointsToAlarm" in settings:
        trigger["DatapointsToAlarm"] = settings["DatapointsToAlarm"]
    if "Metrics" in settings:
        del trigger["Period"]
        return {**trigger, "Metrics": list(settings["Metrics"])}
    trigger["MetricName"] = settings["MetricName"]
    trigger["Namespace"] = settings["Namespace"]
    trigger["Unit"] = settings.get("Unit")
    dimensions = settings.get("Dimensions", ())
    trigger["Dimensions"] = [{"value": each["Value"], "name": each["Name"]} for each in dimensions]
    if "ExtendedStatistic" in settings:
        return {**trigger, "StatisticType": "ExtendedStatistic", "ExtendedStatistic": settings["ExtendedStatistic"]}
    name = settings["Statistic"]
    return {**trigger, "StatisticType": "Statistic", "Statistic": _STATISTICS.get(name, name.upper())}


def _moment(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}+0000"


@cache
def region_name(region: str) -> str:
    """`US East (N. Virginia)` of us-east-1, as botocore has it; the region itself where nobody knows a name."""
    from botocore.loaders import Loader

    for partition in Loader().load_data("endpoints")["partitions"]:
        if region in partition["regions"]:
            return str(partition["regions"][region]["description"])
    return region
