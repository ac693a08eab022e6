"""Alarms through stock boto3 on a live server: they are put, shown, tagged, evaluated, and call functions."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.cloudwatch import PROTOCOLS, client_in
from support.patience import until
from support.role import starter_role
from support.zip import make_zip

WITNESS = make_zip({"index.py": "import json\ndef handler(event, context):\n    print('alarm', json.dumps(event))\n"})
ALARM: dict[str, Any] = {
    "MetricName": "m",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 30.0,
    "ComparisonOperator": "GreaterThanThreshold",
}


@pytest.fixture(params=PROTOCOLS)
def cloudwatch(server: CossetServer, request: pytest.FixtureRequest) -> Any:
    return client_in(server, request.param)


@pytest.fixture
def name() -> str:
    return f"alarm-{uuid.uuid4()}"


def test_an_alarm_is_shown_as_it_was_put(cloudwatch: Any, name: str) -> None:
    """Recorded: test_describe_alarms_converts_date_format_correctly."""
    cloudwatch.put_metric_alarm(AlarmName=name, Namespace="n", **ALARM)
    [shown] = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    for member in ("AlarmConfigurationUpdatedTimestamp", "StateTransitionedTimestamp", "StateUpdatedTimestamp"):
        assert abs(shown.pop(member) - datetime.now(UTC)) < timedelta(minutes=10)
    assert shown.pop("AlarmArn").endswith(f":alarm:{name}")
    assert shown == {
        **ALARM,
        "AlarmName": name,
        "Namespace": "n",
        "ActionsEnabled": True,
        "AlarmActions": [],
        "OKActions": [],
        "InsufficientDataActions": [],
        "Dimensions": [],
        "StateReason": "Unchecked: Initial alarm creation",
        "StateValue": "INSUFFICIENT_DATA",
    }
    found = cloudwatch.describe_alarms_for_metric(MetricName="m", Namespace="n")["MetricAlarms"]
    assert name in [each["AlarmName"] for each in found]
    cloudwatch.delete_alarms(AlarmNames=[name])
    assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []


def test_tags_of_an_alarm(cloudwatch: Any, name: str) -> None:
    """Recorded: test_tagging_metric_alarm."""
    first = {"Key": "Environment", "Value": "Production"}
    cloudwatch.put_metric_alarm(AlarmName=name, Namespace="n", Tags=[first], **ALARM)
    arn = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["AlarmArn"]
    more = [{"Key": "tag1", "Value": "foo"}, {"Key": "tag2", "Value": "bar"}]
    cloudwatch.tag_resource(ResourceARN=arn, Tags=more)
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [first, *more]
    cloudwatch.untag_resource(ResourceARN=arn, TagKeys=["tag1"])
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [first, more[1]]
    cloudwatch.delete_alarms(AlarmNames=[name])
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == []


def test_states_are_set_by_hand(cloudwatch: Any, name: str) -> None:
    with pytest.raises(ClientError) as caught:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="x")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFound"
    cloudwatch.put_metric_alarm(AlarmName=name, Namespace="n", **ALARM)
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="x", StateReasonData='{"a": 1}')
    [shown] = cloudwatch.describe_alarms(AlarmNames=[name], StateValue="OK")["MetricAlarms"]
    assert (shown["StateReason"], shown["StateReasonData"]) == ("x", '{"a": 1}')
    with pytest.raises(ClientError) as caught:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="FINE", StateReason="x")
    assert caught.value.response["Error"] == {
        "Code": "ValidationError",
        "Message": "1 validation error detected: Value 'FINE' at 'stateValue' failed to satisfy constraint: Member "
        "must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]",
        **{key: value for key, value in caught.value.response["Error"].items() if key in ("QueryErrorCode", "Type")},
    }
    kinds = [each["HistoryItemType"] for each in cloudwatch.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]]
    assert kinds == ["StateUpdate", "ConfigurationUpdate"]
    cloudwatch.delete_alarms(AlarmNames=[name])


def test_an_alarm_evaluates_and_calls_a_function(server: CossetServer, name: str) -> None:
    """Recorded: test_alarm_lambda_target."""
    cloudwatch = server.client("cloudwatch")
    functions = server.client("lambda")
    arn = functions.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": WITNESS},
    )["FunctionArn"]
    functions.get_waiter("function_active_v2").wait(FunctionName=name)
    cloudwatch.put_metric_alarm(AlarmName=name, Namespace=name, AlarmActions=[arn], AlarmDescription="said", **ALARM)
    alarm_arn = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["AlarmArn"]
    functions.add_permission(
        FunctionName=name,
        StatementId="alarm",
        Action="lambda:InvokeFunction",
        Principal="lambda.alarms.cloudwatch.amazonaws.com",
        SourceArn=alarm_arn,
    )
    moment = datetime.now(UTC) - timedelta(minutes=1)
    cloudwatch.put_metric_data(Namespace=name, MetricData=[{"MetricName": "m", "Value": 31.0, "Timestamp": moment}])
    until(lambda: cloudwatch.describe_alarms(AlarmNames=[name], StateValue="ALARM")["MetricAlarms"])
    logs = server.client("logs")

    def printed() -> list[str]:
        try:
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern="alarm")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [each["message"] for each in events if each["message"].startswith("alarm ")]

    event = json.loads(until(printed)[0].removeprefix("alarm "))
    assert (event["source"], event["alarmArn"], event["accountId"]) == ("aws.cloudwatch", alarm_arn, server.account)
    data = event["alarmData"]
    assert data["configuration"]["description"] == "said"
    assert data["configuration"]["metrics"][0]["metricStat"]["metric"] == {
        "namespace": name,
        "name": "m",
        "dimensions": {},
    }
    assert data["previousState"]["reason"] == "Unchecked: Initial alarm creation"
    assert data["state"]["value"] == "ALARM"
    assert "was greater than the threshold (30.0)." in data["state"]["reason"]
    cloudwatch.delete_alarms(AlarmNames=[name])
    functions.delete_function(FunctionName=name)
