"""What PutMetricAlarm and PutCompositeAlarm refuse, and what is kept of what they are given."""

import re
from collections.abc import Iterable
from typing import Any

from cosset.identity.arn import Arn
from cosset.services.cloudwatch.alarm_rules import read_rule
from cosset.services.cloudwatch.errors import invalid, invalid_combination, missing_parameter
from cosset.services.cloudwatch.queries import check_queries
from cosset.services.cloudwatch.statistics import statistic
from cosset.services.operation import Params
from cosset.store.metrics import DAY_S, HOUR_S
from cosset.wire.errors import OperationNotImplementedError

ACTIONS = ("OKActions", "AlarmActions", "InsufficientDataActions")
_MOST_ACTIONS = 5
_KEPT = (
    *("AlarmDescription", "ActionsEnabled", *ACTIONS, "MetricName", "Namespace", "Statistic", "ExtendedStatistic"),
    *("Dimensions", "Period", "Unit", "EvaluationPeriods", "DatapointsToAlarm", "Threshold", "ComparisonOperator"),
    *("TreatMissingData", "EvaluateLowSampleCountPercentile", "Metrics", "AlarmRule"),
)
_OF_ONE_METRIC = ("MetricName", "Namespace", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic")
_SHORT_PERIODS_S = (10, 20, 30)
_MISSING = ("breaching", "notBreaching", "ignore", "missing")


def metric_alarm_settings(params: Params) -> dict[str, Any]:
    """Raises ServiceError."""
    for name in ("ThresholdMetricId", "EvaluationCriteria"):
        if params.get(name):
            raise OperationNotImplementedError("cloudwatch", f"PutMetricAlarm with {name}")
    _check_actions(params)
    if params.get("Metrics"):
        _check_expressions(params)
    else:
        _check_one_metric(params)
    for name in ("EvaluationPeriods", "ComparisonOperator", "Threshold"):
        if name not in params:
            raise missing_parameter(name)
    if params["ComparisonOperator"] not in COMPARISONS:
        raise OperationNotImplementedError("cloudwatch", f"alarms with {params['ComparisonOperator']}")
    if params.get("DatapointsToAlarm", 1) > params["EvaluationPeriods"]:
        raise invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
    if params.get("TreatMissingData", "missing") not in _MISSING:
        raise invalid(f"TreatMissingData: {params['TreatMissingData']} is not one of {', '.join(_MISSING)}.")
    return _kept(params)


def composite_alarm_settings(params: Params) -> dict[str, Any]:
    """Raises ServiceError."""
    if params.get("ActionsSuppressor"):
        raise OperationNotImplementedError("cloudwatch", "PutCompositeAlarm with ActionsSuppressor")
    _check_actions(params)
    read_rule(params["AlarmRule"])
    return _kept(params)


# How an alarm's sentence puts it.
COMPARISONS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}


def _kept(params: Params) -> dict[str, Any]:
    return {"ActionsEnabled": True} | {name: params[name] for name in _KEPT if params.get(name) is not None}


def _check_actions(params: Params) -> None:
    for name in ACTIONS:
        given = params.get(name) or ()
        if len(given) > _MOST_ACTIONS:
            raise invalid(f"{name} holds more than {_MOST_ACTIONS} actions.")
        for arn in given:
            if Arn.parse(arn) is None:
                raise invalid(f"Invalid arn syntax: {arn}")


def _check_one_metric(params: Params) -> None:
    for name in ("MetricName", "Namespace", "Period"):
        if name not in params:
            raise missing_parameter(name)
    if ("Statistic" in params) == ("ExtendedStatistic" in params):
        raise invalid_combination("Exactly one of Statistic and ExtendedStatistic must be given.")
    if "ExtendedStatistic" in params:
        statistic(params["ExtendedStatistic"])
    _check_times([params["Period"]], params)


def _check_expressions(params: Params) -> None:
    for name in _OF_ONE_METRIC:
        if params.get(name):
            raise invalid(f"{name} should not be set if list of Metrics is set.")
    queries = params["Metrics"]
    check_queries(queries)
    if sum(each.get("ReturnData", True) for each in queries) != 1:
        raise invalid("Exactly one element of the metrics list should return data.")
    _check_times([each["MetricStat"]["Period"] for each in queries if "MetricStat" in each], params)


def _check_times(periods_s: Iterable[int], params: Params) -> None:
    for period_s in periods_s:
        if period_s not in _SHORT_PERIODS_S and (period_s < 60 or period_s % 60):
            raise invalid("Period must be 10, 20, 30 or a multiple of 60.")
        total_s = period_s * params.get("EvaluationPeriods", 1)
        if period_s < HOUR_S and total_s > DAY_S:
            raise invalid(
                f"Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= {DAY_S})."
            )
        if total_s > 7 * DAY_S:
            raise invalid(
                "Metrics cannot be checked across more than a week "
                f"(EvaluationPeriods * Period must be <= {7 * DAY_S})."
            )


PERCENTILE = re.compile(r"p(\d{1,3}(?:\.\d+)?)", re.ASCII)
