"""Alarms as steps of what caused what: that they moved, what they watch, what a composite follows.

Read next: observe/causes.py; alarm_actions.py, whose targets carry the step on.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cosset.observe.causes import Step, StepKind, key_of
from cosset.services.cloudwatch.alarm_messages import Notice
from cosset.services.cloudwatch.alarm_records import Alarm

_WATCHED = {
    "AWS/Lambda": ("FunctionName", "arn:aws:lambda:{region}:{account}:function:{name}"),
    "AWS/SQS": ("QueueName", "arn:aws:sqs:{region}:{account}:{name}"),
    "AWS/SNS": ("TopicName", "arn:aws:sns:{region}:{account}:{name}"),
    "AWS/S3": ("BucketName", "arn:aws:s3:::{name}"),
}
"""Of a namespace, the dimension that names a resource, and the ARN of that."""


def move_id(alarm_arn: str, state: str, at_ms: int) -> str:
    """Of a move into a state, which whoever acts on it can tell again."""
    return f"{alarm_arn}#{state}@{at_ms}"


def key_of_notice(notice: Notice) -> str:
    """The key of the move that the notice tells of."""
    new = notice.said["new"]
    return key_of(move_id(notice.alarm_arn, str(new["value"]), int(new["at_ms"])), StepKind.ALARM)


def move_step(alarm: Alarm, state: str, now_ms: int, children: Sequence[Alarm] = ()) -> Step:
    """`children`: those that the rule of a composite names; the one that moved last is what caused this."""
    last = max(children, key=lambda each: each.changed_ms, default=None)
    source = next(watched(alarm.account, alarm.region, alarm.settings), "") if last is None else last.arn
    cause = () if last is None else (key_of(move_id(last.arn, last.state, last.changed_ms), StepKind.ALARM),)
    return Step(
        kind=StepKind.ALARM,
        id=move_id(alarm.arn, state, now_ms),
        account=alarm.account,
        region=alarm.region,
        resource=alarm.arn,
        at_ms=now_ms,
        name=f"to {state}",
        source=source,
        causes=cause,
    )


def watched(account: str, region: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """The ARNs of the resources whose metrics the alarm looks at, as far as its dimensions name any."""
    metrics = [
        settings,
        *(each["MetricStat"]["Metric"] for each in settings.get("Metrics", ()) if "MetricStat" in each),
    ]
    for metric in metrics:
        dimension, form = _WATCHED.get(str(metric.get("Namespace")), ("", ""))
        for each in metric.get("Dimensions", ()):
            if dimension and each["Name"] == dimension:
                yield form.format(account=account, region=region, name=each["Value"])
